"""Write vectors.jsonl: typed values, their canonical form, and its SHA-256. Run it only for a new version of the form.

A value is written as a pair of a type and a text, so that a reader in any language can build it without knowing
the canonical form: ["int", "12"], ["float", "0x1.8p+0"] (C99 hexadecimal), ["str", ...], ["decimal", "1.20"],
["datetime", "2013-01-01T10:00:00+02:00"], ["date", ...], ["time", ...], ["duration", microseconds],
["uuid", ...], ["bytes", hexadecimal], ["bool", true], ["null", null], ["list", [value, ...]],
["object", [[name, value], ...]].
"""

import hashlib
import json
import random
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from frame.canonical import canonical

SEED = 8785
RANDOM_SCALARS = 1200
RANDOM_ROWS = 700

EDGE_INTS = [0, 1, -1, 9, 10, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**40]
EDGE_FLOATS = [
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1.5, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 123456789012345680000.0, 1.5e300),
    *(1e-4, 1e-5, 1e-6, 1.5e-6, 1e-7, 1.5e-7, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308),
    *(9007199254740991.0, 9007199254740992.0, 9999999999999998.0, 0.1 + 0.2, 1 / 3, 4.35, 333333333.33333329),
]
EDGE_TEXTS = [
    *(
        "",
        "a",
        '"',
        "\\",
        "/",
        "\b\t\n\f\r",
        "\0\x01\x1f",
        "\x7f\x80",
        "é",
        "e\u0301",
        "\u2028\u2029",
        "\ud7ff",
    ),
    *("\ue000", "\uffff", "\U00010000", "😀", "$", "$decimal", "null", "1", "1.0", "true", "{{7*7}}", " x "),
]
EDGE_OBJECTS: list[dict[str, Any]] = [
    {},
    {"": 1},
    {"$decimal": "1.20"},
    {"$object": {}},
    {"$object": {"$object": 1}},
    {"$": None},
    {"$a": 1, "b": 2},
    {"\ue000": 1, "\U00010000": 2, "a": 3, "B": 4, "é": 5, "e\u0301": 6},
    {"\r": "CR", "1": "one", "\x80": "control", "ö": "o", "€": "euro", "😀": "face", "\ufb33": "dalet"},
    {"b": {"b": [], "a": {}}, "a": [[], {}, [[1]]]},
]


def values() -> Iterator[Any]:
    """The values of all vectors, in order."""
    rng = random.Random(SEED)
    yield from (None, True, False, *EDGE_INTS, *(-number for number in EDGE_INTS), 2**4095, 1 - 2**4096)
    yield from (*EDGE_FLOATS, *(-number for number in EDGE_FLOATS), *EDGE_TEXTS, *EDGE_OBJECTS)
    yield from ({"x": value} for value in (1, 1.0, "1", True, Decimal(1), b"1", [1], {"x": 1}))
    for _ in range(RANDOM_SCALARS):
        yield scalar(rng)
    for _ in range(RANDOM_ROWS):
        yield {text(rng): tree(rng, 3) for _ in range(rng.randrange(9))}


def tree(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth and kind < 0.1:
        return [tree(rng, depth - 1) for _ in range(rng.randrange(4))]
    if depth and kind < 0.2:
        return {text(rng): tree(rng, depth - 1) for _ in range(rng.randrange(4))}
    return scalar(rng)


def scalar(rng: random.Random) -> Any:
    makers = (
        small_float,
        any_float,
        integer,
        text,
        decimal,
        moment,
        day,
        clock,
        duration,
        uuid,
        rng_bytes,
        truth,
    )
    return rng.choice(makers)(rng)


def small_float(rng: random.Random) -> float:
    return round(rng.uniform(-1000, 1000), rng.randrange(6))


def any_float(rng: random.Random) -> float:
    while True:
        number = float(struct.unpack("<d", rng.randbytes(8))[0])
        if number - number == 0:
            return number


def integer(rng: random.Random) -> int:
    return rng.getrandbits(rng.choice((4, 16, 53, 64, 200))) * rng.choice((1, -1))


def text(rng: random.Random) -> str:
    ranges = (
        (0x61, 0x7A),
        (0x20, 0x7E),
        (0, 0x1F),
        (0xA0, 0x24F),
        (0x4E00, 0x4FFF),
        (0xE000, 0xFFFF),
        (0x1F600, 0x1F64F),
    )
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randrange(7)))


def decimal(rng: random.Random) -> Decimal:
    return Decimal(rng.randint(-(10**9), 10**9)).scaleb(rng.randint(-20, 20))


def moment(rng: random.Random) -> datetime:
    zone = timezone(timedelta(minutes=rng.choice((0, 0, 120, -570, 345))))
    stamp = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(10**10))
    return stamp.replace(microsecond=rng.choice((0, 0, 500_000, 120, rng.randrange(10**6)))).astimezone(zone)


def day(rng: random.Random) -> date:
    return date.fromordinal(rng.randint(1, date.max.toordinal()))


def clock(rng: random.Random) -> time:
    return time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.choice((0, 250_000, 7)))


def duration(rng: random.Random) -> timedelta:
    return timedelta(microseconds=rng.choice((1, 1_000_000)) * rng.randint(-(10**7), 10**7))


def uuid(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128))


def rng_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(9))


def truth(rng: random.Random) -> bool | None:
    return rng.choice((True, False, None))


def typed(value: Any) -> list[Any]:  # noqa: PLR0911, one case a type
    """`value` in the notation of this file."""
    match value:
        case None | bool():
            return ["null" if value is None else "bool", value]
        case int():
            return ["int", str(value)]
        case float():
            return ["float", value.hex()]
        case str():
            return ["str", value]
        case bytes():
            return ["bytes", value.hex()]
        case Decimal() | UUID():
            return [type(value).__name__.lower(), str(value)]
        case datetime() | date() | time():
            return [type(value).__name__, value.isoformat()]
        case timedelta():
            return ["duration", str(value // timedelta(microseconds=1))]
        case list():
            return ["list", [typed(item) for item in value]]
        case _:
            return ["object", [[name, typed(inner)] for name, inner in value.items()]]


def lines() -> Iterator[str]:
    for value in values():
        form = canonical(value)
        vector = {"value": typed(value), "form": form.decode(), "sha256": hashlib.sha256(form).hexdigest()}
        yield json.dumps(vector) + "\n"


if __name__ == "__main__":
    target = Path(__file__).with_name("vectors.jsonl")
    target.write_text("".join(lines()), encoding="ascii", newline="\n")
    sys.stdout.write(f"{target.stat().st_size} bytes\n")
