"""Whether files that runs have published are still what they were."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from frame.errors import Refused

if TYPE_CHECKING:
    from frame.audit.queries import ArtifactRecord


def check_published(artifacts: "Iterable[ArtifactRecord]") -> None:
    """Raises Refused if a file of this machine among `artifacts` is gone or has another hash than was recorded."""
    for made in artifacts:
        place = urlsplit(made.uri)
        if place.scheme == "file" and made.sha256 is not None:
            _check(Path(unquote(place.path)), made.sha256)


def _check(path: Path, recorded: bytes) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Refused(
            f"{path}, to which the rows are to be added, cannot be read: {error.strerror or error}"
        ) from error
    if found != recorded:
        raise Refused(
            f"{path}, to which the rows are to be added, was changed since it was published: it had SHA-256 "
            f"{recorded.hex()} and has {found.hex()}. Put it back as it was"
        )
