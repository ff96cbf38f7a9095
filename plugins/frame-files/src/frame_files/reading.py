"""One text file being read: its blocks, its records, and where in the file each of them ends."""

import hashlib
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from frame.errors import Refused

from frame_files.blocks import Blocks, Overlong
from frame_files.places import STANDARD, Input
from frame_files.records import Item, Parsed, Place, Records, invalid
from frame_files.streams import Broken, Stream, is_bytewise, opened

_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_STEP_BYTES = 1024 * 1024
PUT_BACK = "Put it back as it was, or run the pipeline anew"
"""What helps where a file that was read is another one now."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How text files are read, whatever their format."""

    encoding: str
    max_line_bytes: int
    max_expansion: int
    quote: bytes = b""


class Span:
    """A stretch of the file, parsed. `rows` gives its items."""

    __slots__ = ("_cursor", "_line_sizes", "data", "hashed", "parsed", "rows")

    def __init__(self, parsed: Parsed, data: bytes) -> None:
        self.parsed, self.data = parsed, data
        self.hashed = 0
        self._cursor = iter(parsed.items)
        self._line_sizes: list[int] = []
        self.rows: Iterator[Any] = self._cursor
        if parsed.names is not None:
            values: Iterator[Any] = self._cursor
            self.rows = map(dict, map(zip, repeat(parsed.names), values))

    def given(self) -> int:
        """How many items were given so far."""
        return len(self.parsed.items) - operator.length_hint(self._cursor)

    def taken(self) -> tuple[int, int]:
        """How many bytes and lines the items that were given so far take up."""
        count = self.given()
        if count == len(self.parsed.items):
            return len(self.data), self.parsed.lines
        if not count:
            return 0, 0
        lines = self.parsed.line_ends[count - 1]
        self._line_sizes = self._line_sizes or [len(line) for line in self.data.splitlines(keepends=True)]
        return sum(self._line_sizes[:lines]), lines


_NOTHING = Parsed((), (), 0)


class TextFile:
    """The records of one file. Raises ValueError, Broken or OSError when it cannot even begin."""

    def __init__(self, source: Input, records: Records, reading: Reading) -> None:
        self._input, self._records, self._reading = source, records, reading
        self._file = source.open()
        self._sha256 = hashlib.sha256()
        self._offset, self._line = 0, 1
        self._span = Span(_NOTHING, b"")
        self._stored: Any = None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        stream, self._stored = opened(
            self._file, self._input.location, self._reading.encoding, self._reading.max_expansion
        )
        self._blocks = Blocks(stream, self._reading.max_line_bytes, self._sha256.update, self._reading.quote)
        self._skip_bom(stream)
        head, lines = self._records.begin(self._blocks)
        self._sha256.update(head)
        self._offset, self._line = self._offset + len(head), self._line + lines

    def _skip_bom(self, stream: Stream) -> None:
        start = stream.read(_STEP_BYTES // 16)
        while 0 < len(start) < 4 and (more := stream.read(4)):
            start += more
        encoding = self._reading.encoding
        for bom, meant in _BOMS.items():
            if (
                start.startswith(bom)
                and meant == "utf-16"
                and is_bytewise(encoding)
                and encoding[:3].lower() == "utf"
            ):
                raise ValueError(f"the file is in UTF-16, not in {encoding}: set encoding to utf-16")
            if start.startswith(bom) and meant == "utf-8":
                self._sha256.update(bom)
                self._offset = len(bom)
                start = start[len(bom) :]
        if (
            b"\0" in start[:4]
            and start[:4].strip(b"\0").isascii()
            and len(start) > 3
            and start[:4].count(b"\0") > 1
        ):
            raise ValueError(f"the file looks like UTF-16 or UTF-32, not like {encoding}: set encoding")
        self._blocks.put_back(start)

    def skip(self, offset: int, line: int, sha256: str) -> None:
        """Go to `offset`, where line `line` begins. Raises Refused unless the bytes before it have this hash."""
        if offset < self._offset:
            raise Refused(
                f"{self._input.uri} cannot be read on at byte {offset}: the file has changed. {PUT_BACK}"
            )
        while self._offset < offset:
            data = self._blocks.take_bytes(min(_STEP_BYTES, offset - self._offset))
            if not data:
                raise Refused(
                    f"{self._input.uri} has become shorter: it ends at byte {self._offset}, "
                    f"with SHA-256 {self.sha256}, and {offset} bytes of it with SHA-256 {sha256} were read before. "
                    f"{PUT_BACK}"
                )
            self._sha256.update(data)
            self._offset += len(data)
        if self.sha256 != sha256:
            raise Refused(
                f"{self._input.uri} has changed: its first {offset} bytes had SHA-256 {sha256} "
                f"and have {self.sha256} now. {PUT_BACK}"
            )
        self._line = line

    def skip_all(self) -> None:
        """Go to the end of the file."""
        while data := self._blocks.take_bytes(_STEP_BYTES):
            self._sha256.update(data)
            self._offset += len(data)

    def spans(self) -> Iterator[Span]:
        """The records, some at a time. A span has to be used up before the next one is asked for.

        Raises Broken where the file cannot be read any further.
        """
        while (data := self._blocks.take()) is not None:
            place = Place(self._input.name, self._line, self._offset)
            if isinstance(data, Overlong):
                yield self._overlong(data, place)
                continue
            parsed = self._records.parse(data, place, self._blocks.ended)
            if parsed.rest_bytes:
                self._blocks.extend(data[-parsed.rest_bytes :])
                data = data[: -parsed.rest_bytes]
            self._span = Span(parsed, data)
            yield self._span
            self._settle()
            if parsed.stop:
                raise Broken(parsed.stop)

    def _overlong(self, line: Overlong, place: Place) -> Span:
        self._offset += line.size
        self._line += 1
        limit = self._reading.max_line_bytes
        if line.quotes % 2:
            raise Broken(
                f"line {place.line} has more than {limit} bytes (max_line_bytes) and ends inside a quoted field: "
                "raise max_line_bytes"
            )
        reason = f"the line has {line.size} bytes, more than max_line_bytes ({limit})"
        item: Item = invalid(line.head, reason, place.file, place.line)
        self._span = Span(Parsed([item], (0,), 0), b"")
        return self._span

    def _settle(self) -> None:
        """Move on behind the span that has been used up."""
        span = self._span
        self._sha256.update(span.data[span.hashed :])
        self._offset += len(span.data)
        self._line += span.parsed.lines
        self._span = Span(_NOTHING, b"")

    def position(self) -> dict[str, Any]:
        """Where the item that was given last ends, and the hash of everything before."""
        span = self._span
        size, lines = span.taken()
        self._sha256.update(span.data[span.hashed : size])
        span.hashed = max(size, span.hashed)
        return {"offset": self._offset + size, "line": self._line + lines, "sha256": self.sha256}

    @property
    def sha256(self) -> str:
        """The hash of the text that was consumed so far."""
        return self._sha256.hexdigest()

    def evidence(self) -> Mapping[str, Any]:
        """What was read of the stored bytes: as much as the rows that were given took, if nothing is compressed."""
        here = self.position()
        as_stored = self._stored.size == here["offset"]
        return {
            "uri": self._input.uri,
            "size_bytes": self._stored.size,
            "sha256": here["sha256"] if as_stored else self._stored.sha256,
            "mtime": self._input.mtime(),
        }

    def close(self) -> None:
        if self._input.location != STANDARD:
            self._file.close()
