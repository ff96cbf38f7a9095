"""Ed25519 keys (RFC 8032) and what they sign.

Keys are one line each, as the note format of C2SP writes them:

    PRIVATE+KEY+NAME+KEYID+BASE64
    NAME+KEYID+BASE64
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from frame.audit.notes import KEY_ID, Note, Signature, is_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "Ed25519"
PRIVATE = "PRIVATE+KEY+"
SEED = 32
_MARK = b"\x01"


class NotAKey(ValueError):
    """A text is not the line of a key; says in what, and never what stands in it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a signature is checked with. `str()` gives its line."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """The key id of C2SP, 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + _MARK + self.key).digest()[:KEY_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_MARK + self.key)}"

    def has_signed(self, note: Note) -> bool:
        """Whether a signature of `note` is by this key. One that says so and is wrong makes it False."""
        mine = [each for each in note.signatures if (each.name, each.key_id) == (self.name, self.key_id)]
        return bool(mine) and all(self._verifies(note.text, each.signature) for each in mine)

    def _verifies(self, text: str, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # 45 ms that a run without a key need not pay
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """What signs. It shows itself nowhere and is not pickled."""

    name: str
    _seed: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"<private key {self.name!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")

    @property
    def public(self) -> PublicKey:
        """The key that its signatures are checked with."""
        return PublicKey(self.name, self._signer().public_key().public_bytes_raw())

    def sign(self, text: str) -> Note:
        """`text`, which ends with a line feed, with this key's signature."""
        return Note(text, (self.signature(text),))

    def signature(self, text: str) -> Signature:
        """The signature line for `text`."""
        return Signature(self.name, self.public.key_id, self._signer().sign(text.encode()))

    def reveal(self) -> str:
        """The line that holds the key itself, for the file that keeps it."""
        return f"{PRIVATE}{self.name}+{self.public.key_id.hex()}+{_base64(_MARK + self._seed)}"

    def _signer(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)


def new_key(name: str) -> PrivateKey:
    """A key that nobody else has. Raises NotAKey if a key cannot be called so."""
    if not is_name(name):
        raise NotAKey(f"cannot be called {name!r}: a name has no spaces and no +")
    return PrivateKey(name, os.urandom(SEED))


def private_key(line: str) -> PrivateKey:
    """The key of a line that `reveal` gave. Raises NotAKey."""
    if not line.startswith(PRIVATE):
        raise NotAKey("is no private key of frame")
    name, key_id, seed = _parts(line.removeprefix(PRIVATE))
    key = PrivateKey(name, seed)
    _check_id(key.public, key_id)
    return key


def public_key(line: str) -> PublicKey:
    """The key of a line that `str` gave. Raises NotAKey, for the line of a private key as well."""
    if line.startswith(PRIVATE):
        raise NotAKey("is a private key where a public one is to stand; tell nobody what it holds")
    name, key_id, raw = _parts(line)
    key = PublicKey(name, raw)
    _check_id(key, key_id)
    return key


def _parts(line: str) -> tuple[str, str, bytes]:
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    if not is_name(name):
        raise NotAKey("is not written as NAME+KEYID+BASE64")
    try:
        data = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NotAKey("has something that is not Base64 where the key is to stand") from None
    if _base64(data) != encoded or data[:1] != _MARK or len(data) != 1 + SEED:
        raise NotAKey(f"is not an {ALGORITHM} key of {SEED} bytes")
    return name, key_id, data[1:]


def _check_id(key: PublicKey, key_id: str) -> None:
    if key.key_id.hex() != key_id:
        raise NotAKey("has a key id that is not that of its key: a part of it was changed")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
