"""What pins a plugin's code in the record: one SHA-256 for the files of its distribution.

An installed wheel: SHA-256 over those lines of its RECORD that the wheel itself brought along, sorted. Lines
that an installer adds (INSTALLER, REQUESTED, direct_url.json, scripts, compiled files) are left out, so that
the same wheel has the same hash on every machine, and the hash can be told from the wheel alone.

An editable installation, or one without RECORD: nothing is said about the sources there, so it is SHA-256
over the lines `path,sha256=...,size` of every file in the import packages, sorted: the same format, made from
what there is.
"""

import base64
import csv
import hashlib
import importlib.util
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from importlib_metadata import Distribution

_ADDED_BY_INSTALLERS = frozenset(
    {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
)


def record_sha256(distribution: Distribution, modules: Iterable[str]) -> str:
    """The hash of what `distribution` installed, in hexadecimal.

    `modules`: dotted names of its modules, used to find its sources when RECORD does not list them.
    """
    record = None if is_editable(distribution) else distribution.read_text("RECORD")
    if record is None:
        lines = {line for package in sorted(_import_packages(modules)) for line in _source_lines(package)}
    else:
        lines = {",".join(row) for row in _shipped(record)}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def is_editable(distribution: Distribution) -> bool:
    """Whether the distribution's code lives where it is being edited (PEP 610)."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def changed_files(distribution: Distribution) -> list[str]:
    """Files that are not as the wheel brought them: edited, or gone. Empty for an editable installation."""
    record = None if is_editable(distribution) else distribution.read_text("RECORD")
    return [path for path, digest, _ in _shipped(record or "") if digest != _digest_of(distribution, path)]


def _digest_of(distribution: Distribution, path: str) -> str | None:
    file = Path(str(distribution.locate_file(path)))
    return _digest(file.read_bytes()) if file.is_file() else None


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _shipped(record: str) -> Iterator[tuple[str, str, str]]:
    """(path, digest, size) of each file that came with the wheel."""
    for row in csv.reader(io.StringIO(record)):
        if len(row) != 3 or not row[1]:
            continue
        path = PurePosixPath(row[0])
        added = path.parent.name.endswith(".dist-info") and path.name in _ADDED_BY_INSTALLERS
        if not added and ".." not in path.parts and "__pycache__" not in path.parts:
            yield row[0], row[1], row[2]


def _import_packages(modules: Iterable[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def _source_lines(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    for root in (spec and spec.submodule_search_locations) or ():
        folder = Path(root)
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield _line(PurePosixPath(package, file.relative_to(folder).as_posix()), file)
    if spec and not spec.submodule_search_locations and spec.has_location and spec.origin:
        yield _line(PurePosixPath(Path(spec.origin).name), Path(spec.origin))


def _line(name: PurePosixPath, file: Path) -> str:
    content = file.read_bytes()
    return f"{name},{_digest(content)},{len(content)}"
