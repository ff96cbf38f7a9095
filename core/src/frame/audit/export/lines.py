"""Records as lines of JSON: canonical form, with the field `record` in front."""

from collections.abc import Mapping
from typing import Any

import orjson

from frame.canonical import canonical


def line(kind: str, record: Mapping[str, Any]) -> bytes:
    """The line of a record of texts, whole numbers and truth values; what is null is left out.

    >>> line("row", {"token": 0, "row": 0, "data": None})
    b'{"record":"row","row":0,"token":0}\\n'
    """
    # orjson writes such values as `canonical` does, in a tenth of the time.
    there = {name: value for name, value in record.items() if value is not None}
    return b'{"record":"%b",%b\n' % (kind.encode(), orjson.dumps(there, option=orjson.OPT_SORT_KEYS)[1:])


def nested_line(kind: str, record: Mapping[str, Any]) -> bytes:
    """The line of a record with lists and objects in it."""
    there = {name: value for name, value in record.items() if value is not None}
    return b'{"record":"%b",%b\n' % (kind.encode(), canonical(there)[1:])
