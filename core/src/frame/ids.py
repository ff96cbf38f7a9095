"""Identifiers that are shown to people. Inside a run, tokens, batches and groups are small integers."""

import os
from collections.abc import Callable


def uuid7(time_us: int, random_bytes: Callable[[int], bytes] = os.urandom) -> str:
    """A UUIDv7 (RFC 9562, 5.7) for this moment: text that sorts by time.

    >>> uuid7(1_700_000_000_000_000, lambda n: bytes(n))
    '018bcfe5-6800-7000-8000-000000000000'
    """
    value = (time_us // 1000) << 80 | int.from_bytes(random_bytes(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
