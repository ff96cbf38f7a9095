"""The table of outcomes in the docs has every outcome that the code knows, with what it counts as."""

import re
from pathlib import Path

from frame.counters import COUNTS_AS
from frame.events import OUTCOME_OF, RunStatus
from frame.events import Path as WayToEnd

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "outcomes.md"


def rows_of_tables() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_the_table_of_outcomes_is_the_one_in_the_code():
    outcomes = {"success", "failure", "transient"}

    told = {(row[0], row[1], row[3]) for row in rows_of_tables() if row[0] in outcomes}

    assert told == {
        (str(OUTCOME_OF[path]), str(path), ", ".join(COUNTS_AS[path]) or "-") for path in WayToEnd
    }


def test_the_table_of_statuses_has_every_status_but_running():
    told = {row[0] for row in rows_of_tables()}

    assert {str(status) for status in RunStatus} - {"running"} <= told


def test_every_file_that_the_architecture_page_names_is_there():
    page = (PAGE.parent / "architecture.md").read_text(encoding="utf-8")
    core = PAGE.parents[2] / "core" / "src" / "frame"

    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", page)

    assert len(named) > 5
    assert [name for name in named if not (core / name).is_file()] == []
