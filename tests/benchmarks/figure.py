"""One measured figure, held against its bar."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. `ok` is None where there is no bar, or nothing could be measured; `note` says which."""

    name: str
    value: float | None
    unit: str
    ratio: float | None = None
    bar: str = ""
    ok: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return asdict(self)


def skipped(name: str, why: str) -> Figure:
    """A figure that cannot be measured here."""
    return Figure(name, None, "", note=f"skipped: {why}")
