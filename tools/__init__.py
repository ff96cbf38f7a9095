"""What the Makefile runs: small programs that look after the workspace, part of no distribution."""
