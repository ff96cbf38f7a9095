"""Keyed fingerprints of secrets: the record can tell whether two runs used the same secret, and not which one."""

import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path

KEY_VARIABLE = "FRAME_FINGERPRINT_KEY"
KEY_FILE = "fingerprint.key"


def fingerprinter(folder: Path) -> Callable[[str], str]:
    """HMAC-SHA256 under the deployment's key, in hex.

    The key is the value of FRAME_FINGERPRINT_KEY, or else the file `fingerprint.key` in `folder`, which is made
    (readable by its owner alone) the first time a secret is fingerprinted.
    """

    def fingerprint(secret: str) -> str:
        return hmac.new(_key(folder), secret.encode(), hashlib.sha256).hexdigest()

    return fingerprint


def _key(folder: Path) -> bytes:
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return given.encode()
    path = folder / KEY_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return _new_key(path)


def _new_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was faster
        return path.read_bytes()
    key = os.urandom(32).hex().encode()
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
