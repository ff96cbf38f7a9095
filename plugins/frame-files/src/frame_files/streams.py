"""The bytes of a file as text formats want them: decompressed, in UTF-8 or a superset of ASCII, and counted.

A stream has `read(size)`: some bytes, at most about `size`, or none at the end. One that finds its file
damaged raises `Broken` after it has given everything that came before the damage.
"""

import codecs
import hashlib
import re
import zipfile
import zlib
from typing import Any, BinaryIO, Protocol, cast

_STEP_BYTES = 64 * 1024
# A zstd block of 128 kB may take four bytes, so that a step of 1 kB can become 32 MB; 64 kB could become 2 GB.
_ZSTD_STEP_BYTES = 1024
# Small files may be repetitive: the ratio is only looked at beyond this size.
_EXPANSION_FLOOR_BYTES = 64 * 1024 * 1024
_BYTEWISE = re.compile(r"ascii|utf-8|iso8859-\d+|cp125\d|koi8-[rtu]|cp437|cp85[0-8]|mac-roman")


class Broken(Exception):
    """The file cannot be read beyond this point."""


class Stream(Protocol):
    def read(self, size: int) -> bytes: ...


class Raw:
    """The bytes as they are stored, counted and hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = getattr(file, "read1", file.read)
        self._sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data: bytes = self._read(size) or b""
        self._sha256.update(data)
        self.size += len(data)
        return data

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


class Gunzip:
    """What a gzip file holds; files of several members too."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._member: Any = None
        self._input = b""

    def read(self, size: int) -> bytes:
        while True:
            if not self._input:
                self._input = self._raw.read(_STEP_BYTES)
                if not self._input:
                    return self._end()
            if self._member is None:
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    continue
                self._member = zlib.decompressobj(wbits=31)
            if data := self._inflate(size):
                return data

    def _inflate(self, size: int) -> bytes:
        try:
            data: bytes = self._member.decompress(self._input, size)
        except zlib.error as error:
            raise Broken(f"the gzip data is damaged near byte {self._raw.size}: {error}") from error
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input, self._member = self._member.unused_data, None
        return data

    def _end(self) -> bytes:
        if self._member is not None:
            raise Broken(f"the gzip data ends at byte {self._raw.size} in the middle: the file is truncated")
        return b""


class Unzstd:
    """What a Zstandard file holds; files of several frames too."""

    def __init__(self, raw: Raw) -> None:
        import zstandard

        self._new = zstandard.ZstdDecompressor().decompressobj
        self._error = zstandard.ZstdError
        self._raw = raw
        self._frame: Any = None
        self._input = b""

    def read(self, size: int) -> bytes:
        while True:
            step = self._input or self._raw.read(_ZSTD_STEP_BYTES)
            if not step:
                if self._frame is not None:
                    raise Broken(
                        f"the zstd data ends at byte {self._raw.size} in the middle: the file is truncated"
                    )
                return b""
            self._frame = self._frame or self._new()
            try:
                data: bytes = self._frame.decompress(step)
            except self._error as error:
                raise Broken(f"the zstd data is damaged near byte {self._raw.size}: {error}") from error
            self._input = b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
            if data:
                return data


class Unzip:
    """The one file that a zip archive holds."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            archive = zipfile.ZipFile(file)
            names = [info for info in archive.infolist() if not info.is_dir()]
            names = [info for info in names if not info.filename.startswith("__MACOSX/")]
            if len(names) != 1:
                raise Broken(f"the zip archive holds {len(names)} files: it should hold exactly one")
            self._member = cast(zipfile.ZipExtFile, archive.open(names[0]))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise Broken(f"the zip archive cannot be read: {error}") from error
        self.size = 0

    def read(self, size: int) -> bytes:
        try:
            data = self._member.read1(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Broken(
                f"the zip archive is damaged after {self.size} bytes of its content: {error}"
            ) from error
        self.size += len(data)
        return data


class Bounded:
    """A decompressed stream that refuses to grow without measure (a gzip bomb)."""

    def __init__(self, stream: Stream, raw: Raw, max_expansion: int) -> None:
        self._stream, self._raw, self._max = stream, raw, max_expansion
        self._size = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._size += len(data)
        if self._size > max(_EXPANSION_FLOOR_BYTES, self._raw.size * self._max):
            raise Broken(
                f"{self._raw.size} compressed bytes have become {self._size}, more than max_expansion "
                f"({self._max}) times as many: raise max_expansion if the file is to be trusted"
            )
        return data


class Transcoded:
    """UTF-8 from an encoding in which a byte may mean different things (UTF-16, Shift JIS, ...)."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._seen = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        while not self._ended:
            data = self._stream.read(size)
            self._ended = not data
            try:
                text = self._decoder.decode(data, final=self._ended)
            except UnicodeError as error:
                raise Broken(f"not valid {self._encoding} near byte {self._seen}: {error}") from error
            self._seen += len(data)
            if text:
                return text.encode("utf-8")
        return b""


def opened(file: BinaryIO, name: str, encoding: str, max_expansion: int) -> tuple[Stream, Raw]:
    """The stream of text bytes in `file`, and the count and hash of what is stored there.

    `name` tells the compression by its end: `.gz`, `.zst`, `.zip`. Raises Broken.
    """
    raw = Raw(file)
    stream: Stream = raw
    if name.endswith(".gz"):
        stream = Bounded(Gunzip(raw), raw, max_expansion)
    elif name.endswith(".zst"):
        stream = Bounded(Unzstd(raw), raw, max_expansion)
    elif name.endswith(".zip"):
        while raw.read(_STEP_BYTES):
            pass
        stream = Bounded(Unzip(file), raw, max_expansion)
    if not is_bytewise(encoding):
        stream = Transcoded(stream, encoding)
    return stream, raw


def is_bytewise(encoding: str) -> bool:
    """Whether a byte below 128 always means its ASCII character, so that lines can be told apart in bytes."""
    return _BYTEWISE.fullmatch(codecs.lookup(encoding).name) is not None
