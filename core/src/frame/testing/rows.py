"""Rows in few words."""

from frame.rows import Row, Value, freeze


def row(**fields: Value) -> Row:
    """A read-only row of these fields.

    >>> row(id=1, tags=["new"])
    {'id': 1, 'tags': ['new']}
    """
    return freeze(fields)
