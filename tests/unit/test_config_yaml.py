"""What YAML may say, and what it may not."""

import time
from pathlib import Path

import pytest
from frame.config.load import load, load_text
from frame.errors import ConfigError

FILE = """\
name: p
source: {plugin: csv, options: {value: %s}}
sinks: {out: {plugin: jsonl}}
"""


def refused(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ={})
    return [(problem.line, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("010", "010"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("0b11", "0b11"),
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("7", 7),
        ("-0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("9007199254740993", 9007199254740993),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ('"7"', "7"),
        ("=", "="),
        ("[1, [a]]", [1, ["a"]]),
        ("{1: a, true: b}", {"1": "a", "true": "b"}),
    ],
)
def test_plain_values_follow_the_core_schema_and_leave_text_alone(written: str, value: object) -> None:
    loaded = load_text(FILE % written)

    assert loaded.config.source.options == {"value": value}
    assert type(loaded.config.source.options["value"]) is type(value)


def test_an_alias_stands_for_its_anchor() -> None:
    text = "name: p\nsource: {plugin: csv, options: &o {a: 1}}\nsinks: {out: {plugin: jsonl, options: *o}}\n"

    loaded = load_text(text)

    assert loaded.config.sinks["out"].options == {"a": 1}


BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)

REFUSED = {
    "alias bomb": (BOMB, (3, "the aliases stand for more than 1000 values")),
    "recursive list": ("a: &x [*x]\n", (1, "the alias *x stands inside its own anchor")),
    "recursive mapping": ("a: &x {b: *x}\n", (1, "the alias *x stands inside its own anchor")),
    "alias to nowhere": ("a: *x\n", (1, "the alias *x has no anchor before it")),
    "deep flow": ("a: " + "[" * 2000, (1, "nested more than 50 deep")),
    "deep block": (
        "\n".join(" " * depth + "a:" for depth in range(2000 // 2)),
        (50, "nested more than 50 deep"),
    ),
    "deep keys": ("? " * 2000, (1, "nested more than 50 deep")),
    "many values": ("a: [" + "1," * 60_000 + "]", (1, "more than 50000 values")),
    "two documents": ("a: 1\n---\nb: 1\n", (2, "a second document begins here")),
    "tab": ("a:\n\tb: 1\n", (2, "this line is indented with a tab")),
    "open bracket": (
        "a: [1\nb: 2\n",
        (2, "is not YAML: did not find expected ',' or ']' while parsing a flow sequence"),
    ),
    "NUL": ("a: 1\nb: x\x00y\n", (2, "the character U+0000 is not allowed in YAML")),
    "escape": ("a: \x1b[31m\n", (1, "the character U+001B is not allowed in YAML")),
    "surrogate": ("a: \ud800\n", (1, "the character U+D800 is not allowed in YAML")),
    "large": ("a" * 10_000_000, (0, "is larger than 1,048,576 bytes")),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_could_explode_or_confuse_is_refused_at_once(text: str, expected: tuple[int, str]) -> None:
    began = time.monotonic()

    found = refused(text)

    assert found == [expected]
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "!!python/object/apply:os.system [exit]",
            "the tag !!python/object/apply:os.system is not supported",
        ),
        ("!!python/name:os.system ''", "the tag !!python/name:os.system is not supported"),
        ("!mine x", "the tag !mine is not supported"),
        ("!!str 5", "the tag !!str is not supported"),
        ("! 5", "the tag ! is not supported"),
        ("{<<: {a: 1}}", "merge keys (<<) are not supported"),
        ("{[a]: 1}", "a key has to be text"),
        ("{a: 1, b: 2, a: 3}", "the key 'a' is there twice, in lines 2 and 2"),
        ("{true: 1, 'true': 3}", "the key 'true' is there twice, in lines 2 and 2"),
        (".nan", ".nan is not a finite number"),
        ("-.inf", "-.inf is not a finite number"),
        ("1e400", "1e400 is too large for a number"),
        ("9" * 1001, "a number of more than 1000 digits"),
    ],
)
def test_a_value_that_is_refused_is_named(value: str, message: str) -> None:
    found = refused(FILE % value)

    assert found == [(2, message)]


def test_a_duplicate_key_names_both_lines() -> None:
    text = "name: p\nsource: {plugin: csv}\nname: q\nsinks: {out: {plugin: x}}\n"

    assert refused(text) == [(3, "the key 'name' is there twice, in lines 1 and 3")]


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    plain, windows = tmp_path / "plain.yaml", tmp_path / "windows.yaml"
    text = FILE % "1"
    plain.write_bytes(text.encode())
    windows.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert load(windows).config == load(plain).config


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"name: a\nsource: \xff\n",
            "{file}:2:9: byte 0xff at offset 16 is not UTF-8\n    Save the file as UTF-8.",
        ),
        ("name: a".encode("utf-16"), "{file}:1:1: is UTF-16, not UTF-8\n    Save the file as UTF-8."),
        (b"", "{file}: is empty\n    Describe a pipeline; `frame init` writes one to start from."),
    ],
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(file)

    assert str(caught.value) == expected.format(file=file)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError) as caught:
            load(path)

        assert [(problem.file, problem.message) for problem in caught.value.problems] == [
            (str(path), message)
        ]


@pytest.mark.parametrize(
    ("path", "message"), [("/dev/zero", "is not a regular file"), ("a\0b", "cannot be read")]
)
def test_a_path_that_cannot_be_read_is_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path)

    assert caught.value.problems[0].message.startswith(message)
