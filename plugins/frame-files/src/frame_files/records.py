"""What a text format makes of a block of lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from frame.plugin import InvalidRow

from frame_files.blocks import Blocks

Item = Mapping[str, Any] | InvalidRow
RAW_KEPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block begins: the file's name, the line (from 1) and the byte (from 0)."""

    file: str
    line: int
    offset: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """The records of a block.

    `line_ends[n]`: how many lines of the block are used up after `items[n]`; `lines`: how many there are.
    With `names`, the items are lists of values still, to be made into rows one at a time: a row that lives
    only while it is looked at stays in the processor's cache
    (1.4 to 1.5 us a row of ten columns in place of 1.8, splitting included).
    `rest_bytes`: as many bytes at its end begin a record that goes on in the next block; they are not among
    `lines`. `stop`: why nothing after `items` can be read.
    """

    items: Sequence[Item] | Sequence[list[Any]]
    line_ends: Sequence[int]
    lines: int
    rest_bytes: int = 0
    stop: str | None = None
    names: tuple[str, ...] | None = None


class Records(Protocol):
    """One text format, set up for one file."""

    def begin(self, blocks: Blocks) -> tuple[bytes, int]:
        """Read what comes before the first record: its bytes, and how many lines they are. Raises ValueError."""
        ...

    def parse(self, data: bytes, place: Place, last: bool) -> Parsed:
        """The records in `data`, which begins at `place`; `last`: nothing comes after it."""
        ...


def invalid(raw: bytes, reason: str, file: str, line: int) -> InvalidRow:
    """An invalid row, with at most 64 kB of what stands in the file.

    >>> invalid(b"x", "is no row", "a.csv", 3)
    InvalidRow(raw=b'x', reason='is no row', place='a.csv:3')
    """
    return InvalidRow(raw[:RAW_KEPT_BYTES], reason, f"{file}:{line}")


def not_text(raw: bytes, offset: int, encoding: str, error: UnicodeDecodeError) -> str:
    """The reason for an invalid row whose bytes, which begin at `offset`, are not in `encoding`."""
    return f"byte {offset + error.start} (0x{raw[error.start]:02x}) is not valid {encoding}"
