"""Exports appear whole or not at all: written beside their place, made durable, and moved there at the end.

Whatever ends the writing early, a full disk or Ctrl-C, leaves nothing behind; what stood at the place before is
touched only when the new export is whole.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from frame.audit.durable import sync
from frame.errors import ExportError, Refused

MANIFEST = "manifest.json"
"""A folder with this file in it is an export, and may be replaced by one."""
BEGINNINGS = (
    b'{"record":"run",',
    b'{"record":"manifest",',
    b"<!doctype html>",
    b'{"eventTime":',
    b'{"prefix":',
    b'#!/usr/bin/env python3\n"""Check an export of frame',
)
"""How the files of exports begin, the verifier's too. Any other file is somebody's, and is not replaced."""


def check(target: Path, overwrite: bool) -> None:
    """Raises Refused if an export may not be put at `target`."""
    if target.is_symlink():
        raise Refused(f"{target} is a link: name the place itself, so that nothing is written elsewhere")
    if target.is_dir() and overwrite and not (target / MANIFEST).is_file() and any(target.iterdir()):
        raise Refused(f"{target} is a folder and no export: it is not overwritten, name another place")
    if os.path.lexists(target) and not overwrite:
        raise Refused(f"{target} is there already: name another place, or overwrite it with --overwrite")
    if target.is_file() and not _is_export(target):
        raise Refused(f"{target} is a file and no export: it is not overwritten, name another place")


def _is_export(path: Path) -> bool:
    with _explained(path), path.open("rb") as file:
        return file.read(max(map(len, BEGINNINGS))).startswith(BEGINNINGS)


@contextmanager
def new_file(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """A file to write to, which is found at `target` once the block is left without an error.

    Raises Refused if something is there already, ExportError if it cannot be written.
    """
    check(target, overwrite)
    if target.is_dir():
        raise Refused(f"{target} is a folder: name a file")
    beside = _beside(target)
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _move(beside, target, overwrite)
            sync(target.parent)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which is found at `target` once the block is left without an error.

    Raises Refused if something is there already, ExportError if it cannot be written.
    """
    check(target, overwrite)
    if os.path.lexists(target) and not target.is_dir():
        raise Refused(f"{target} is a file: name a folder")
    beside = _beside(target)
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.mkdir()
            yield beside
            for each in beside.iterdir():
                sync(each)
            sync(beside)
            _replace_folder(beside, target)
            sync(target.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}.new")


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(str(target), error.strerror or str(error)) from error


def _move(beside: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        beside.replace(target)
        return
    try:
        os.link(beside, target)  # unlike a rename, it fails where something came to be in the meantime
    except FileExistsError as error:
        raise Refused(f"{target} came to be while it was written: it was left as it is") from error
    except OSError:  # a file system without hard links
        check(target, overwrite)
        beside.rename(target)


def _replace_folder(beside: Path, target: Path) -> None:
    if not target.exists():
        beside.rename(target)
        return
    old = beside.with_suffix(".old")
    target.rename(old)
    try:
        beside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)
