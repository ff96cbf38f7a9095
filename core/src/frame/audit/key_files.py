"""The files that keys are kept in.

A private key is in a file that its owner alone may read, and nowhere else: not in a configuration, not in the store,
not in a message. Its public key is beside it, with `.pub` after the name.
"""

import os
import stat
from pathlib import Path

from frame.audit.durable import write_new
from frame.audit.notes import NotANote, Note, parse
from frame.audit.signing import PRIVATE, NotAKey, PrivateKey, PublicKey, private_key, public_key
from frame.errors import Refused, UsageError

OWNER_ONLY = 0o600
EVERYONE = 0o644
LONGEST = 10_000
"""Bytes that a key file, or a rotation record, has at most."""


def public_path(path: Path) -> Path:
    """Where the public key stands that belongs to the private key in `path`."""
    return path.with_name(f"{path.name}.pub")


def write_pair(path: Path, key: PrivateKey) -> Path:
    """Keep `key` in `path`, and its public key beside it; where that is. Raises Refused if either is there."""
    beside = public_path(path)
    for each in (path, beside):
        if os.path.lexists(each):
            raise Refused(f"{each} is there already, and no key is ever overwritten: name another with --out")
    write_new(path, key.reveal() + "\n", OWNER_ONLY)
    write_new(beside, f"{key.public}\n", EVERYONE)
    return beside


def read_private(path: Path) -> PrivateKey:
    """The private key in `path`.

    Raises UsageError if there is none, or if anybody but its owner may read or change it.
    """
    mode, text = _read(path)
    try:
        key = private_key(text.removesuffix("\n"))
    except NotAKey as why:
        raise UsageError(f"{path} {_instead(path, text, why)}") from None
    if os.name == "posix" and mode & 0o077:
        raise UsageError(
            f"{path} may be read or changed by others (mode {stat.S_IMODE(mode):04o}): `chmod 600 {path}`, and "
            "replace the key if anybody else could have seen it"
        )
    return key


def _instead(path: Path, text: str, why: NotAKey) -> str:
    """What is in a file where a private key was to be, and what to sign with."""
    try:
        public_key(text.removesuffix("\n"))
    except NotAKey:
        return f"{why} (`frame keys generate` makes one)"
    own = path.with_suffix("")
    meant = (
        f"{own}, which is beside it" if path.suffix == ".pub" and own.is_file() else "the private key of it"
    )
    return f"is a public key, which only checks what was signed: sign with {meant}"


def read_public(path: Path) -> PublicKey:
    """The public key in `path`; of a private key's file, the one that belongs to it. Raises UsageError."""
    _, text = _read(path)
    if text.startswith(PRIVATE):
        return read_private(path).public
    try:
        return public_key(text.removesuffix("\n"))
    except NotAKey as why:
        raise UsageError(f"{path} {why}, so it is no public key") from None


def read_note(path: Path) -> Note:
    """The note in `path`. Raises UsageError if there is none."""
    _, text = _read(path)
    try:
        return parse(text)
    except NotANote as why:
        raise UsageError(f"{path} {why}, so it is no signed note") from None


def _read(path: Path) -> tuple[int, str]:
    """Mode and text of a file, both of the same file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(f"{path} is not an ordinary file")
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > LONGEST:
        raise UsageError(f"{path} holds no key and no note")
    return mode, text
