"""The aggregation `window`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from frame.errors import MissingField, WrongType
from frame.plugin import Aggregation, Context, Determinism, FieldType, PluginConfig, Schema
from frame.rows import Row
from pydantic import Field, model_validator

from frame_std.declared import PURE
from frame_std.durations import Duration
from frame_std.fields import FieldName, type_name, wanting
from frame_std.groups import Groups, StatsConfig, provided

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS = ("window_start", "window_end")


class Window(Aggregation):
    """Tell statistics of number fields by tumbling windows of time, and by groups in them.

    >>> from datetime import UTC, datetime
    >>> from frame.rows import freeze
    >>> window = Window(Window.Config(time="at", size="1h", of="n", stats=["sum"]))
    >>> for minute, n in ((5, 1), (59, 2), (61, 4)):
    ...     window.accept(freeze({"at": datetime(2013, 1, 1, 12 + minute // 60, minute % 60, tzinfo=UTC), "n": n}))
    >>> [(row["window_start"].hour, row["window_end"].hour, row["rows"], row["n_sum"]) for row in window.flush()]
    [(12, 13, 2, 3), (13, 14, 1, 4)]

    Windows begin at whole multiples of `size` since 1970-01-01T00:00Z (plus `offset`), so days are days in UTC; a
    moment on a bound belongs to the window that begins there. One row a window and group, in that order; windows
    without rows are not made up. A row whose time is null or no datetime fails. Every flush tells all windows of
    its batch: rows of one window that fall in two batches give two rows.
    """

    name = "window"
    determinism = Determinism.DETERMINISTIC
    capabilities = PURE

    class Config(StatsConfig):
        time: FieldName = Field(description="The datetime field.")
        size: Duration = Field(
            ge=timedelta(milliseconds=1),
            le=timedelta(days=3660),
            description="How long a window is, as in `15m`.",
        )
        offset: Duration = Field(
            default=timedelta(0),
            ge=timedelta(0),
            description="Where the first window begins after 1970-01-01T00:00Z.",
        )

        @model_validator(mode="after")
        def _bounds_have_names_of_their_own(self) -> "Window.Config":
            for name in _BOUNDS:
                if name in (*self.by, self.rows_as):
                    raise ValueError(f"{name!r} is the name of a window's bound")
            if self.offset >= self.size:
                raise ValueError("offset must be shorter than size")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._origin = _EPOCH + self.config.offset
        self._groups = Groups(self.config, leading=_BOUNDS)

    def requires(self) -> Schema:
        return Schema(
            {**wanting([*self.config.by, *self.config.of]).fields, self.config.time: FieldType("datetime")}
        )

    def provides(self, incoming: Schema) -> Schema:
        return provided(self.config, incoming, dict.fromkeys(_BOUNDS, FieldType("datetime")))

    def start(self, context: Context) -> None:
        self._node = context.node

    def accept(self, row: Row) -> None:
        field, size = self.config.time, self.config.size
        if field not in row:
            raise MissingField(field, self._node)
        moment = row[field]
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise WrongType(field, "a datetime", type_name(moment))
        try:
            begin = self._origin + (moment - self._origin) // size * size
            end = begin + size
        except OverflowError:
            raise WrongType(
                field, "a datetime whose window lies between the years 1 and 9999", str(moment)
            ) from None
        self._groups.add(row, self._node, leading=(begin, end))

    def flush(self) -> Sequence[Mapping[str, Any]]:
        rows = self._groups.rows()
        self._groups.clear()
        return rows

    def close(self) -> None:
        self._groups.clear()
