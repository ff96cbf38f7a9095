"""The text of a pipeline file, read without ever blocking, running out of memory or guessing an encoding."""

import re
import stat
from pathlib import Path

from frame.config.positions import Place
from frame.errors import ConfigError, Problem

MAX_BYTES = 1_048_576
START = "`frame init` writes one to start from."

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_OTHER_ENCODINGS = {b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_bytes(path: Path) -> bytes:
    """The bytes of the file at `path`. Raises ConfigError unless it is regular and at most `MAX_BYTES`."""
    file = str(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise ConfigError([Problem(f"is {what}", "Name the pipeline file itself.", file=file)])
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem("no such file", f"Check the path; {START}", file=file)]) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        remedy = "Check the path and its permissions."
        raise ConfigError([Problem(f"cannot be read: {why}", remedy, file=file)]) from error
    return bounded(data, file)


def bounded(data: bytes, file: str) -> bytes:
    """`data`, if it is not too large for a pipeline file. Raises ConfigError."""
    if len(data) > MAX_BYTES:
        remedy = "A pipeline file holds options: put data into files of its own."
        raise ConfigError([Problem(f"is larger than {MAX_BYTES:,} bytes", remedy, file=file)])
    return data


def decoded(data: bytes, file: str) -> str:
    """`data` as text, without a byte order mark. Raises ConfigError, with the place, if it is not UTF-8."""
    remedy = "Save the file as UTF-8."
    for mark, encoding in _OTHER_ENCODINGS.items():
        if data.startswith(mark):
            raise ConfigError([Problem(f"is {encoding}, not UTF-8", remedy, "", file, 1, 1)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_after(data[: error.start].decode("utf-8", "replace"))
        message = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
        raise ConfigError([Problem(message, remedy, "", file, *place)]) from None


def refuse_control_characters(text: str, file: str) -> None:
    """Raises ConfigError for the first character that YAML does not allow (YAML 1.2, 5.1)."""
    if forbidden := _FORBIDDEN.search(text):
        place = _place_after(text[: forbidden.start()])
        message = f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML"
        raise ConfigError([Problem(message, "Take it out.", "", file, *place)])


def _place_after(before: str) -> Place:
    lines = re.split("\r\n|\r|\n", before)
    return Place(len(lines), len(lines[-1]) + 1)
