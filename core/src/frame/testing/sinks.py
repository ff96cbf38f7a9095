"""A sink that keeps what it is given."""

from collections.abc import Callable, Sequence

from frame.plugin import Delivery, Determinism, PluginConfig, Rejected, Sink
from frame.rows import Row


class ListSink(Sink):
    """Keeps rows in `rows`, each write once however often it is repeated.

    `rejects`: the reason why a row is refused, or None. `fails`: how many writes fail as a whole, at first.

    >>> sink = ListSink(rejects=lambda row: "too small" if row["n"] < 2 else None)
    >>> sink.write([Row(n=1), Row(n=2)], key="1")
    [Rejected(index=0, reason='too small')]
    >>> sink.rows
    [{'n': 2}]
    """

    name = "list"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.IDEMPOTENT

    def __init__(self, *, rejects: Callable[[Row], str | None] | None = None, fails: int = 0) -> None:
        super().__init__(PluginConfig())
        self._rejects, self._fails = rejects, fails
        self.rows: list[Row] = []
        self.writes: dict[str, list[Row]] = {}
        self._failed = 0

    def open(self, position: object) -> None:
        """Begin anew, or go on."""
        if position is None:
            self.rows, self.writes, self._failed = [], {}, 0

    def write(self, rows: Sequence[Row], key: str) -> Sequence[Rejected]:
        if self._failed < self._fails:
            self._failed += 1
            raise OSError(f"write {self._failed} of {self._fails} that fail")
        reasons = {index: self._rejects(row) for index, row in enumerate(rows)} if self._rejects else {}
        refused = [Rejected(index, reason) for index, reason in reasons.items() if reason is not None]
        if key not in self.writes:
            self.writes[key] = [row for index, row in enumerate(rows) if reasons.get(index) is None]
            self.rows += self.writes[key]
        return refused

    def position(self) -> int:
        return len(self.rows)
