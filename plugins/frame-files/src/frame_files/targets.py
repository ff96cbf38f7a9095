"""Where a sink's file ends up: at a local path, or at a URL after it was written locally."""

import hashlib
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from frame.errors import ConfigError, SinkError

from frame_files.places import (
    check_writable,
    file_system,
    file_uri,
    is_url,
    local_path,
    without_credentials,
    wrong,
)
from frame_files.publish import PartFile, open_again, sha256_of, upload


class OnExisting(StrEnum):
    """What becomes of a file that is there already."""

    FAIL = "fail"
    OVERWRITE = "overwrite"
    APPEND = "append"


class LocalTarget:
    """A file in the local file system."""

    def __init__(self, path: str, node: str) -> None:
        self._path, self._node = local_path(path), node
        self.part = PartFile(self._path)
        self.uri = file_uri(self._path)

    def check(self) -> None:
        """Raise ConfigError if the file cannot be written at all."""
        check_writable(self._path, self._node)
        check_writable(self._path + ".part", self._node)

    def exists(self) -> bool:
        return os.path.lexists(self._path)

    def copy_present(self) -> None:
        """Append what is in the present file to the `.part` file."""
        self.part.copy_from(self._path)

    def recover(self) -> None:
        """Nothing: the `.part` file finds what was published by itself."""

    def publish(self, on_existing: OnExisting, base: Mapping[str, Any] | None) -> None:
        """Put the finished file in place; `base`: size and hash of the file that it goes on from."""
        if base is not None and not self.part.was_published:
            size, sha256 = sha256_of(self._path)
            is_base = (size, sha256) == (base["bytes"], base["sha256"])
            if not is_base and (size < base["bytes"] or not self._goes_on()):
                raise SinkError(
                    self._node, f"{self._path} was changed while the run was appending to a copy of it"
                )
        try:
            self.part.publish(replace=base is not None or on_existing is OnExisting.OVERWRITE)
        except FileExistsError as error:
            if self._goes_on():
                self.part.publish(replace=True)
                return
            raise SinkError(
                self._node,
                f"{self._path} has appeared while the run was writing; the result is in {self.part.path}",
            ) from error

    def _goes_on(self) -> bool:
        """Whether what stands there is the beginning of what is written, as when a run is carried on in another."""
        with open_again(self._path) as published:
            return self.part.goes_on_from(published)

    def close(self) -> None:
        self.part.close()


class RemoteTarget:
    """A file on a file system that fsspec knows, uploaded whole at the end."""

    def __init__(self, url: str, node: str, spool_folder: str, storage: Mapping[str, Any]) -> None:
        self._node = node
        self._url, self._storage = url, storage
        self._spool = str(Path(spool_folder) / hashlib.sha256(url.encode()).hexdigest()[:16])
        self.part = PartFile(self._spool)
        self.uri = without_credentials(url)

    def check(self) -> None:
        """Raise ConfigError if the file system is unknown or the spool folder cannot be written."""
        check_writable(self._spool, self._node)
        try:
            file_system(self._url, self._storage)
        except (ImportError, ValueError, OSError) as error:
            raise wrong(self._node, f"{self.uri} cannot be opened: {error}") from error

    def exists(self) -> bool:
        system, path = file_system(self._url, self._storage)
        return bool(system.exists(path))

    def copy_present(self) -> None:
        """Append what is in the present file to the `.part` file."""
        system, path = file_system(self._url, self._storage)
        with system.open(path, "rb") as present:
            while data := present.read(1024 * 1024):
                self.part.write(data)

    def recover(self) -> None:
        """Fetch what was uploaded, for the run stopped after that."""
        if not os.path.lexists(self.part.path) and self.exists():
            self.part.begin()
            self.copy_present()
            self.part.sync()
            self.part.was_published = True

    def publish(self, on_existing: OnExisting, base: Mapping[str, Any] | None) -> None:
        """Upload the finished file; an object store shows it only when it is complete."""
        self.part.sync()
        self.part.check_owned()
        system, path = file_system(self._url, self._storage)
        if on_existing is OnExisting.FAIL and not self.part.was_published and system.exists(path):
            if self._is_there(system, path):
                self.part.remove()
                return
            with system.open(path, "rb") as published:
                is_earlier = self.part.goes_on_from(published)
            if not is_earlier:
                raise SinkError(
                    self._node,
                    f"{self.uri} has appeared while the run was writing; the result is in {self.part.path}",
                )
        upload(self.part.path, system, path)
        self.part.remove()

    def _is_there(self, system: Any, path: str) -> bool:
        """Whether the finished file was uploaded already, by a run that was stopped just after that."""
        with system.open(path, "rb") as present:
            return hashlib.file_digest(present, "sha256").digest() == self.part.sha256

    def close(self) -> None:
        self.part.close()


Target = LocalTarget | RemoteTarget


def target_of(path: str, node: str, spool_folder: str, storage: Mapping[str, Any]) -> Target:
    """The target that the option `path` of a sink means."""
    if is_url(path) and not path.startswith("file://"):
        return RemoteTarget(path, node, spool_folder, storage)
    return LocalTarget(path, node)


def exists_already(node: str, uri: str) -> ConfigError:
    """The error for a file that is there and may not be touched."""
    return wrong(
        node,
        f"{uri} exists already",
        "Choose another path, remove the file, or set on_existing to overwrite or append.",
    )


def appending(node: str, uri: str, error: Exception) -> ConfigError:
    """The error for a file that the rows cannot be appended to."""
    return wrong(node, f"rows cannot be appended to {uri}: {error}")
