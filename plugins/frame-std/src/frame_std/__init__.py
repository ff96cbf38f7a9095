"""The standard plugins of frame: everyday transforms, gates and aggregations."""
