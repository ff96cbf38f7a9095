"""A run's record as files that can be read, and verified, without its database (docs/reference/export-format.md)."""
