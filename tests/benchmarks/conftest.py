"""The programs are run, not imported: some need what only their own environment has."""

collect_ignore = ["programs"]
