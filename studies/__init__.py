"""The field's published figures, one file each, redrawn and checked: ``python -m studies``."""
