"""What is to survive a power cut: small files beside the store, written whole or not at all, and what others wrote."""

import os
import time
from contextlib import suppress
from pathlib import Path

from frame.errors import Refused


def write_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path`, where nothing may be. Raises Refused."""
    _write(path, text, mode, replace=False)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path`, in place of what is there. Raises Refused."""
    _write(path, text, mode, replace=True)


def _write(path: Path, text: str, mode: int, *, replace: bool) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.new")
    try:
        _make_folder(path.parent)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            beside.replace(path)
        else:
            os.link(beside, path)
        sync(path.parent)
    except FileExistsError as error:
        raise Refused(f"{path} is there already and is not overwritten") from error
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except FileExistsError as error:
        raise Refused(f"{folder} is a file where a folder is needed") from error


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, durably: one that is there may be what a killed process has not synced."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    for above in folder.absolute().parents:
        with suppress(PermissionError):  # nobody who may not read it has made a folder there
            sync(above)
        if above == here or above.is_mount():
            return


def sync(path: Path) -> None:
    """Let a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
