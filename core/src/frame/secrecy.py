"""What stands for secrets in texts, whatever shape they have taken on the way there.

A text is searched for the plain value and for what base64, base64url, hex, URL and JSON encoding, `repr`, HTML and
reversal make of it. A secret of several lines is searched for line by line, too, since logs break texts into lines.
What stands before the `@` of a URL is hidden whether anybody has called it a secret or not.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "[secret]"
NOBODY = "***"
"""Stands before the `@` of a URL, where brackets would make it no URL any more."""

SHORTEST = 4
"""Secrets of fewer characters are not looked for: they would be found everywhere."""

SHORTEST_LINE = 8
"""Lines of a secret with fewer characters are not looked for by themselves."""

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/?#\s\"'<>]*)@")


class Screen:
    """Hides the values that it has learned."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._shapes: list[str] = []
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Hide these, too."""
        new = {shape for value in values if len(value) >= SHORTEST for shape in _shapes(value)}
        if new:
            self._shapes = sorted(new.union(self._shapes), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` with none of the values in it, in no shape.

        >>> Screen(["hunter22"]).text("login hunter22 (aHVudGVyMjI=) failed")
        'login [secret] ([secret]I=) failed'
        """
        for shape in self._shapes:
            text = text.replace(shape, HIDDEN)
        return without_userinfo(text)


PROCESS = Screen()
"""Knows every secret that this process has read: what is printed goes through it, whoever prints it."""


def without_userinfo(text: str) -> str:
    """`text` with user and password hidden in every URL.

    >>> without_userinfo("GET https://me:hunter22@host/x?at=@ failed")
    'GET https://***@host/x?at=@ failed'
    """
    return _USERINFO.sub(rf"\g<scheme>{NOBODY}@", text) if "://" in text else text


def without_userinfo_inside(value: Any) -> Any:
    """`value` with every text in it, but no name of a field, made so."""
    if isinstance(value, str):
        return without_userinfo(value)
    if isinstance(value, Mapping):
        return {name: without_userinfo_inside(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_userinfo_inside(inner) for inner in value]
    return value


def passwords_in(value: Any) -> Iterator[str]:
    """The passwords in all URLs in `value`, as they are written and as they are meant.

    >>> list(passwords_in({"url": "ftp://me:p%40ss@host"}))
    ['p%40ss', 'p@ss']
    """
    if isinstance(value, str) and "://" in value:
        for found in _USERINFO.finditer(value):
            password = found["user"].partition(":")[2]
            yield from dict.fromkeys((password, unquote(password)))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from passwords_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from passwords_in(inner)


def _shapes(value: str) -> Iterator[str]:
    yield from _shapes_of_one(value)
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        for line in lines:
            # The first and last lines of a key file are the same in all of them.
            if len(line) >= SHORTEST_LINE and not line.startswith("-----"):
                yield from _shapes_of_one(line)


def _shapes_of_one(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield value[::-1]
    yield from _base64_shapes(data)
    yield from (data.hex(), data.hex().upper())
    for quoted in (quote(data, safe=""), quote(data, safe="/"), quote_plus(data), quote_plus(data, safe="/")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield "".join(f"%{byte:02X}" for byte in data)
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")
        yield json.dumps(text, ensure_ascii=False)[1:-1]  # JSON inside of JSON
    yield repr(value)[1:-1]
    yield repr(data)[2:-1]
    yield html.escape(value)


def _base64_shapes(data: bytes) -> Iterator[str]:
    """The characters that `data` comes to wherever it stands inside of something longer (three places in four)."""
    for before in range(3):
        bits = 8 * (before + len(data))
        text = base64.b64encode(bytes(before) + data).decode()[-(-8 * before // 6) : bits // 6]
        if len(text) > SHORTEST:
            yield text
            yield text.replace("+", "-").replace("/", "_")
