"""Rows gathered in groups by key, and the statistics of each group."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from frame.errors import WrongType
from frame.plugin import FieldType, PluginConfig, Schema
from pydantic import AfterValidator, Field, model_validator

from frame_std.field_stats import (
    LARGEST_EXPONENT,
    FieldStats,
    Number,
    Stat,
    Summary,
    deviation,
    mean,
    quantile,
    total,
)
from frame_std.fields import OneOrMore, missing, reader, type_in, type_name
from frame_std.keys import Key, key_of, scalar, sorting


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("something is listed twice")
    return values


_Share = Annotated[float, Field(ge=0, le=1)]


class StatsConfig(PluginConfig):
    """The options of every plugin that tells statistics by groups."""

    by: OneOrMore = Field(
        default=(), description="The fields whose values make a group; default: all rows are one group."
    )
    of: OneOrMore = Field(
        default=(), description="The number fields to tell about (int, float, decimal; nulls are left out)."
    )
    stats: Annotated[tuple[Stat, ...], AfterValidator(_distinct)] = Field(
        default=(Stat.COUNT, Stat.SUM, Stat.MEAN, Stat.MIN, Stat.MAX, Stat.STDDEV),
        description="What to tell, each as FIELD_STAT: count (of values), nulls, sum, mean, min, max, "
        "stddev (sample, n - 1), stddev_pop (n).",
    )
    quantiles: Annotated[tuple[_Share, ...], AfterValidator(_distinct)] = Field(
        default=(), description="Shares from 0 to 1, each told as FIELD_pNN: 0.5 is the median, FIELD_p50."
    )
    rows_as: str | None = Field(
        default="rows",
        min_length=1,
        description="The field that takes the group's number of rows; null: none.",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> "StatsConfig":
        names = list(self.by) + ([self.rows_as] if self.rows_as else [])
        names += [
            name for field in self.of for name in (*self.stat_names(field), *self.quantile_names(field))
        ]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two fields of the output would be called {name!r}")
        return self

    def stat_names(self, field: str) -> list[str]:
        return [f"{field}_{stat}" for stat in self.stats]

    def quantile_names(self, field: str) -> list[str]:
        """As in `delay_p50`; the point of a broken percentage becomes `_`, as in `delay_p99_9`."""
        percents = [format(Decimal(repr(share)) * 100, "f") for share in self.quantiles]
        return [f"{field}_p{_trimmed(percent).replace('.', '_')}" for percent in percents]


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


class _Group:
    __slots__ = ("fields", "key", "rows")

    def __init__(self, key: tuple[Any, ...], fields: list[FieldStats]) -> None:
        self.key = key
        self.fields = fields
        self.rows = 0


class Groups:
    """The groups of one batch. `leading` names further key fields, whose values `add` is given."""

    def __init__(self, config: StatsConfig, leading: Sequence[str] = ()) -> None:
        self._config = config
        self._key_names = (*leading, *config.by)
        self._by = reader(config.by)
        self._of = reader(config.of)
        self._shares = [Fraction(repr(share)) for share in config.quantiles]
        self._keep = bool(self._shares) or not {Stat.STDDEV, Stat.STDDEV_POP}.isdisjoint(config.stats)
        self._groups: dict[Key, _Group] = {}

    def add(self, row: Mapping[str, Any], node: str, leading: tuple[Any, ...] = ()) -> None:
        """Take `row` in. One that raises MissingField or WrongType leaves no trace."""
        try:
            key = (*leading, *self._by(row))
            values = self._of(row)
        except KeyError:
            missing(row, (*self._config.by, *self._config.of), node)
        for value in values:
            kind = type(value)
            if not (kind is float or kind is int or value is None):
                self._check(values)
        told_apart = tuple([part if type(part) is str else key_of(part) for part in key])
        group = self._groups.get(told_apart)
        if group is None:
            group = self._groups[told_apart] = self._new(key)
        group.rows += 1
        for stats, value in zip(group.fields, values, strict=True):
            stats.add(value)

    def rows(self) -> list[dict[str, Any]]:
        """One row a group, in the order of their keys."""
        return [
            self._row(group) for group in sorted(self._groups.values(), key=lambda group: sorting(group.key))
        ]

    def clear(self) -> None:
        self._groups = {}

    def _new(self, key: tuple[Any, ...]) -> _Group:
        shown = tuple(scalar(part, name) for part, name in zip(key, self._key_names, strict=True))
        return _Group(shown, [FieldStats(self._keep) for _ in self._config.of])

    def _check(self, values: Iterable[Any]) -> None:
        for field, value in zip(self._config.of, values, strict=True):
            if isinstance(value, Decimal):
                if (
                    not value.is_finite()
                    or max(abs(value.adjusted()), len(value.as_tuple().digits)) > LARGEST_EXPONENT
                ):
                    raise WrongType(field, f"a decimal below 10^{LARGEST_EXPONENT}", "beyond that")
            elif value is not None and type(value) not in (int, float):
                raise WrongType(field, "a number", type_name(value))

    def _row(self, group: _Group) -> dict[str, Any]:
        row = dict(zip(self._key_names, group.key, strict=True))
        if self._config.rows_as is not None:
            row[self._config.rows_as] = group.rows
        for field, stats in zip(self._config.of, group.fields, strict=True):
            row |= self._told(field, stats)
        return row

    def _told(self, field: str, stats: FieldStats) -> dict[str, Any]:
        summary = stats.summary()
        values = stats.values() if self._keep else []
        told = [_statistic(stat, stats, summary, values) for stat in self._config.stats]
        told += [quantile(values, share, summary.kind) for share in self._shares]
        return dict(
            zip([*self._config.stat_names(field), *self._config.quantile_names(field)], told, strict=True)
        )


def _statistic(stat: Stat, stats: FieldStats, summary: Summary, values: Sequence[Number]) -> Number | None:
    match stat:
        case Stat.COUNT:
            return summary.count
        case Stat.NULLS:
            return stats.nulls
        case Stat.SUM:
            return total(summary)
        case Stat.MEAN:
            return mean(summary)
        case Stat.MIN:
            return summary.low
        case Stat.MAX:
            return summary.high
        case Stat.STDDEV:
            return deviation(values, summary, freedom=1)
        case Stat.STDDEV_POP:
            return deviation(values, summary, freedom=0)


def provided(config: StatsConfig, incoming: Schema, leading: Mapping[str, FieldType]) -> Schema:
    """What is known of the rows that `Groups.rows` gives."""
    fields = {**leading, **{name: type_in(incoming, name) for name in config.by}}
    if config.rows_as is not None:
        fields[config.rows_as] = FieldType("int")
    for field in config.of:
        given = type_in(incoming, field)
        for stat, name in zip(config.stats, config.stat_names(field), strict=True):
            fields[name] = _stat_type(stat, given)
        fields |= dict.fromkeys(config.quantile_names(field), _divided(given, given.nullable))
    return Schema(fields, complete=True)


def _stat_type(stat: Stat, given: FieldType) -> FieldType:
    match stat:
        case Stat.COUNT | Stat.NULLS:
            return FieldType("int")
        case Stat.SUM | Stat.MIN | Stat.MAX:
            return given
        case Stat.MEAN:
            return _divided(given, given.nullable)
        case Stat.STDDEV | Stat.STDDEV_POP:
            return _divided(given, nullable=True)


def _divided(given: FieldType, nullable: bool) -> FieldType:
    name = {"int": "float", "float": "float", "decimal": "decimal"}.get(given.name, "any")
    return FieldType(name, nullable or name == "any")
