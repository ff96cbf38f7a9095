"""Text and JSON in a form that every database keeps."""

from typing import Any

from frame.canonical import canonical, restore
from frame.errors import DamagedRecord, NotCanonical


def readable(text: str) -> str:
    r"""`text` without what some database refuses: NUL and lone surrogates become escapes.

    >>> print(readable("a\x00b"))
    a\x00b
    """
    if text.isascii():
        return text.replace("\x00", "\\x00") if "\x00" in text else text
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def to_json(value: Any) -> str:
    """The canonical JSON of `value`. Raises NotCanonical, as for NaN."""
    return canonical(value).decode("utf-8")


def from_json(text: str) -> Any:
    """The value again, with its types. Raises DamagedRecord for a text that `to_json` cannot have written."""
    try:
        return restore(text.encode("utf-8"))
    except (AttributeError, NotCanonical, UnicodeEncodeError) as error:
        raise DamagedRecord("a text that has to be JSON", f"is not: {str(text)[:40]!r}") from error
