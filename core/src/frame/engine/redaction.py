"""Keeps the values of secrets out of everything that is written down."""

import base64
import json
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

HIDDEN = "[secret]"

SHORTEST = 4
"""Secrets of fewer characters are not looked for: they would be found everywhere."""


class Redactor:
    """Replaces known secret values in text, also where they stand base64, URL, hex or JSON encoded."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Keep these out, too."""
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        self._forms = sorted(forms.union(self._forms), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without any secret, and as it can be written in UTF-8.

        >>> Redactor(["hunter22"]).text("login hunter22 failed")
        'login [secret] failed'
        """
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        if not text.isascii():  # half of a surrogate pair would stop the commit
            text = text.encode("utf-8", "backslashreplace").decode()
        return text

    def data(self, value: Any) -> Any:
        """`value` with every text in it, field names too, made safe in the same way.

        >>> Redactor(["hunter22"]).data({"url": ["ftp://me:hunter22@host"]})
        {'url': ['ftp://me:[secret]@host']}
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(name): self.data(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(inner) for inner in value]
        return value

    def told(self, error: BaseException) -> str:
        """Type and message of `error`, which may even fail to say what it is."""
        return self.text(f"{type(error).__name__}: {message_of(error)}")

    def cause(self, error: BaseException) -> BaseException:
        """`error` to chain another one from; a stand-in with its traceback as text if that would show a secret."""
        shown = "".join(traceback.format_exception(error))
        safe = self.text(shown)
        return error if safe == shown else Hidden(safe)


class Hidden(Exception):
    """Stands for an exception that had a secret in it."""


def secrets_in(value: Any) -> Iterator[str]:
    """The values of all secrets in a plugin's options."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for _, inner in value:
                yield from secrets_in(inner)
        case Mapping():
            for inner in value.values():
                yield from secrets_in(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from secrets_in(inner)


def message_of(error: BaseException) -> str:
    """What `error` says, or that it cannot be said."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the plugin's own code
        return "<its message cannot be shown>"


def _forms(value: str) -> Iterable[str]:
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield from _base64_forms(data)
    for safe in ("", "/"):
        yield quote(data, safe=safe)
        yield quote_plus(data, safe=safe)
    yield data.hex()
    yield data.hex().upper()
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield value[::-1]


def _base64_forms(data: bytes) -> Iterable[str]:
    """The characters that `data` comes to wherever it stands inside of something longer (three places in four)."""
    for before in range(3):
        bits = 8 * (before + len(data))
        text = base64.b64encode(bytes(before) + data).decode()[-(-8 * before // 6) : bits // 6]
        if len(text) >= SHORTEST + 1:
            yield text
            yield text.replace("+", "-").replace("/", "_")
