"""Many rows in, some rows out."""
