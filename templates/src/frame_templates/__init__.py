"""frame-templates: the distribution for the generator of plugin packages. It has no features yet."""

__version__ = "0.1.0"
