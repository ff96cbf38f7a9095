"""Records as CSV (RFC 4180), safe to open in a spreadsheet.

A cell that a spreadsheet might take for a formula gets an apostrophe in front, and so does one that begins with an
apostrophe: who takes one away from every cell that begins with one has the values as they were. Nothing between two
commas is null, `""` is empty text.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from frame.audit.export.folder import portions
from frame.audit.export.kinds import Kind, Record, Value

SUFFIX = "csv"
ESCAPED_CELLS = "escaped_cells"
_PORTION = 5_000
_FORMULA = re.compile(r"[=+\-@\t\r']")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_QUOTED = re.compile(r'[",\r\n]|^$|^\s|\s$')


def write(path: Path, kind: Kind, records: Iterable[Record]) -> dict[str, Any]:
    """Write the records, and say how many cells were given an apostrophe."""
    escaped = 0
    names = tuple(kind.columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(names) + "\n")
        for portion in portions(records, _PORTION):
            lines = []
            for each in portion:
                cells = [cell(each.get(name)) for name in names]
                escaped += sum(changed for _, changed in cells)
                lines.append(",".join([text for text, _ in cells]))
            file.write("\n".join(lines) + "\n")
    return {ESCAPED_CELLS: escaped}


def cell(value: Value) -> tuple[str, bool]:
    r"""A value as it stands in the file, and whether it was given an apostrophe.

    >>> cell("=1+1"), cell("-1.5"), cell("a,b"), cell(None)
    (("'=1+1", True), ('-1.5', False), ('"a,b"', False), ('', False))
    """
    match value:
        case None:
            return "", False
        case bool():
            return ("true" if value else "false"), False
        case int():
            return str(value), False
    changed = _FORMULA.match(value) is not None and _NUMBER.fullmatch(value) is None
    text = f"'{value}" if changed else value
    if _QUOTED.search(text):
        text = '"' + text.replace('"', '""') + '"'
    return text, changed


def original(text: str) -> str:
    """The value of a cell that was read from such a file.

    >>> original("'=1+1"), original("plain")
    ('=1+1', 'plain')
    """
    return text.removeprefix("'")
