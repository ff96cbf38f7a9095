"""Doing a recorded run over, and holding all that comes out against the record."""
