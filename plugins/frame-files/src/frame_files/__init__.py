"""Files as sources and sinks of frame pipelines: CSV, JSON Lines and Parquet."""
