"""Compare the fast canonical form with the plain one, and with the `rfc8785` package, on random documents.

    python tests/benchmarks/canonical_equality.py [DOCUMENTS [SEED]]

Prints how many documents were compared; stops at the first difference.
"""

import random
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import rfc8785
from frame.canonical import canonical, canonical_row, canonical_rows

CHUNK = 200
EXACT_IN_A_DOUBLE = 2**53


def main(documents: int = 1_000_000, seed: int = 0) -> None:
    rng = random.Random(seed)
    compared = agreed = 0
    while compared < documents:
        rows = list(chunk(rng))
        plain = [canonical(row) for row in rows]
        if [canonical_row(row) for row in rows] != plain or canonical_rows(rows) != plain:
            sys.exit(f"after {compared} documents, seed {seed}: the fast form differs in one of {rows!r}")
        for row, form in zip(rows, plain, strict=True):
            if all(map(same_in_rfc8785, row.values())) and not (len(row) == 1 and "$" in next(iter(row))):
                agreed += 1
                if rfc8785.dumps(row) != form:
                    sys.exit(f"seed {seed}: rfc8785 differs for {row!r}")
        compared += len(rows)
    print(f"{compared} documents: the fast form equals the plain one; {agreed} of them equal rfc8785's")


def chunk(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Rows with the same fields, whose values have mostly the same types; some chunks have a mixture."""
    names = [name(rng) for _ in range(rng.randrange(11))]
    makers = [rng.choice(MAKERS) for _ in names]
    mixed = rng.random() < 0.3
    for _ in range(CHUNK):
        if mixed:
            makers = [rng.choice(MAKERS) for _ in names]
            rng.shuffle(names)
        yield {
            name: make(rng) if rng.random() > 0.1 else None for name, make in zip(names, makers, strict=True)
        }


def same_in_rfc8785(value: Any) -> bool:
    if isinstance(value, float):
        return not value.is_integer() or abs(value) >= 1e21
    if isinstance(value, int):
        return abs(value) < EXACT_IN_A_DOUBLE
    return value is None or isinstance(value, str)


def name(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice("abcdefghijklmnop") + str(rng.randrange(30))
    return rng.choice(
        ("$decimal", "$object", "$", "é", "\ue000", "😀", "", "a b", "\n", "\uffff", "\U00010000")
    )


def text(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return "".join(rng.choices("abcdefghij ,\"\\\n/<>&'{}[]:", k=rng.randrange(12)))
    return "".join(
        chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))) for _ in range(5)
    )


def any_float(rng: random.Random) -> float:
    while True:
        number = float(struct.unpack("<d", rng.randbytes(8))[0])
        if number - number == 0:
            return number


def scaled_float(rng: random.Random) -> float:
    return rng.choice((1, -1)) * rng.randrange(10 ** rng.randrange(1, 18)) * 10.0 ** rng.randrange(-26, 26)


def moment(rng: random.Random) -> datetime:
    zone = rng.choice((UTC, UTC, timezone(timedelta(minutes=rng.randrange(-700, 700)))))
    micros = rng.choice((0, rng.randrange(10**6), 1000 * rng.randrange(1000)))
    return datetime.fromtimestamp(rng.randrange(-(10**10), 10**11), zone).replace(microsecond=micros)


def nested(rng: random.Random) -> Any:
    if rng.random() < 0.5:
        return [rng.choice(SCALARS)(rng) for _ in range(rng.randrange(4))]
    return {name(rng): rng.choice(SCALARS)(rng) for _ in range(rng.randrange(4))}


SCALARS = (
    *(text, text, any_float, scaled_float, moment),
    lambda rng: rng.randrange(-(10**6), 10**6),
    lambda rng: rng.getrandbits(rng.choice((31, 53, 64, 65, 300))) * rng.choice((1, -1)),
    lambda rng: round(rng.uniform(-1000, 1000), rng.randrange(7)),
    lambda rng: float(rng.randrange(10**6)),
    lambda rng: rng.choice((True, False, None)),
    lambda rng: Decimal(rng.randrange(10**9)).scaleb(rng.randrange(-9, 9)),
    lambda rng: date.fromordinal(rng.randrange(1, 3_000_000)),
    lambda rng: time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.choice((0, 5000))),
    lambda rng: timedelta(microseconds=rng.randrange(-(10**12), 10**12)),
    lambda rng: UUID(int=rng.getrandbits(128)),
    lambda rng: rng.randbytes(rng.randrange(6)),
)
MAKERS = (*SCALARS, nested)

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
