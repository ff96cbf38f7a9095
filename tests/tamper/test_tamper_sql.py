"""Whatever is changed in a store through SQL is found, and the place is named."""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from frame.audit import schema
from frame.audit.verify import Finding

from tests.tamper.tamper_changes import Change, Tamperer, logical
from tests.tamper.tamper_store import Original, build, findings_of, put_back, verified

SHORT, LONG = 150, 10_000
SEED = int(os.environ.get("FRAME_TAMPER_SEED", "1"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return build(tmp_path_factory.mktemp("tamper") / "store")


def test_a_store_that_nobody_touched_is_intact(original: Original, tmp_path: Path) -> None:
    put_back(original, tmp_path / "audit.db")

    report = verified(tmp_path / "audit.db", original.receipts)

    assert report.all_findings == []
    assert [run.anchored_blocks == run.blocks for run in report.runs] == [True] * 4


def test_the_store_has_something_in_every_table(original: Original, tmp_path: Path) -> None:
    put_back(original, tmp_path / "audit.db")

    seen = logical(tmp_path / "audit.db")

    assert seen is not None
    assert [table for table in schema.metadata.tables if not seen[table]] == []


@dataclass
class Tally:
    """How many changes were made in each table, and which of them were not found, or found in no place."""

    made: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)


def tampered(original: Original, path: Path, count: int, seed: int) -> Tally:
    """What verification finds of so many single changes."""
    chance, tally = random.Random(seed), Tally()
    for _ in range(count):
        put_back(original, path)
        change = Tamperer(path, chance).tamper()
        tally.made[change.table] += 1
        findings = findings_of(path, original.receipts)
        if not findings:
            tally.missed.append(str(change))
        elif not any(names_place(finding, change) for finding in findings):
            tally.unplaced.append(f"{change}: {findings[0]}")
    return tally


def names_place(finding: Finding, change: Change) -> bool:
    """Whether it names the table that was changed, or the commit: a block says no more of a changed row.

    A store that cannot be opened any more says why, and has no other place.
    """
    return change.table in (finding.table or "") or finding.block is not None or finding.key == "opening"


def test_changes_through_sql_are_found_and_placed(original: Original, tmp_path: Path) -> None:
    tally = tampered(original, tmp_path / "audit.db", SHORT, SEED)

    assert (tally.missed, tally.unplaced) == ([], [])


@pytest.mark.soak
def test_ten_thousand_changes_through_sql_are_found(
    original: Original, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = tampered(original, tmp_path / "audit.db", LONG, SEED)

    with capsys.disabled():
        print(
            f"\n{tally.made.total()} changes through SQL in {len(tally.made)} tables: {len(tally.missed)} not found"
        )
        print(f"{len(tally.unplaced)} found and not placed")
        print(", ".join(f"{table} {count}" for table, count in sorted(tally.made.items())))
    assert (tally.missed, tally.unplaced) == ([], [])
