"""The manifest of a plugin package: `frame-plugin.json`, which says what the package offers to who does not import it.

The file lies in the import package. `frame plugins manifest` makes it from the code; nobody writes it by hand, and
where it does not say what the code says, the package is refused. Of a package whose sources are being edited
(an editable installation) the code is asked instead.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from frame.plugin.capabilities import Capabilities
from frame.plugin.manifest_file import LaterManifest, ManifestError
from frame.plugin.protocols import Delivery, Determinism, Kind
from frame.plugin.registry_names import near

SCHEMA_VERSION: Literal[1] = 1
REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"

_SUGGESTED: dict[str, type[StrEnum]] = {"kind": Kind, "determinism": Determinism, "delivery": Delivery}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Entry(_Part):
    """One plugin. `reference`: "module:Class". `told`: its description for people, as JSON values."""

    kind: Kind
    name: str
    reference: Annotated[str, Field(alias="class", pattern=REFERENCE)]
    summary: str
    determinism: Determinism
    delivery: Delivery | None
    capabilities: Capabilities | None
    config_schema: dict[str, Any]
    told: dict[str, Any]


class Manifest(_Part):
    """What a package offers. `plugin_api`: the oldest and the newest plugin API that it works with.

    `hooks`: what it implements besides the five kinds of plugin, as in "frame_secret_providers".
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    package: str
    distribution: str
    version: str
    plugin_api: tuple[int, int]
    plugins: tuple[Entry, ...]
    hooks: tuple[str, ...] = ()

    def as_text(self) -> str:
        """The file, the same for the same manifest."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> Manifest:
    """The manifest at `path`. Raises ManifestError, and LaterManifest if a newer frame has written it."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ManifestError((f"cannot be read: {error}",)) from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise LaterManifest((f"schema_version is {version}, and this frame knows {SCHEMA_VERSION}",))
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise ManifestError(tuple(_faults(error))) from error


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        yield f"{_place(fault['loc'])}: {_said(fault)}"


def _place(parts: tuple[int | str, ...]) -> str:
    """
    >>> _place(("plugins", 0, "kind"))
    'plugins[0].kind'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".") or "it"


def _said(fault: ErrorDetails) -> str:
    given = fault["input"]
    known = _SUGGESTED.get(str(fault["loc"][-1])) if fault["loc"] else None
    if known is None or not isinstance(given, str):
        return fault["msg"][:1].lower() + fault["msg"][1:]
    guess = near(given, known)
    return f'"{given}"' + (f' (did you mean "{guess[0]}"?)' if guess else f"; there are {', '.join(known)}")
