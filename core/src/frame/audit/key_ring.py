"""Which keys are trusted: those that were handed in, and those that they have passed their trust on to.

A rotation record is a signed note that old and new key sign both, so that neither can bring in the other alone:

    frame/key-rotation
    NAME+KEYID+BASE64          the old key
    NAME+KEYID+BASE64          the new key
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frame.audit.key_files import read_note, read_public
from frame.audit.notes import Note
from frame.audit.signing import NotAKey, PrivateKey, PublicKey, public_key
from frame.errors import UsageError

ROTATION = "frame/key-rotation"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Trusted public keys."""

    keys: tuple[PublicKey, ...] = ()

    def signer(self, note: Note) -> PublicKey | None:
        """The trusted key that has signed `note`, None if none has."""
        return next((key for key in self.keys if key.has_signed(note)), None)


def rotation(old: PrivateKey, new: PrivateKey) -> Note:
    """The record that `new` follows `old`."""
    text = f"{ROTATION}\n{old.public}\n{new.public}\n"
    return Note(text, (old.signature(text), new.signature(text)))


def rotated(note: Note) -> tuple[PublicKey, PublicKey]:
    """The old and the new key of a rotation record. Raises UsageError if it is none, or not signed by both."""
    lines = note.text.split("\n")
    if len(lines) != 4 or lines[0] != ROTATION:
        raise UsageError("this note is not the record of a key's rotation")
    try:
        old, new = public_key(lines[1]), public_key(lines[2])
    except NotAKey as why:
        raise UsageError(f"a key in the rotation record {why}") from None
    if not (old.has_signed(note) and new.has_signed(note)):
        raise UsageError(f"the rotation record from {old.name} to {new.name} is not signed by both of them")
    return old, new


def trusting(keys: Iterable[PublicKey], rotations: Sequence[Note] = ()) -> KeyRing:
    """`keys`, and what they lead to by `rotations`, in whatever order those come. Raises UsageError."""
    trusted = dict.fromkeys(keys)
    steps = [rotated(each) for each in rotations]
    while new := [after for before, after in steps if before in trusted and after not in trusted]:
        trusted.update(dict.fromkeys(new))
    return KeyRing(tuple(trusted))


def read_ring(paths: Iterable[Path]) -> KeyRing:
    """The keys in `paths`: files of public keys, and rotation records to follow from them. Raises UsageError."""
    keys, rotations = [], []
    for path in paths:
        if is_rotation(path):
            rotations.append(read_note(path))
        else:
            keys.append(read_public(path))
    return trusting(keys, rotations)


def is_rotation(path: Path) -> bool:
    """Whether the file at `path` begins as a rotation record does."""
    try:
        with path.open("rb") as file:
            return file.read(len(ROTATION) + 1) == f"{ROTATION}\n".encode()
    except OSError:
        return False
