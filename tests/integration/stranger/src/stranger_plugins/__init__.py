"""Plugins that somebody else wrote for frame."""
