"""Cells are written column by column and lines joined where nothing needs a quote: the bytes are those of `csv`."""

import csv
import io

import pytest
from frame_files.csv_cells import Cells
from frame_files.csv_sink import CsvSink
from hypothesis import example, given, settings
from hypothesis import strategies as st

EDGES = [0.0, -0.0, 1e-4, 9.999e-5, -9.9e-5, 0.00001, 10.00001, 1e15, 9999999999999998.0, 1e16, 1e22, 5e-324]
FLOATS = st.floats() | st.sampled_from(EDGES) | st.floats(-1e-3, 1e-3)
INTS = st.integers() | st.integers(2**63 - 2, 2**64 + 2)
TEXTS = st.text(st.sampled_from("ab1=+-@,;\"'\t\n .é"), max_size=4)
COLUMNS = [INTS, FLOATS, TEXTS, st.booleans(), INTS | FLOATS | TEXTS]
KINDS = st.sampled_from([*COLUMNS, *(kind | st.none() for kind in COLUMNS)])


@st.composite
def tables(draw):
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4))
    return draw(st.lists(st.tuples(*kinds), min_size=1, max_size=6))


def as_csv_writes(table, delimiter, cells):
    """Cell by cell, in the hands of `csv` alone."""
    text = io.StringIO(newline="")
    lines = [[cells.cell(value) for value in row] for row in table]
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


@settings(max_examples=400, deadline=None)
@given(table=tables(), delimiter=st.sampled_from(",;1. -"), null=st.sampled_from(["", "NULL", "-"]))
@example(table=[("",), ("",)], delimiter=",", null="")
@example(table=[(None,), (None,)], delimiter=",", null="")
@example(table=[(1.5, "a")], delimiter=".", null="")
def test_lines_are_those_of_the_csv_module(table, delimiter, null):
    names = [f"f{number}" for number in range(len(table[0]))]
    rows = [dict(zip(names, row, strict=True)) for row in table]
    options = {"delimiter": delimiter, "null_value": null, "header": False}
    sink = CsvSink(CsvSink.Config(path="/out.csv", **options))

    encoded = sink.encode(rows, {})

    assert encoded.data == as_csv_writes(table, delimiter, Cells(null, escape=True))


@settings(max_examples=500, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=5) | st.lists(INTS, min_size=1, max_size=5))
def test_numbers_in_bulk_are_as_python_writes_them(column):
    assert Cells("", escape=True).table([(value,) for value in column]) == [(str(value),) for value in column]


@pytest.mark.parametrize("value", [1e-5, -1e-5, 1e16, float("nan"), float("-inf"), 2**64])
def test_a_number_that_json_writes_otherwise_is_as_python_writes_it(value):
    assert Cells("", escape=True).table([(value,), (value,)]) == [(str(value),), (str(value),)]
