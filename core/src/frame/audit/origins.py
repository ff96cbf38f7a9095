"""How tokens come into being."""

ORIGINS = {
    "rows_read": "source",
    "row_invalid": "source",
    "routed": "fork",
    "expanded": "expansion",
    "merged": "merge",
    "batch_flushed": "batch",
    "carried": "carried",
}
"""Kind of the event that makes tokens -> the word for it."""
