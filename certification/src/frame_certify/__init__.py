"""frame-certify: the distribution for the harness that certifies plugins. It has no features yet."""

__version__ = "0.1.0"
