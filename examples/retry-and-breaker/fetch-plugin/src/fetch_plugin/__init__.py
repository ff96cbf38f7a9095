"""A frame transform that asks a web service."""
