"""The record: append-only, packed by chunk, the only user of SQLAlchemy."""
