"""What a user wants to know about a plugin, told from its class: for `frame plugins info` and reference pages."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from frame.plugin.capabilities import Capabilities
from frame.plugin.protocols import Aggregation, Kind, Plugin, Sink, Source, Transform
from frame.plugin.registry_found import Found
from frame.plugin.registry_source import FOREIGN_FAILURES
from frame.plugin.schema import Schema, parse_field_type


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a plugin. `options`: those of the models inside it, as in a list of objects."""

    name: str
    type: str
    required: bool
    default: Any
    description: str
    limits: str
    secret: bool
    options: tuple["Option", ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The option as JSON values."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "default": self.default,
            "description": self.description,
            "limits": self.limits,
            "secret": self.secret,
            "options": [option.as_json() for option in self.options],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Option":
        """The option that `as_json` has written."""
        return cls(**{**told, "options": tuple(map(cls.from_json, told["options"]))})


@dataclass(frozen=True, slots=True)
class Description:
    """A plugin as its user sees it.

    `requires`, `provides`: what is known of incoming and outgoing rows, None when it depends on the options.
    `config_schema`: the options as JSON Schema (2020-12). `delivery`: of a sink, None for the other kinds.
    """

    kind: Kind
    name: str
    qualified: str
    summary: str
    text: str
    options: tuple[Option, ...]
    config_schema: Mapping[str, Any]
    determinism: str
    delivery: str | None
    capabilities: Capabilities | None
    requires: Schema | None
    provides: Schema | None
    distribution: str
    version: str
    record_sha256: str
    api: int

    def as_json(self) -> dict[str, Any]:
        """The description as JSON values."""
        return {
            "kind": str(self.kind),
            "name": self.name,
            "qualified": self.qualified,
            "summary": self.summary,
            "text": self.text,
            "options": [option.as_json() for option in self.options],
            "config_schema": dict(self.config_schema),
            "determinism": self.determinism,
            "delivery": self.delivery,
            "capabilities": None if self.capabilities is None else asdict(self.capabilities),
            "requires": schema_as_json(self.requires),
            "provides": schema_as_json(self.provides),
            "distribution": self.distribution,
            "version": self.version,
            "record_sha256": self.record_sha256,
            "api": self.api,
        }


def describe(found: Found) -> Description:
    """The description of a plugin that has been found."""
    plugin = found.plugin
    summary, _, text = inspect.cleandoc(plugin.__doc__ or "").partition("\n")
    requires, provides = _schemas(plugin)
    return Description(
        kind=found.kind,
        name=found.name,
        qualified=found.qualified,
        summary=summary,
        text=text.strip(),
        options=options_of(plugin.Config),
        config_schema=plugin.Config.model_json_schema(),
        determinism=str(plugin.determinism),
        delivery=str(plugin.delivery) if issubclass(plugin, Sink) else None,
        capabilities=plugin.capabilities,
        requires=requires,
        provides=provides,
        distribution=found.distribution,
        version=found.version,
        record_sha256=found.record_sha256,
        api=found.api,
    )


def options_of(model: type[BaseModel]) -> tuple[Option, ...]:
    """The options that `model` takes, in the order of their definition."""
    return _options(model, frozenset())


def _options(model: type[BaseModel], above: frozenset[type[BaseModel]]) -> tuple[Option, ...]:
    """`above`: the models that this one is nested in; a model inside itself is not told again."""
    if model in above:
        return ()
    return tuple(_option(name, field, above | {model}) for name, field in model.model_fields.items())


def _option(name: str, field: FieldInfo, above: frozenset[type[BaseModel]]) -> Option:
    secret = any(part in (SecretStr, SecretBytes) for part in _parts(field.annotation))
    nested = [part for part in _parts(field.annotation) if _is_model(part)]
    return Option(
        name=field.validation_alias if isinstance(field.validation_alias, str) else field.alias or name,
        type=type_text(field.annotation),
        required=field.is_required(),
        default=None if field.is_required() or secret else _default(field),
        description=field.description or "",
        limits=_limits(field),
        secret=secret,
        options=tuple(option for part in nested for option in _options(part, above)),
    )


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _default(field: FieldInfo) -> Any:
    if field.default_factory is None:
        return to_jsonable_python(field.default, fallback=str)
    try:
        value = field.get_default(call_default_factory=True, validated_data={})
        return to_jsonable_python(value, fallback=str)
    except KeyError:
        return None


def _parts(annotation: Any) -> Iterator[Any]:
    """`annotation` and everything inside it."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _parts(inner)


_NAMES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    SecretStr: "secret",
    SecretBytes: "secret",
    Any: "anything",
    dict: "mapping",
    list: "list",
}


def type_text(annotation: Any) -> str:
    """A type in a user's words.

    >>> type_text(dict[str, list[int] | None]), type_text(Literal["fail", "append"])
    ('mapping of list of integer or null', '"fail" or "append"')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _NAMES or not inner:
        return _NAMES.get(annotation) or _plain_type_text(annotation)
    if origin is Annotated:
        return type_text(inner[0])
    if origin is Literal:
        return " or ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in inner)
    if origin in (Union, UnionType):
        return _alternatives(inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {type_text(inner[1])}"
    return f"list of {_alternatives(part for part in inner if part is not Ellipsis)}"


def _alternatives(annotations: Iterable[Any]) -> str:
    return " or ".join(dict.fromkeys(type_text(part) for part in annotations))


def _plain_type_text(annotation: Any) -> str:
    members = getattr(annotation, "__members__", None)
    if members:
        return " or ".join(f'"{member.value}"' for member in members.values())
    if _is_model(annotation):
        return "object"
    return str(getattr(annotation, "__name__", annotation)).lower()


_LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of", "pattern": "matches"}
_LENGTHS = {"min_length": "at least {} long", "max_length": "at most {} long"}


def _limits(field: FieldInfo) -> str:
    told = []
    for constraint in field.metadata:
        for name, words in _LIMITS.items():
            if getattr(constraint, name, None) is not None:
                told.append(f"{words} {getattr(constraint, name)}")
        for name, words in _LENGTHS.items():
            if getattr(constraint, name, None) is not None:
                told.append(words.format(getattr(constraint, name)))
    return ", ".join(told)


def _schemas(plugin: type[Plugin]) -> tuple[Schema | None, Schema | None]:
    """What the plugin requires and provides when made without options; None where that cannot be told."""
    if any(field.is_required() for field in plugin.Config.model_fields.values()):
        return None, None
    try:
        made = plugin(plugin.Config())
        return made.requires(), _provided(made)
    except FOREIGN_FAILURES:
        # Options that do not go together unless some are given: then nothing is known without options.
        return None, None


def _provided(made: Plugin) -> Schema | None:
    match made:
        case Source():
            return made.provides()
        case Transform() | Aggregation():
            return made.provides(Schema())
        case _:
            return None


def schema_as_json(schema: Schema | None) -> dict[str, Any] | None:
    """A schema as JSON values; None where it depends on the options."""
    if schema is None:
        return None
    return {"fields": {name: str(kind) for name, kind in schema.fields.items()}, "complete": schema.complete}


def schema_from_json(told: Mapping[str, Any] | None) -> Schema | None:
    """The schema that `schema_as_json` has written."""
    if told is None:
        return None
    fields = {name: parse_field_type(kind) for name, kind in told["fields"].items()}
    return Schema(fields, told["complete"])
