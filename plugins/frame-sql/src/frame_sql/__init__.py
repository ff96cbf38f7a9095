"""Tables of databases as sources, sinks and lookups of frame pipelines."""
