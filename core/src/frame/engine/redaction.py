"""Keeps the values of secrets out of everything that is written down."""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from frame import secrecy


class Redactor:
    """Replaces known secret values in text, also where they stand in another encoding (see frame.secrecy)."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._screen = secrecy.Screen()
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Keep these out, too; of what this process prints as well."""
        values = list(values)
        self._screen.learn(values)
        secrecy.PROCESS.learn(values)

    def text(self, text: str) -> str:
        """`text` without any secret, and as it can be written in UTF-8.

        >>> Redactor(["hunter22"]).text("login hunter22 failed")
        'login [secret] failed'
        """
        text = self._screen.text(text)
        if not text.isascii():  # half of a surrogate pair would stop the commit
            text = text.encode("utf-8", "backslashreplace").decode()
        return text

    def data(self, value: Any) -> Any:
        """`value` with every text in it, field names too, made safe in the same way.

        >>> Redactor(["hunter22"]).data({"notes": ["hunter22 fails"]})
        {'notes': ['[secret] fails']}
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
        case SecretBytes():
            yield value.get_secret_value().decode("utf-8", "surrogateescape")
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
