"""A single bit of the database file that is turned over is found, if it means anything."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.tamper.tamper_changes import flip_bit, logical
from tests.tamper.tamper_store import Original, build, findings_of, put_back

SHORT, LONG = 150, 10_000
SEED = int(os.environ.get("FRAME_TAMPER_SEED", "1"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return build(tmp_path_factory.mktemp("bits") / "store")


@dataclass
class Tally:
    """Bits that were found; those that change nothing that SQL sees (`dead`), found or not; those that were missed."""

    found: int = 0
    dead_found: int = 0
    dead: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)


def flipped(original: Original, path: Path, count: int, seed: int) -> Tally:
    """What verification finds of so many single bits."""
    put_back(original, path)
    seen, chance, tally = logical(path), random.Random(seed), Tally()
    for _ in range(count):
        bit = chance.randrange(8 * len(original.data))
        flip_bit(path, original.data, bit)
        means_nothing = logical(path) == seen
        found = bool(findings_of(path, original.receipts))
        if not means_nothing:
            tally.found += found
            tally.missed += [] if found else [bit]
        elif found:
            tally.dead_found += 1
        else:
            tally.dead.append(bit)
    return tally


def test_bits_that_mean_something_are_found(original: Original, tmp_path: Path) -> None:
    tally = flipped(original, tmp_path / "audit.db", SHORT, SEED)

    assert tally.missed == []
    assert tally.found > SHORT // 4


@pytest.mark.soak
def test_ten_thousand_bits_that_mean_something_are_found(
    original: Original, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = flipped(original, tmp_path / "audit.db", LONG, SEED)

    dead = tally.dead_found + len(tally.dead)
    with capsys.disabled():
        print(f"\n{LONG} bits of a file of {len(original.data)} bytes: {LONG - dead} change what is stored,")
        print(f"{tally.found} of them found, {len(tally.missed)} not; {dead} change nothing that SQL sees,")
        print(f"{tally.dead_found} of them found nevertheless")
    assert tally.missed == []
