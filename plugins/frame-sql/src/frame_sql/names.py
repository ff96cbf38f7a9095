"""Names of tables and columns: checked before they are used, and quoted wherever they are."""

import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

LONGEST = 63
"""Bytes of a name that PostgreSQL keeps; it cuts off the rest without a word."""


def checked_name(name: str) -> str:
    """`name`, if every database keeps it as it is. Raises ValueError."""
    if not name:
        raise ValueError("a name is empty")
    if "\0" in name:
        raise ValueError(f"the name {name!r} has a NUL character in it")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the name {name!a} holds half of a surrogate pair") from None
    if size > LONGEST:
        raise ValueError(f"the name {name!r} has {size} bytes, and {LONGEST} are the limit")
    return name


def check_apart(names: Iterable[str]) -> None:
    """Raises ValueError if a database could take two of `names` for one: equal but for case or composition.

    >>> check_apart(["id", "ID"])
    Traceback (most recent call last):
    ValueError: the names 'id' and 'ID' differ only in case or in how their letters are composed
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded in seen:
            raise ValueError(
                f"the names {seen[folded]!r} and {name!r} differ only in case or in how their letters are composed"
            )
        seen[folded] = name


def quoted(name: str) -> str:
    """`name` as SQL writes it, whatever is in it.

    >>> print(quoted('x"); DROP TABLE t;--'))
    "x""); DROP TABLE t;--"
    """
    return '"' + name.replace('"', '""') + '"'


Name = Annotated[str, AfterValidator(checked_name)]
"""The type of an option that names a table or a column."""
