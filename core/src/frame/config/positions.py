"""Where each value of a pipeline file stands, so that every problem can name its line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from frame.errors import Problem

Path = tuple[str | int, ...]
"""The way to a value: keys and indexes, as in `("nodes", 2, "retry", "attempts")`."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


class Place(NamedTuple):
    """Line and column, both from 1; 0 when not known."""

    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value begins, where its key does (None for an item of a list), and whether it is a scalar."""

    value: Place
    key: Place | None
    is_scalar: bool


@dataclass(frozen=True, slots=True)
class Positions:
    """The places of a file's values. `Positions()` knows none: that of a pipeline built in code.

    `node_names`: the names of the nodes by index, shown beside the index.
    """

    file: str = ""
    marks: Mapping[Path, Mark] = field(default_factory=dict)
    node_names: Mapping[int, str] = field(default_factory=dict)

    def problem(self, path: Path, message: str, remedy: str = "", *, at_key: bool = False) -> Problem:
        """The problem `message` with the value at `path`, or with its key.

        A path that is not in the file (a missing key, a default) gets the place of its nearest parent there.
        """
        place = self.place(path, at_key=at_key)
        return Problem(message, remedy, self.written(path), self.file, place.line, place.column)

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Where `path` stands: a scalar's own place, a container's key."""
        for known in _upwards(path):
            mark = self.marks.get(known)
            if mark is not None:
                wants_key = not mark.is_scalar or (at_key and known == path)
                return mark.key if wants_key and mark.key is not None else mark.value
        return Place()

    def written(self, path: Path) -> str:
        """`path` as people read it, as in `nodes[2] (gain).retry.attempts`."""
        text = ""
        for index, part in enumerate(self._within_scalars(path)):
            if isinstance(part, int):
                name = self.node_names.get(part) if path[:index] == ("nodes",) else None
                text += f"[{part}] ({name})" if name else f"[{part}]"
            elif _PLAIN_KEY.match(part):
                text += f".{part}" if text else part
            else:
                text += f"[{part[:60]!r}]"
        return text

    def _within_scalars(self, path: Path) -> Path:
        # A short form (`rate_limit: 10/s`) stands for a mapping: problems inside it belong to the short form.
        for end in range(1, len(path)):
            mark = self.marks.get(path[:end])
            if mark is not None and mark.is_scalar:
                return path[:end]
        return path


def _upwards(path: Path) -> Iterator[Path]:
    return (path[:end] for end in range(len(path), -1, -1))
