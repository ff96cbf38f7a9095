"""First-party frame plugins: files."""
