"""CSV that is safe in a spreadsheet, and from which the values can be had back."""

import csv
from pathlib import Path

import pytest
from frame.audit.export import csv_sheet
from frame.audit.export.kinds import Kind, Type
from hypothesis import given
from hypothesis import strategies as st

KIND = Kind("cells", {"text": Type.TEXT, "number": Type.INT, "flag": Type.BOOL})
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


def written(path: Path, *texts: str | None) -> tuple[list[list[str]], int]:
    """The rows of a file with these texts, as a reader of CSV finds them, and how many cells were escaped."""
    said = csv_sheet.write(path, KIND, ({"text": text, "number": -1, "flag": True} for text in texts))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file)), said[csv_sheet.ESCAPED_CELLS]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("-2+3", "'-2+3"),
        ("-2.5e3", "-2.5e3"),
        ("+7", "+7"),
        ("'quoted", "''quoted"),
        ("a=b", "a=b"),
        ('{"a": "=1"}', '{"a": "=1"}'),
    ],
)
def test_what_a_spreadsheet_would_run_has_an_apostrophe_in_front(
    tmp_path: Path, text: str, cell: str
) -> None:
    rows, escaped = written(tmp_path / "cells.csv", text)

    assert rows == [["text", "number", "flag"], [cell, "-1", "true"]]
    assert escaped == (cell != text)


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_any_text_can_be_had_back_and_none_is_run(tmp_path_factory, texts: list[str]) -> None:
    rows, escaped = written(tmp_path_factory.mktemp("csv") / "cells.csv", *texts)

    cells = [row[0] for row in rows[1:]]
    assert [csv_sheet.original(cell) for cell in cells] == texts
    assert escaped == sum(cell.startswith("'") for cell in cells)
    for cell in cells:
        if cell.startswith(RUN_BY_SPREADSHEETS):
            float(cell)


def test_nothing_and_empty_text_are_told_apart(tmp_path: Path) -> None:
    written(tmp_path / "cells.csv", None, "")

    assert (tmp_path / "cells.csv").read_bytes() == b'text,number,flag\n,-1,true\n"",-1,true\n'
