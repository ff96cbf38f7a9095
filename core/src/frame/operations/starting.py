"""A pipeline to begin with."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from importlib_metadata import entry_points

from frame.errors import Refused
from frame.plugin.hookspecs import ENTRY_POINT_GROUP

WRITTEN = {"pipeline.yaml": "pipeline.yaml", "orders.csv": "orders.csv", "README.md": "readme.txt"}
"""File to write -> the file of `starter` that it is a copy of."""

NEEDED = {"files": "frame-files", "std": "frame-std"}
"""Plugin package that the pipeline needs -> the distribution that has it."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was written, and the distributions that have to be installed before it runs."""

    folder: Path
    written: tuple[str, ...]
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The result as one JSON object."""
        return {
            "schema_version": 1,
            "folder": str(self.folder),
            "written": list(self.written),
            "missing": list(self.missing),
        }


def init(folder: str | os.PathLike[str] = ".") -> Started:
    """A pipeline that runs, with its data, in `folder`, which is made if there is none.

    Raises Refused, and writes nothing, if one of its files is there already or the folder cannot be written to.
    """
    where = Path(folder)
    present = [name for name in WRITTEN if os.path.lexists(where / name)]
    if present:
        raise Refused(
            f"{where} has {' and '.join(present)} already, and init overwrites nothing: name an empty folder"
        )
    starter = files("frame.operations") / "starter"
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name, origin in WRITTEN.items():
            with (where / name).open("xb") as file:
                file.write((starter / origin).read_bytes())
    except OSError as error:
        raise Refused(f"{error.filename or where} cannot be written: {error.strerror}") from error
    announced = {entry_point.name for entry_point in entry_points(group=ENTRY_POINT_GROUP)}
    missing = tuple(distribution for package, distribution in NEEDED.items() if package not in announced)
    return Started(where, tuple(WRITTEN), missing)
