"""Secrets that stand in files, as containers mount them."""

import os
import stat
from pathlib import Path

MOST_BYTES = 1_000_000


class Unreadable(Exception):
    """A file has no secret that can be used; the text says why."""


def text_of(path: Path) -> str:
    """What is in the file at `path`, without line ends at its end. Raises Unreadable.

    A link is followed, since Kubernetes mounts secrets as links; anything but an ordinary file is refused, and
    nothing is waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable(f"{path} is not an ordinary file")
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise Unreadable(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise Unreadable(f"{path} is a folder") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MOST_BYTES:
        raise Unreadable(f"{path} has more than {MOST_BYTES:,} bytes, which is no secret")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not UTF-8 text") from None
