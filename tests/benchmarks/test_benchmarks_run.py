"""The benchmarks work; what they measure is no test's business."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.figure import Figure
from tests.benchmarks.run import main, table


def test_a_quick_benchmark_prints_a_table_and_writes_the_same_figures_as_JSON(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"

    code = main(["--quick", "--only", "reference", "--json", str(file)])

    figures = json.loads(file.read_text(encoding="utf-8"))["figures"]["reference"]
    printed = capsys.readouterr().out
    assert code == 0
    assert [figure["ratio"] > 0 for figure in figures] == [True, True]
    assert all(figure["name"] in printed for figure in figures)


def test_a_missed_bar_is_said_in_the_table() -> None:
    missed = Figure("walking", 3.0, "s", 1.5, "<= 1x", False, "uphill")

    assert table([missed]).splitlines() == [
        "figure   measured  ratio  bar",
        "walking       3 s  1.50x  <= 1x  MISSED",
        "    uphill",
    ]
