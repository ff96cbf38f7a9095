"""The transform `lookup`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Literal

from frame.errors import ConfigError, Problem, WrongType
from frame.plugin import (
    Context,
    Determinism,
    Drop,
    Fail,
    FieldType,
    PipelinePath,
    PluginConfig,
    Schema,
    Transform,
    TransformResult,
    parse_field_type,
)
from frame.rows import Row, freeze
from pydantic import Field, model_validator

from frame_std.casting import CastFailed, caster
from frame_std.declared import NO_EFFECTS, PURE
from frame_std.fields import ANY, FieldName, FieldNames, FieldTypeText, missing, type_name, wanting
from frame_std.keys import Key, key_of
from frame_std.tables import Format, Table, TableUnreadable, format_of, read_table


class Lookup(Transform):
    """Add fields from a table (CSV, JSON Lines or Parquet) by a key.

    >>> import pathlib, tempfile
    >>> from frame.rows import freeze
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pathlib.Path(folder.name, "airlines.csv")
    >>> _ = table.write_text("carrier,name\\nUA,United Air Lines\\nAA,American Airlines\\n")
    >>> lookup = Lookup(Lookup.Config(path=str(table), key="carrier", take=["name"], prefix="airline_"))
    >>> lookup.start(context=None)
    >>> lookup.process(freeze({"flight": 17, "carrier": "UA"}), context=None)
    {'flight': 17, 'carrier': 'UA', 'airline_name': 'United Air Lines'}
    >>> folder.cleanup()

    The table is read whole when the run starts, once; its size and SHA-256 go on record. A key that stands in it
    twice, a null key, or a field that is not there stops the run before the first row. Keys match by type as well as
    value: a CSV table's values are text unless `types` says otherwise. A name that the row already has fails the
    row (choose a `prefix`).
    """

    name = "lookup"
    determinism = Determinism.IO_READ
    capabilities = replace(PURE, effects=replace(NO_EFFECTS, filesystem=True))

    class Config(PluginConfig):
        path: Annotated[PipelinePath, Field(min_length=1)] = Field(description="The table's file.")
        format: Format | None = Field(default=None, description="Default: by the extension of `path`.")
        key: FieldName = Field(description="The row's field to look up.")
        table_key: FieldName | None = Field(
            default=None, description="The table's field to find it in; default: the same name."
        )
        take: FieldNames = Field(min_length=1, description="The table's fields to add to the row.")
        prefix: str = Field(default="", description="Put before the names of the added fields.")
        types: dict[FieldName, FieldTypeText] = Field(
            default={}, description="Table field -> type to cast it to, as the transform `cast` does."
        )
        null_values: tuple[str, ...] = Field(
            default=(), description="Texts in the table that mean null, as in `NA`."
        )
        on_missing: Literal["fail", "null", "drop"] = Field(
            default="fail",
            description="A row whose key is not in the table fails, gets nulls, or is dropped.",
        )
        sha256: str | None = Field(
            default=None,
            pattern="^[0-9a-f]{64}$",
            description="Refuse to run when the file is another one than this SHA-256 names.",
        )

        @model_validator(mode="after")
        def _format_is_known(self) -> "Lookup.Config":
            if self.format is None and format_of(self.path) is None:
                raise ValueError(
                    f"what {self.path!r} holds is not clear; set format to csv, jsonl or parquet"
                )
            used = {self.table_key or self.key, *self.take}
            for field in self.types:
                if field not in used:
                    raise ValueError(f"types names {field!r}, which is neither the key nor taken")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._added = [self.config.prefix + field for field in self.config.take]
        self._casters = {field: caster(parse_field_type(kind)) for field, kind in self.config.types.items()}
        self._nulls = dict.fromkeys(self._added)
        self._found: dict[Key, Mapping[str, Any]] = {}
        self._key_types: frozenset[str] = frozenset()
        self._evidence: dict[str, Any] = {}
        # The name alone: what a row's record says should not depend on the machine.
        self._table_name = PurePath(self.config.path).name

    def requires(self) -> Schema:
        return wanting([self.config.key])

    def provides(self, incoming: Schema) -> Schema:
        types = {field: parse_field_type(kind) for field, kind in self.config.types.items()}
        for name in self._added:
            if name in incoming.fields:
                raise ValueError(f"take: the rows have a field {name!r} already; give a prefix")
        nullable = self.config.on_missing == "null"
        kinds = [types.get(field, ANY) for field in self.config.take]
        return incoming.with_fields(
            {
                name: FieldType(kind.name, kind.nullable or nullable, kind.items)
                for name, kind in zip(self._added, kinds, strict=True)
            }
        )

    def check(self) -> None:
        """The table is there and can be used."""
        self._load()

    def start(self, context: Context) -> None:
        table = self._load()
        self._evidence = {
            "path": self.config.path,
            "size_bytes": table.size_bytes,
            "sha256": table.sha256,
            "rows": len(table.rows),
        }

    def _load(self) -> Table:
        kind = self.config.format or format_of(self.config.path)
        assert kind is not None, "the options were checked"
        try:
            table = read_table(self.config.path, kind)
            self._check_pinned(table)
            self._found = self._by_key(table)
        except TableUnreadable as error:
            raise ConfigError([Problem(str(error), field="path")]) from error
        return table

    def evidence(self) -> Mapping[str, Any]:
        """Which table was read: path, size, SHA-256 and number of rows."""
        return self._evidence

    def process(self, row: Row, context: Context) -> TransformResult:
        key = self.config.key
        if key not in row:
            missing(row, [key], context.node)
        value = row[key]
        added = self._found.get(key_of(value))
        if added is None:
            if value is not None and self._key_types and type_name(value) not in self._key_types:
                raise WrongType(
                    key, f"{' or '.join(sorted(self._key_types))}, as the table's keys are", type_name(value)
                )
            if self.config.on_missing != "null":
                reason = f"{key!r} {value!r} is not in {self._table_name}"
                return Drop(reason) if self.config.on_missing == "drop" else Fail(reason)
            added = self._nulls
        joined = {**row, **added}
        if len(joined) < len(row) + len(added):
            taken = next(name for name in added if name in row)
            return Fail(f"a field {taken!r} is already there; give `prefix`, or drop it first")
        return joined

    def close(self) -> None:
        self._found = {}

    def _check_pinned(self, table: Table) -> None:
        if self.config.sha256 not in (None, table.sha256):
            raise TableUnreadable(
                f"{self.config.path} is not the pinned file: its SHA-256 is {table.sha256}, not {self.config.sha256}"
            )

    def _by_key(self, table: Table) -> dict[Key, Mapping[str, Any]]:
        key_field = self.config.table_key or self.config.key
        found: dict[Key, Mapping[str, Any]] = {}
        types: set[str] = set()
        for place, raw in table.rows:
            row = self._typed(place, raw, key_field)
            value = row[key_field]
            if value is None:
                raise TableUnreadable(f"{place}: the key {key_field!r} is null")
            key = key_of(value)
            if key in found:
                raise TableUnreadable(f"{place}: the key {value!r} stands in {key_field!r} a second time")
            types.add(type_name(value))
            found[key] = freeze(
                {name: row[field] for name, field in zip(self._added, self.config.take, strict=True)}
            )
        self._key_types = frozenset(types)
        return found

    def _typed(self, place: str, raw: dict[str, Any], key_field: str) -> dict[str, Any]:
        row = {}
        for field in (key_field, *self.config.take):
            if field not in raw:
                raise TableUnreadable(f"{place}: no field {field!r}; there are {', '.join(map(repr, raw))}")
            value = None if raw[field] in self.config.null_values else raw[field]
            try:
                row[field] = self._casters[field](value) if field in self._casters else value
            except CastFailed as failure:
                raise TableUnreadable(f"{place}: field {field!r}: {failure}") from failure
        return row
