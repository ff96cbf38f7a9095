"""The pipeline file: from YAML text to checked models, with a place for every problem."""
