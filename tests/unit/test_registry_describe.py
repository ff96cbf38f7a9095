"""What `frame plugins info` and the reference pages say about a plugin."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import orjson
import pytest
from frame.plugin import Context, Delivery, Determinism, Kind, PluginConfig, Rejected, Schema, Sink, Transform
from frame.plugin.describe import describe, options_of, type_text
from frame.plugin.describe_markdown import package_page
from frame.plugin.registry import Registry
from frame.plugin.schema import FieldType
from frame.rows import Row
from pydantic import BaseModel, Field, SecretStr


class Column(BaseModel):
    title: str = Field(description="What stands above it.")
    width: int = Field(10, ge=1, le=80)
    inner: "list[Column]" = []


class Letter(Sink):
    """Send rows by post.

    Slowly | surely.
    """

    name = "letter"
    determinism = Determinism.IO_WRITE
    delivery = Delivery.IDEMPOTENT

    class Config(PluginConfig):
        to: str = Field(min_length=1, description="Who gets\nit.")
        stamp: SecretStr | None = None
        as_: Literal["card", "parcel"] = Field("card", alias="as")
        columns: list[Column] = Field(default_factory=lambda: [Column(title="all")])

    def write(self, rows: Any, key: str) -> list[Rejected]:
        return []


class Tag(Transform):
    """Add `tag`.

    >>> Tag(Tag.Config()).process({"id": 1}, context=None)
    {'id': 1, 'tag': 'new'}

    It takes the place of one that is there.

    >>> Tag(Tag.Config(tag="old")).process({"tag": 1}, context=None)
    {'tag': 'old'}
    """

    name = "tag"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        tag: str = "new"

    def requires(self) -> Schema:
        return Schema({"id": FieldType("int")})

    def provides(self, incoming: Schema) -> Schema:
        return incoming.with_fields({"tag": FieldType("str")})

    def process(self, row: Row, context: Context) -> dict[str, Any]:
        return {**row, "tag": self.config.tag}


REGISTRY = Registry.of([Letter, Tag])


def test_a_description_tells_all_that_the_class_says() -> None:
    told = describe(REGISTRY.find(Kind.SINK, "letter")).as_json()

    assert told.pop("record_sha256")
    options = told.pop("options")
    assert told.pop("config_schema") == Letter.Config.model_json_schema()
    assert told == {
        "kind": "sink",
        "name": "letter",
        "qualified": "local.letter",
        "summary": "Send rows by post.",
        "text": "Slowly | surely.",
        "determinism": "io_write",
        "delivery": "idempotent",
        "capabilities": None,
        "requires": None,
        "provides": None,
        "distribution": "",
        "version": "",
        "api": 1,
    }
    assert [(each["name"], each["type"], each["required"], each["default"]) for each in options] == [
        ("to", "text", True, None),
        ("stamp", "secret or null", False, None),
        ("as", '"card" or "parcel"', False, "card"),
        ("columns", "list of object", False, [{"title": "all", "width": 10, "inner": []}]),
    ]
    assert [each["secret"] for each in options] == [False, True, False, False]
    assert [(each["name"], each["limits"]) for each in options[3]["options"]] == [
        ("title", ""),
        ("width", ">= 1, <= 80"),
        ("inner", ""),
    ]
    orjson.dumps(options)


def test_schemas_are_told_when_they_do_not_depend_on_options() -> None:
    told = describe(REGISTRY.find(Kind.TRANSFORM, "tag")).as_json()

    assert told["requires"] == {"fields": {"id": "int"}, "complete": False}
    assert told["provides"] == {"fields": {"tag": "str"}, "complete": False}


def test_a_default_secret_is_never_told() -> None:
    class Config(PluginConfig):
        password: SecretStr = SecretStr("hunter2")

    (option,) = options_of(Config)

    assert option.default is None
    assert "hunter2" not in repr(option)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int | None, "integer or null"),
        (dict[str, float], "mapping of number"),
        (list[str | int], "list of text or integer"),
        (tuple[int, ...], "list of integer"),
        (tuple[int, int], "list of integer"),
        (Annotated[bool, "x"], "true or false"),
        (Colour, '"red" or "blue"'),
        (Literal[1, "all"], '1 or "all"'),
        (list, "list"),
        (Any, "anything"),
    ],
)
def test_types_are_told_in_a_users_words(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


def test_the_reference_page_of_a_package_has_a_section_for_each_plugin() -> None:
    found = (REGISTRY.find(Kind.TRANSFORM, "tag"), REGISTRY.find(Kind.SINK, "letter"))

    page = package_page("local", "some-plugins", [describe(each) for each in found])

    assert page == (
        """\
# Plugins of `local`

From the distribution `some-plugins`.

## Transforms

### `tag`

Add `tag`.

```pycon
>>> Tag(Tag.Config()).process({"id": 1}, context=None)
{'id': 1, 'tag': 'new'}
```

It takes the place of one that is there.

```pycon
>>> Tag(Tag.Config(tag="old")).process({"tag": 1}, context=None)
{'tag': 'old'}
```

Qualified name: `local.tag`. Determinism: `deterministic`.

| option | type | default | meaning |
|---|---|---|---|
| `tag` | text | `"new"` |  |

## Sinks

### `letter`

Send rows by post.

Slowly | surely.

Qualified name: `local.letter`. Determinism: `io_write`.
Delivery: `idempotent`.

| option | type | default | meaning |
|---|---|---|---|
| `to` | text | required | Who gets it. (at least 1 long) |
| `stamp` | secret or null |  |  |
| `as` | "card" or "parcel" | `"card"` |  |
| `columns` | list of object | `[{"title":"all","width":10,"inner":[]}]` |  |
| `columns.title` | text | required | What stands above it. |
| `columns.width` | integer | `10` | >= 1, <= 80 |
| `columns.inner` | list of object | `[]` |  |
"""
    )
