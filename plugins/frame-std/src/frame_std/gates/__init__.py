"""One row in, one label out."""
