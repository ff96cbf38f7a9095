"""How the end of a path compresses what is written: each write becomes a whole gzip member or zstd frame.

So a file that is cut back to where a write ended is valid, and the same writes give the same bytes.
"""

import gzip
from collections.abc import Callable

Compress = Callable[[bytes], bytes]


def compressor(path: str) -> Compress | None:
    """What compresses for `path`, by its end (`.gz`, `.zst`); None: nothing does."""
    if path.endswith(".gz"):
        return _gzip
    if path.endswith(".zst"):
        return _zstd
    return None


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)
