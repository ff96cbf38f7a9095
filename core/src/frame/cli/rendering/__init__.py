"""Results as text for people. Programs use `--json`."""
