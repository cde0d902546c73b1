"""What one reads: a game on one screen, methods side by side."""
