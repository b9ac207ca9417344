"""Decoding of more than the active block at once."""
