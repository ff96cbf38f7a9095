"""Keeps the values of secrets out of everything that is written down."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[secret]"


class Redactor:
    """Replaces known secret values in text, also where they stand base64, URL, hex or JSON encoded."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values if len(value) >= 4 for form in _forms(value)}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without any secret.

        >>> Redactor(["hunter22"]).text("login hunter22 failed")
        'login [secret] failed'
        """
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def _forms(value: str) -> Iterable[str]:
    data = value.encode()
    yield value
    yield base64.b64encode(data).decode().rstrip("=")
    yield base64.urlsafe_b64encode(data).decode().rstrip("=")
    yield quote(value, safe="")
    yield data.hex()
    yield json.dumps(value)[1:-1]
    yield value[::-1]
