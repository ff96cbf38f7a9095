"""Where text goes: data to stdout, messages to stderr, neither able to play tricks on a terminal."""

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO, cast

import click

from frame.secrecy import PROCESS

_KEPT = frozenset("\n\t")
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that a terminal obeys instead of showing: controls, bidi and other format characters."""


def visible(text: str) -> str:
    r"""`text` with everything that a terminal would obey written as an escape, line breaks included.

    >>> visible("a\x1b[31mb\u202ec\n")
    'a\\x1b[31mb\\u202ec\\n'
    """
    return _escaped(text, frozenset())


def safe(text: str) -> str:
    r"""`text` for printing: as `visible`, but its line breaks and tabs stay.

    >>> safe("a\n\x07b")
    'a\n\\x07b'
    """
    return _escaped(text, _KEPT)


def _escaped(text: str, kept: frozenset[str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in kept or unicodedata.category(character) not in _UNSAFE
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


class NobodyReads(Exception):
    """Standard output was closed by its reader, as `head` does, or cannot be written for the reason given."""


def print_data(text: str) -> None:
    """Write `text` to stdout, as it is. Raises NobodyReads."""
    with _to_stdout():
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def hand_over() -> None:
    """Let everything that was printed leave the process. Raises NobodyReads."""
    with _to_stdout():
        sys.stdout.flush()


@contextmanager
def _to_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise NobodyReads from error
    except OSError as error:
        raise NobodyReads(error.strerror) from error


def leave_stdout() -> None:
    """Let what is left in the buffer go nowhere; the interpreter would complain of it on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout: indented for a person, on one line for a program."""
    import orjson

    option = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    print_data(orjson.dumps(value, default=_as_json, option=option).decode())


def _as_json(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "as_json"):
        return value.as_json()
    return str(value)


def say(*lines: str, colour: str = "") -> None:
    """Write messages to stderr, safely, in whatever encoding it has; in `colour` where colours are wanted.

    Secrets that this process has read are left out. A message that cannot be written stops nothing: the exit code
    still tells how it went.
    """
    text = safe(PROCESS.text("\n".join(lines)))
    if colour and colours(sys.stderr):
        text = click.style(text, fg=colour)
    encoding = sys.stderr.encoding or "utf-8"
    with suppress(OSError):
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()


def complain(message: str) -> None:
    """Say what went wrong."""
    say(f"frame: {message}", colour="red")


def colours(stream: TextIO) -> bool:
    """Whether colours are wanted on `stream`: it is a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(
    rows: Iterable[tuple[str, ...]], indent: str = "  ", right: frozenset[int] = frozenset()
) -> list[str]:
    """`rows` as lines whose cells stand under each other; `right`: columns that end there.

    >>> columns([("a", "10"), ("bcd", "5")], right=frozenset({1}))
    ['  a    10', '  bcd   5']
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    return [
        (
            indent
            + "  ".join(
                cell.rjust(width) if place in right else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in cells
    ]


def open_closed_streams() -> None:
    """Give standard streams that were closed a descriptor again, so that no file is ever opened in their place.

    Whatever is written to a closed stdout fails, for a sink may write there; messages go nowhere, as was asked.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


class ScreenedStream:
    """A stand-in for sys.stderr while plugins run, whatever they write to it: secrets are left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` without the secrets that this process has read."""
        self._stream.write(PROCESS.text(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @classmethod
    def instead_of(cls, stream: TextIO) -> TextIO:
        """The stand-in for `stream`."""
        return cast(TextIO, cls(stream))


class PluginPrints:
    """A stand-in for sys.stdout while plugins run: what they print is a message, what a sink writes is data."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, stdout: TextIO) -> None:
        self.buffer: BinaryIO = stdout.buffer

    def write(self, text: str) -> int:
        """Print `text` on stderr, whatever that is now."""
        with suppress(OSError):
            sys.stderr.write(safe(PROCESS.text(text)))
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back here."""
        with suppress(OSError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """No: nobody draws here."""
        return False

    @classmethod
    def instead_of(cls, stdout: TextIO) -> TextIO:
        """The stand-in for `stdout`."""
        return cast(TextIO, cls(stdout))


@contextmanager
def plugins_apart() -> Iterator[None]:
    """While plugins run: what they print is kept off stdout and free of secrets, and so is what they say on stderr."""
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = PluginPrints.instead_of(stdout), ScreenedStream.instead_of(stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
