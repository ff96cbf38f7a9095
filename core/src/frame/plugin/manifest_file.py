"""Where the manifest of a plugin package is, and what may be wrong with it; frame.plugin.manifest reads it."""

import importlib.util
from pathlib import Path

FILE = "frame-plugin.json"


class ManifestError(ValueError):
    """A manifest that cannot be used. `faults`: each with its place in the document."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return f"{FILE}: {'; '.join(self.faults)}"


class LaterManifest(ManifestError):
    """A manifest of a schema that this frame does not know."""


def place_of(top_level: str) -> Path | None:
    """The manifest in the import package `top_level`, if there is one. Imports nothing."""
    spec = importlib.util.find_spec(top_level)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, FILE)
        if path.is_file():
            return path
    return None
