"""Signed notes (C2SP signed-note): a text that people can read, and lines that say who stands for it.

    frame/0192f5c8-...
    12
    fXFnL...=
                                        <- an empty line ends the text
    — frame dT+vRs0B...=                <- key id (4 bytes) and signature, in Base64

What is not exactly so is refused: of two readers, none may see another text than the other.
"""

import base64
import binascii
import re
from dataclasses import dataclass

DASH = "\N{EM DASH}"
KEY_ID = 4
"""Bytes of a key id."""
MOST_SIGNATURES = 16
MOST_BYTES = 1_000_000
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class NotANote(ValueError):
    """A text is not a signed note; says in what."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: the name of the key, its id, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{DASH} {self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends with a line feed; without any signature the text stands alone."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}" if self.signatures else self.text


def is_name(name: str) -> bool:
    """Whether a key can be called so: not empty, no white space, no `+`, nothing that a terminal acts upon."""
    return _NAME.fullmatch(name) is not None and name.isprintable()


def parse(written: str) -> Note:
    """The note that is written so, and with another writing there is none. Raises NotANote.

    A text without signatures is taken, too: who needs one looks for it.
    """
    if len(written) > MOST_BYTES:
        raise NotANote(f"is longer than {MOST_BYTES:,} characters")
    if _CONTROL.search(written):
        raise NotANote("has a control character")
    if not written.endswith("\n"):
        raise NotANote("does not end with a line feed")
    text, divider, signed = written.rpartition("\n\n")
    if not divider:
        return Note(written)
    lines = signed.split("\n")[:-1]
    if not text or not lines or len(lines) > MOST_SIGNATURES:
        raise NotANote(f"has no text, or not 1 to {MOST_SIGNATURES} signatures after the last empty line")
    signatures = tuple(_signature(line) for line in lines)
    if len({(each.name, each.key_id) for each in signatures}) < len(signatures):
        raise NotANote("has two signatures by one key")
    return Note(text + "\n", signatures)


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not is_name(parts[1]):
        raise NotANote(f"{line[:80]!r} is no signature line")
    try:
        data = base64.b64decode(parts[2].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NotANote(f"{line[:80]!r} is not Base64") from error
    # Base64 leaves bits at its end unused: only one of the ways of setting them is a signature.
    if base64.b64encode(data).decode("ascii") != parts[2] or len(data) <= KEY_ID:
        raise NotANote(f"{line[:80]!r} is not Base64 of a key id and a signature")
    return Signature(parts[1], data[:KEY_ID], data[KEY_ID:])
