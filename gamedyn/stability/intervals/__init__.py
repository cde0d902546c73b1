"""Rigorous enclosures of formulas over boxes."""
