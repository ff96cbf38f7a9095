"""A stream of bytes, cut into blocks that end where a line ends."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from frame_files.streams import Broken, Stream

# 1.0 us a row of ten fields with 16 or 32 kB, 1.25 with 64 kB, 1.4 with 128 kB: larger blocks do not fit the cache.
BLOCK_BYTES = 32 * 1024
HEAD_BYTES = 64 * 1024
_LINE_END = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line that is longer than allowed: its first bytes, its size with the line end, and how many quotes it has."""

    head: bytes
    size: int
    quotes: int


class Blocks:
    """Whole lines from `stream`, about 32 kB at a time, never a line longer than `max_line_bytes`.

    `skipped` is told the bytes that no block will have: those of overlong lines.
    """

    def __init__(
        self, stream: Stream, max_line_bytes: int, skipped: Callable[[bytes], None], quote: bytes = b""
    ) -> None:
        self._stream, self._max, self._skipped, self._quote = stream, max_line_bytes, skipped, quote
        self._buffer = b""
        self._begun = b""
        self._broken: Broken | None = None
        self.ended = False

    def take(self) -> bytes | Overlong | None:
        """The next lines; None at the end. Only the last block may lack its line end.

        Raises Broken when there is no whole line left before the damage.
        """
        begun, self._begun = self._begun, b""
        buffer, self._buffer = begun + self._buffer, b""
        while True:
            cut = _last_line_end(buffer, len(begun))
            if cut or self.ended:
                cut = cut or len(buffer)
                self._buffer = buffer[cut:]
                return self._checked(buffer[:cut]) if cut > self._max and not begun else buffer[:cut] or None
            if self._broken:
                raise self._broken
            if len(buffer) > self._max:
                return buffer if begun else self._skip_line(buffer)
            buffer += self._more(max(BLOCK_BYTES, len(buffer)))

    def take_bytes(self, size: int) -> bytes:
        """The next bytes, at most `size`, wherever lines end; none at the end. Raises Broken."""
        if not self._buffer:
            self._buffer = self._more(size)
        if self._broken:
            raise self._broken
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _checked(self, lines: bytes) -> bytes | Overlong:
        """The lines before the first one that is too long, or that one."""
        size = 0
        for line in lines.splitlines(keepends=True):
            if len(line) > self._max:
                break
            size += len(line)
        else:
            return lines
        if size:
            self.put_back(lines[size:])
            return lines[:size]
        self.put_back(lines[len(line) :])
        self._skipped(line)
        return Overlong(line[:HEAD_BYTES], len(line), line.count(self._quote) if self._quote else 0)

    def put_back(self, lines: bytes) -> None:
        """Take back whole lines; they come again next."""
        self._buffer = lines + self._buffer

    def extend(self, begun: bytes) -> None:
        """Take back what began a record; the next block begins with it and has more lines."""
        self._begun = begun

    def _more(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except Broken as error:
            self._broken = error
            return b""
        self.ended = not data
        return data

    def _skip_line(self, buffer: bytes) -> Overlong:
        """Read on to the next line end without keeping what is read."""
        head, size, quotes = buffer[:HEAD_BYTES], 0, 0
        while not self.ended:
            end = _LINE_END.search(buffer)
            part = buffer[: end.end()] if end else buffer
            self._skipped(part)
            size += len(part)
            quotes += part.count(self._quote) if self._quote else 0
            if end:
                self._buffer = buffer[end.end() :]
                break
            if self._broken:
                raise self._broken
            buffer = self._more(BLOCK_BYTES)
        return Overlong(head, size, quotes)


def _last_line_end(buffer: bytes, start: int) -> int:
    r"""Where the last line of `buffer` ends, if that is after `start`; 0 if no line ends there.

    A final `\r` does not count: its `\n` may be still to come.
    """
    return buffer.rfind(b"\n", start) + 1 or buffer.rfind(b"\r", start, max(len(buffer) - 1, start)) + 1
