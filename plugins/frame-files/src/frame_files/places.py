"""What the option `path` means: which files are read, which file is written, and what is refused.

A path is a local file, `-` (stdin or stdout), or a URL that fsspec knows. Only regular files are read or
written: a folder, a device or a FIFO has neither an end nor a content that could be hashed.
"""

import difflib
import errno
import glob
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit, urlunsplit

from frame.errors import ConfigError, Problem

STANDARD = "-"
LONGEST_NAME = 250
"""Bytes that file systems allow for a name, less the five that `.part` takes while a file is written."""


def wrong(node: str, message: str, remedy: str = "", option: str = "path") -> ConfigError:
    """The error for an option that cannot be carried out, naming node and option."""
    return ConfigError([Problem(message, remedy, f"{node}.options.{option}")])


def is_url(path: str) -> bool:
    return "://" in path


def local_path(path: str) -> str:
    """`path` without a leading `file://`."""
    return unquote(urlsplit(path).path) if path.startswith("file://") else path


def without_credentials(url: str) -> str:
    """`url` without user, password and query, which may hold secrets.

    >>> without_credentials("ftp://me:secret@host/a.csv?key=1")
    'ftp://host/a.csv'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def checked_path(path: str) -> str:
    """`path`, if it is one that can be meant. Raises ValueError."""
    if not path:
        raise ValueError("the path is empty: name a file")
    if "\0" in path:
        raise ValueError("the path has a NUL character in it")
    if path.startswith("~"):
        raise ValueError(f"{path!r} begins with '~', which frame does not expand: write the whole path")
    return path


def checked_target(path: str) -> str:
    """`path`, if a sink may write there. Raises ValueError."""
    checked_path(path)
    if ".." in local_path(path).replace("\\", "/").split("/"):
        raise ValueError(f"{path!r} climbs out of its folder with '..': write an absolute path instead")
    if path.endswith(("/", os.sep)):
        raise ValueError(f"{path!r} names a folder: name a file in it")
    if not is_url(path):
        long = [part for part in path.split("/") if len(os.fsencode(part)) > LONGEST_NAME]
        if long:
            raise ValueError(
                f"{long[0][:40] + '...'!r} is longer than the {LONGEST_NAME} bytes that a name may have"
            )
    return path


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read. `name` is what people see, `uri` what is recorded, `location` what is opened."""

    name: str
    uri: str
    location: str
    storage: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def open(self) -> BinaryIO:
        """The bytes, unbuffered where that can be. Raises OSError."""
        if self.location == STANDARD:
            return sys.stdin.buffer
        if is_url(self.location):
            return _open_url(self.location, self.storage)
        descriptor = os.open(
            self.location, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is not a regular file", self.location)
        return cast(BinaryIO, os.fdopen(descriptor, "rb", buffering=0))

    def mtime(self) -> str | None:
        """When the file was last changed, RFC 3339; None when nobody knows."""
        if self.location == STANDARD or is_url(self.location):
            return None
        changed = datetime.fromtimestamp(Path(self.location).stat().st_mtime, UTC)
        return changed.isoformat().replace("+00:00", "Z")


def listed(path: str, node: str, storage: Mapping[str, Any]) -> list[Input]:
    """The files that `path` means, in a fixed order: by name. Raises ConfigError when there is none.

    A glob that matches no file is an error, and so is a match that is no regular file.
    """
    if path == STANDARD:
        return [Input("stdin", "stdin:", STANDARD)]
    if is_url(path) and not path.startswith("file://"):
        return _listed_urls(path, node, storage)
    path = local_path(path)
    if not glob.has_magic(path) or os.path.lexists(path):
        check_readable(path, node)
        return [Input(Path(path).name, file_uri(path), path)]
    matches = sorted(match for match in glob.iglob(path, recursive=True) if not Path(match).is_dir())  # noqa: PTH207
    if not matches:
        raise wrong(node, f"no file matches {path!r}", "Check the pattern; `**` also goes into folders.")
    for match in matches:
        check_readable(match, node)
    return [Input(name, file_uri(match), match) for name, match in zip(_short(matches), matches, strict=True)]


def check_readable(path: str, node: str) -> None:
    """Raise ConfigError, with the reason, unless `path` is a regular file that may be read."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise wrong(node, f"no such file: {path!r}", _near(path)) from None
    except OSError as error:
        raise wrong(node, f"{path!r} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        remedy = (
            'Use path: "-" and redirect standard input.' if stat.S_ISFIFO(mode) else "Name a regular file."
        )
        raise wrong(node, f"{path!r} is {_sort(mode)}, not a regular file", remedy)
    if not os.access(path, os.R_OK):
        raise wrong(node, f"{path!r} may not be read by this user", "Change its permissions.")


def check_writable(path: str, node: str) -> None:
    """Raise ConfigError unless `path` is free or a regular file, in a folder that is there or can be made."""
    try:
        mode = Path(path).lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise wrong(node, f"{path!r} cannot be written: {error.strerror}") from error
    else:
        if not stat.S_ISREG(mode):
            raise wrong(node, f"{path!r} is {_sort(mode)}, not a regular file", "Name another file.")
    folder = Path(path).absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise wrong(node, f"{path!r} cannot be written: '{folder}' is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise wrong(node, f"{path!r} cannot be written: folder '{folder}' is read-only for this user")


def _sort(mode: int) -> str:
    sorts = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO"}
    return sorts.get(stat.S_IFMT(mode), "a device or socket")


def _near(path: str) -> str:
    """Advice that names files which look like `path`."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        return f"The folder '{folder}' does not exist, either."
    names = [entry.name for entry in folder.iterdir()] if os.access(folder, os.R_OK) else []
    near = difflib.get_close_matches(Path(path).name, names, n=3)
    if near:
        return f"Did you mean {' or '.join(repr(str(Path(path).parent / name)) for name in near)}?"
    return f"The folder '{folder}' has no file with a name like that."


def _short(paths: Sequence[str]) -> list[str]:
    """The paths from their common folder on."""
    common = os.path.commonpath([Path(path).parent for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def file_uri(path: str) -> str:
    return Path(path).absolute().as_uri()


def _listed_urls(url: str, node: str, storage: Mapping[str, Any]) -> list[Input]:
    try:
        system, path = file_system(url, storage)
        found = sorted(system.glob(path)) if glob.has_magic(path) else [path] * system.exists(path)
    except (ImportError, ValueError, OSError) as error:
        raise wrong(node, f"{without_credentials(url)} cannot be opened: {error}") from error
    if not found:
        raise wrong(node, f"there is nothing at {without_credentials(url)}")
    urls = [url] if not glob.has_magic(path) else [system.unstrip_protocol(name) for name in found]
    return [Input(one.rpartition("/")[2], without_credentials(one), one, storage) for one in urls]


def file_system(url: str, storage: Mapping[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url, **storage)
    return system, str(path)


def _open_url(url: str, storage: Mapping[str, Any]) -> BinaryIO:
    system, path = file_system(url, storage)
    return cast(BinaryIO, system.open(path, "rb"))
