"""frame: data pipelines made of plugins, with every row's every step on record."""

__version__ = "0.1.0"
