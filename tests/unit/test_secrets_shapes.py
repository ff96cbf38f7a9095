"""A secret in a text is hidden in whatever shape it comes."""

import base64
import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from frame.engine.redaction import Hidden, Redactor
from frame.secrecy import HIDDEN, NOBODY, Screen, passwords_in, without_userinfo

PLAIN, ODD = "hunter2-canary-9f8e7d", 'c4nary/"Zwölf" +7&<\\'


def shapes(secret: str) -> dict[str, str]:
    data = secret.encode()
    return {
        "plain": secret,
        "reversed": secret[::-1],
        "base64": base64.b64encode(data).decode(),
        "base64 after one": base64.b64encode(b"x" + data).decode(),
        "base64 after two": base64.b64encode(b"xy" + data).decode(),
        "base64url": base64.urlsafe_b64encode(data).decode(),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "URL": quote(secret),
        "URL, all": quote(secret, safe=""),
        "URL, lower": quote(secret, safe="").lower() if secret == PLAIN else quote(secret, safe="/"),
        "form": quote_plus(secret),
        "every byte": "".join(f"%{byte:02X}" for byte in data),
        "JSON": json.dumps(secret)[1:-1],
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON, slashes": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "JSON in JSON": json.dumps(json.dumps(secret))[3:-3],
        "repr": repr(secret)[1:-1],
        "bytes": repr(data)[2:-1],
        "HTML": escape(secret),
    }


@pytest.mark.parametrize("secret", [PLAIN, ODD])
@pytest.mark.parametrize("shape", shapes(PLAIN))
def test_a_shape_of_a_secret_is_hidden(secret: str, shape: str) -> None:
    text = shapes(secret)[shape]

    before, hidden, after = Screen([secret]).text(f"before {text} after").partition(HIDDEN)

    # Base64 mixes the first and last characters with their neighbours, which say next to nothing.
    most = 5 if "base64" in shape else 0
    assert hidden
    assert before.startswith("before ")
    assert after.endswith(" after")
    assert len(before + after) <= len("before  after") + most


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\nx\n-----END KEY-----"
    log = "\n".join(f"line {n}: {line}" for n, line in enumerate(key.splitlines()))

    assert Screen([key]).text(log).splitlines() == [
        "line 0: -----BEGIN KEY-----",
        f"line 1: {HIDDEN}",
        f"line 2: {HIDDEN}",
        "line 3: x",
        "line 4: -----END KEY-----",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ftp://me:secret@host/a", f"ftp://{NOBODY}@host/a"),
        ("see https://token@host and https://host/@x", f"see https://{NOBODY}@host and https://host/@x"),
        ("postgresql+psycopg://a:b@c@host/db", f"postgresql+psycopg://{NOBODY}@host/db"),
        ("mail me@host, no :// here", "mail me@host, no :// here"),
        ("https://host/path?mail=me@host", "https://host/path?mail=me@host"),
    ],
)
def test_who_a_url_is_opened_as_is_hidden(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown


def test_passwords_in_urls_are_found_wherever_they_stand() -> None:
    options = {"a": ["x://u:one%20@h", {"b": "y://two@h"}], "c": ("z://u:three@h", 4)}

    assert list(passwords_in(options)) == ["one%20", "one ", "", "three"]


def test_a_chain_of_exceptions_is_hidden_with_its_notes() -> None:
    try:
        try:
            raise KeyError(PLAIN.encode().hex())
        except KeyError as error:
            error.add_note(PLAIN[::-1])
            raise ValueError("outside") from error
    except ValueError as error:
        shown = Redactor([PLAIN]).cause(error)

    assert isinstance(shown, Hidden)
    assert "ValueError: outside" in str(shown)
    assert [form for form in shapes(PLAIN).values() if form in str(shown)] == []
