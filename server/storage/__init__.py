"""Rows: the SQLite database behind the voice layer's ports."""
