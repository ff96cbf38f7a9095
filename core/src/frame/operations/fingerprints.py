"""Keyed fingerprints of secrets: the record can tell whether two runs used the same secret, and not which one."""

import hashlib
import hmac
import os
import stat
from contextlib import suppress
from pathlib import Path

from frame.audit.durable import make_folder, sync
from frame.errors import Refused, TryAgainLater

KEY_VARIABLE = "FRAME_FINGERPRINT_KEY"
KEY_FILE = "fingerprint.key"


class Fingerprints:
    """HMAC-SHA256 under the deployment's key, in hex.

    The key is the value of FRAME_FINGERPRINT_KEY, or else what is in the file `fingerprint.key` in `folder`, which
    nobody but its owner may read or write. A
    deployment that has neither gets a new key, which is kept nowhere before `keep` is called: a pipeline that is
    only checked leaves nothing behind.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / KEY_FILE
        self._key = b""
        self._is_new = False

    def of(self, secret: str) -> str:
        """The fingerprint of `secret`. Raises Refused if there is a key that cannot be used."""
        self._key = self._key or self._find()
        return hmac.new(self._key, secret.encode(), hashlib.sha256).hexdigest()

    def keep(self) -> None:
        """Write a new key down, readable by its owner alone, if one was used."""
        if self._is_new:
            _write(self._path, self._key)
            self._is_new = False

    def _find(self) -> bytes:
        given = os.environ.get(KEY_VARIABLE)
        if given:
            return given.encode()
        try:
            key = _read(self._path)
        except FileNotFoundError:
            self._is_new = True
            return os.urandom(32).hex().encode()
        except OSError as error:
            raise Refused(f"{self._path} cannot be read: {error.strerror or error}") from error
        if not key:
            raise Refused(
                f"{self._path} is empty and protects no secret: restore it, or remove it for a new key"
            )
        return key


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Refused(f"{path} is no ordinary file, and a key is one")
        if os.name == "posix" and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Refused(
                f"{path} may be read or written by others (mode {stat.S_IMODE(about.st_mode):04o}), and whoever has "
                f"the key can try secrets against the record: chmod 600 {path}"
            )
        return file.read()


def _write(path: Path, key: bytes) -> None:
    """Whole or not at all: a reader never sees half a key."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        make_folder(path.parent)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
        sync(path.parent)  # a record whose key is lost takes every secret for another one
    except FileExistsError as error:
        raise TryAgainLater(f"another run is making {path} just now: start this one again") from error
    except OSError as error:
        raise Refused(
            f"{path}, the key under which secrets are recorded, cannot be written: {error.strerror or error}. "
            f"Make the folder writable, or give a key in {KEY_VARIABLE}"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
