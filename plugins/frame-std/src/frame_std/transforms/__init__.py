"""One row in, one result out."""
