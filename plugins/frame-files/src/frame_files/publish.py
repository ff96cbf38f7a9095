"""The only place where frame-files writes: beside the target first, then made durable, then renamed.

    PATH.part   grows while the run goes on; every confirmed position is on disk (fsync) before it is given out
    PATH        appears at the end, whole, by one rename; before that it is as it was

A run that stops leaves the `.part` file, and a resumed one cuts it back to the last confirmed position, after
checking that its bytes still have the hash they had. If the run stopped just after the rename, PATH itself
takes the place of the `.part` file. A lock on the `.part` file keeps two sinks or runs from writing one file; a run
that is resumed while the process that had it before only sleeps goes on in a copy, and what that process still does
when it wakes is done to a file without a name.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from frame.errors import Refused, TryAgainLater

_STEP_BYTES = 1024 * 1024
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class PartFile:
    """A file that is written beside `target`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.path = target + ".part"
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._descriptor: int | None = None
        self._failed: OSError | None = None
        self._entered = False
        self._is_new = False
        self.was_published = False
        """Whether the file goes on from one that was published already."""

    @property
    def sha256(self) -> bytes:
        """The hash of all that is in the file."""
        return self._sha256.digest()

    def begin(self, in_place_of_another: bool = False) -> None:
        """Begin anew, with an empty file; the folder is made if there is none.

        `in_place_of_another`: also where another process has the file, which is then no longer its own.
        """
        make_folder(_folder_of(self.target))
        try:
            self._open(os.O_CREAT)
        except TryAgainLater:
            if not in_place_of_another:
                raise
            Path(self.path).unlink()
            self._open(os.O_CREAT)
        os.ftruncate(self._file(), 0)
        self._is_new = True

    def resume(self, size: int, sha256: str) -> None:
        """Go on after the first `size` bytes; what is behind them is cut off. Raises Refused if they have changed."""
        if not os.path.lexists(self.path):
            if size == 0:
                self.begin()
                return
            self._restore()
        try:
            self._open(0)
        except TryAgainLater:
            self._take_over(size)
        descriptor = self._file()
        self._hash(descriptor, size)
        if self.size < size or self._sha256.hexdigest() != sha256:
            raise Refused(
                f"{self.path} has changed since the run stopped: its first {size} bytes had SHA-256 {sha256}, and "
                f"{self.size} bytes are left of them with {self._sha256.hexdigest()}. Restore the file, or "
                "run the pipeline anew"
            )
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)

    def _restore(self) -> None:
        """Take what was published as the `.part` file, for the run stopped after it had published."""
        if not os.path.lexists(self.target):
            raise Refused(
                f"neither {self.path} nor {self.target} is there any more, and this run has written to it: "
                "restore the file, or run the pipeline anew"
            )
        self._open(os.O_CREAT)
        with open_again(self.target) as published:
            while data := published.read(_STEP_BYTES):
                write_all(self._file(), data, self.path)
        self.close()
        self.was_published = True

    def _take_over(self, size: int) -> None:
        """Go on in a copy of the first `size` bytes, which takes the place of the file that another process has."""
        copy = PartFile(self.path)
        copy.path = self.path + ".new"
        copy.begin()
        with open_again(self.path) as file:
            while data := file.read(min(_STEP_BYTES, size - copy.size)):
                copy.write(data)
        copy.sync()
        copy._is_new = False
        Path(copy.path).replace(self.path)
        sync_folder(_folder_of(self.path))
        copy.close()
        self._open(0)

    def check_owned(self) -> None:
        """Raises OSError if the file with this name is no longer the one that was opened."""
        if not self._is_owned():
            raise OSError(errno.ESTALE, "another process has taken the file over", self.path)

    def _is_owned(self) -> bool:
        assert self._descriptor is not None
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def _open(self, flags: int) -> None:
        self.close()
        flags |= (
            os.O_RDWR
            | getattr(os, "O_NOFOLLOW", 0)
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_BINARY", 0)
        )
        try:
            self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Refused(f"{self.path} is a symbolic link: frame does not write through it") from error
            raise
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise Refused(f"{self.path} is not a regular file: frame does not write to it")
        _lock(self._descriptor, self.path)
        self.size, self._sha256, self._failed = 0, hashlib.sha256(), None

    def _hash(self, descriptor: int, size: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        while data := os.read(descriptor, min(_STEP_BYTES, size - self.size)):
            self._sha256.update(data)
            self.size += len(data)

    def _file(self) -> int:
        if self._failed:
            raise self._failed
        if self._descriptor is None:
            raise ValueError(f"{self.path} is not open")
        return self._descriptor

    def write(self, data: bytes) -> None:
        """Append `data`. After an error nothing of it is left in the file. Raises OSError with the file's name."""
        descriptor = self._file()
        try:
            write_all(descriptor, data, self.path)
        except OSError:
            os.ftruncate(descriptor, self.size)
            os.lseek(descriptor, self.size, os.SEEK_SET)
            raise
        self._sha256.update(data)
        self.size += len(data)

    def copy_from(self, path: str) -> None:
        """Append what is in the file at `path`."""
        with open_again(path) as file:
            while data := file.read(_STEP_BYTES):
                self.write(data)

    def sync(self) -> None:
        """Make everything written so far durable, the file's entry in its folder too.

        An fsync that failed may have dropped the data: it is not tried again, and the file cannot be used on.
        """
        descriptor = self._file()
        try:
            os.fsync(descriptor)
            if not self._entered:
                sync_folder(_folder_of(self.path))
        except OSError as error:
            self._failed = OSError(error.errno, error.strerror, self.path)
            raise self._failed from error
        self._entered = True

    def publish(self, replace: bool) -> None:
        """Give the finished file its name, in one step. Raises FileExistsError unless it may `replace` another."""
        self.sync()
        self.check_owned()
        if replace or self.was_published:
            _rename_over(self.path, self.target)
        else:
            _rename_to_free_name(self.path, self.target)
        sync_folder(_folder_of(self.target))
        self._is_new = False
        self.close()

    def goes_on_from(self, published: Any) -> bool:
        """Whether what is written begins with all that is in `published`, an earlier state of it."""
        with open_again(self.path) as written:
            while data := published.read(_STEP_BYTES):
                if written.read(len(data)) != data:
                    return False
        return True

    def remove(self) -> None:
        """Remove the `.part` file, durably: nobody looks for it once the run has said that it is done."""
        owned = self._descriptor is None or self._is_owned()
        self.close()
        if owned:
            self._unlink()

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(self.path).unlink()
            sync_folder(_folder_of(self.path))

    def close(self) -> None:
        """Let go of the file, which stays as it is, unless it is new and nothing was written to it."""
        if self._descriptor is None:
            return
        if self._is_new and self.size == 0 and self._is_owned():
            self._unlink()
        os.close(self._descriptor)
        self._descriptor = None


def write_all(descriptor: int, data: bytes, path: str) -> None:
    """Write all of `data`. Raises OSError that names `path`."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error


def open_again(path: str) -> Any:
    """The regular file at `path`, for reading; a symbolic link is not followed."""
    return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")


def sha256_of(path: str) -> tuple[int, str]:
    """Size and hash of the file at `path`."""
    with open_again(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, durably: one that is there may be what a killed process has not synced."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    for above in folder.absolute().parents:
        with contextlib.suppress(PermissionError):  # nobody who may not read it has made a folder there
            sync_folder(above)
        if above == here or above.is_mount():
            return


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (Windows does that by itself)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_of(path: str) -> Path:
    return Path(path).absolute().parent


def upload(path: str, system: Any, target: str) -> None:
    """Copy the file at `path` to `target` on an fsspec file system."""
    folder = target.rpartition("/")[0]
    if folder:
        system.makedirs(folder, exist_ok=True)
    with open_again(path) as source, system.open(target, "wb") as copy:
        shutil.copyfileobj(source, copy, _STEP_BYTES)


def _rename_over(path: str, target: str) -> None:
    """Rename, also where `target` is another name of the same file: that a rename leaves as it is."""
    Path(path).replace(target)
    if os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(target)):
        Path(path).unlink()


def _rename_to_free_name(path: str, target: str) -> None:
    """Rename, unless there is a file called `target`: a link cannot replace one, a rename would."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        Path(path).rename(target)
    else:
        Path(path).unlink()


def _lock(descriptor: int, path: str) -> None:
    """Hold the file until it is closed. Raises TryAgainLater when somebody else has it."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TryAgainLater(
            f"{path} is being written by another sink or run: give each its own path"
        ) from error
