"""The rows of tokens that wait in an open batch: in memory while they are few, then in a temporary file."""

import tempfile
from collections.abc import Iterator, Sequence

from frame.canonical import restore
from frame.rows import Row, freeze

IN_MEMORY_BYTES = 8 * 1024 * 1024


class Spool:
    """Rows in the order in which they were added. `tokens`: whose they are."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        self.tokens: list[int] = []

    def add(self, tokens: Sequence[int], forms: Sequence[bytes]) -> None:
        self.tokens += tokens
        self._file.write(b"".join(form + b"\n" for form in forms))

    def __iter__(self) -> Iterator[tuple[int, Row, bytes]]:
        """Token, row and canonical form, in order."""
        self._file.seek(0)
        for token, line in zip(self.tokens, self._file, strict=True):
            form = line[:-1]
            yield token, freeze(restore(form)), form

    def close(self) -> None:
        self._file.close()
