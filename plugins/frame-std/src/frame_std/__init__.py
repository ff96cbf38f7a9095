"""First-party frame plugins: std."""
