"""Names that look alike: a package called nearly as another one may be there by mistake, or by malice."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

FIRST_PARTY = {"files": "frame-files", "sql": "frame-sql", "std": "frame-std"}
"""Short names that belong to these distributions and to no other."""

_BRAND = "frame"
_CONFUSABLE = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("5", "s"))


def normalized(distribution: str) -> str:
    """The name of a distribution as indexes compare it (PyPA name normalization).

    >>> normalized("Frame_Files")
    'frame-files'
    """
    return re.sub(r"[-_.]+", "-", distribution).lower()


def near(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of `known` that `name` may have been meant to be, the nearest first."""
    return get_close_matches(name, sorted(set(known)), n=3, cutoff=0.6)


def looks_like(name: str, other: str) -> bool:
    """Whether two different names could be taken for each other: one edit apart, or alike to the eye.

    >>> looks_like("flies", "files"), looks_like("frarne", "frame"), looks_like("files", "files")
    (True, True, False)
    """
    if name == other:
        return False
    return _to_the_eye(name) == _to_the_eye(other) or _one_edit_apart(name, other)


def suspicion(package: str, distribution: str, others: Iterable[tuple[str, str]]) -> str | None:
    """Why this package may be an impostor, or None.

    `others`: short names and distributions of the other packages that are installed.
    """
    own = normalized(distribution)
    if own in FIRST_PARTY.values():
        return None
    brand = own.partition("-")[0]
    if looks_like(brand, _BRAND):
        return f"its distribution {distribution!r} begins like {_BRAND!r} and does not"
    for name, name_distribution in {*others, *FIRST_PARTY.items()}:
        if looks_like(package, name):
            return f"its name {package!r} looks like {name!r} ({name_distribution})"
        if looks_like(own, normalized(name_distribution)):
            return f"its distribution {distribution!r} looks like {name_distribution!r}"
    return None


def _to_the_eye(name: str) -> str:
    for shape, same in _CONFUSABLE:
        name = name.replace(shape, same)
    return name


def _one_edit_apart(name: str, other: str) -> bool:
    """One letter more, less, changed, or two neighbours swapped."""
    short, long = sorted((name, other), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[:at] + short[at : at + 2][::-1] + short[at + 2 :]
    return short[at + 1 :] == long[at + 1 :] or swapped == long
