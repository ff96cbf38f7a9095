"""Secrets from the environment and from files: which one is meant, and what is said when there is none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from frame.config.load import load_text
from frame.config.secret import NoSecret, SecretReference
from frame.config.secret_files import MOST_BYTES
from frame.errors import ConfigError
from frame.operations.secrets import Secrets
from frame.plugin.registry import Registry

PIPELINE = """\
name: p
source: {plugin: csv, options: {value: '%s'}}
sinks: {out: {plugin: jsonl}}
"""


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"pass", "pass"),
        (b"pass\n", "pass"),
        (b"pass\r\n", "pass"),
        (b" p a s s \n\n", " p a s s "),
        (b"first\nsecond\n", "first\nsecond"),
        ("pässwörd\n".encode(), "pässwörd"),
    ],
)
def test_a_secret_in_a_file_is_its_text_without_the_last_line_end(
    tmp_path: Path, content: bytes, secret: str
) -> None:
    put(tmp_path / "keys" / "token", content)

    relative = SecretReference("file:keys/token").read({}, tmp_path)
    absolute = SecretReference(f"file:{tmp_path}/keys/token").read({}, Path("elsewhere"))

    assert (relative, absolute) == (secret, secret)


def test_a_name_means_the_environment_first_and_then_the_secrets_folder(tmp_path: Path) -> None:
    mounted = put(tmp_path / "mounted", b"from the folder\n")
    (tmp_path / "db-password").symlink_to(mounted)
    put(tmp_path / "TOKEN", b"from the folder\n")
    environ = {"TOKEN": "from the environment", "FRAME_SECRETS_DIR": str(tmp_path)}

    found = {name: SecretReference(name).read(environ, Path()) for name in ("TOKEN", "db-password")}

    assert found == {"TOKEN": "from the environment", "db-password": "from the folder"}


def folder(path: Path) -> None:
    path.mkdir()


def too_long(path: Path) -> None:
    path.write_bytes(b"x" * (MOST_BYTES + 1))


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def empty(path: Path) -> None:
    path.write_bytes(b"\n")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no file"),
        (folder, "is a folder"),
        (os.mkfifo, "is not an ordinary file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not an ordinary file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (too_long, "more than 1,000,000 bytes"),
        (no_text, "is not UTF-8 text"),
        (empty, "is empty"),
    ],
)
def test_a_file_that_has_no_secret_is_named_and_nothing_is_waited_for(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "token")

    with pytest.raises(NoSecret) as caught:
        SecretReference("file:token").read({}, tmp_path)

    assert str(caught.value).startswith("${secret:file:token}")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${secret:NONE}", "${secret:NONE}: the environment has no variable NONE"),
        ("${secret:EMPTY}", "${secret:EMPTY} is empty"),
        ("${secret:file:a:-b}", "${secret:file:a:-b}: a secret has no default"),
        ("${secret:}", "${secret:} names no secret"),
        ("${secret:../x}", "${secret:../x} names no secret"),
        ("${secret:a b}", "${secret:a b} names no secret"),
        ("${secret:Vault:x}", "${secret:Vault:x} names no secret"),
        ("${secret:file:}", "${secret:file:} names no secret"),
        ("x${secret:file:a}", "${secret:file:a} stands inside other text"),
    ],
)
def test_a_reference_to_no_secret_is_a_problem_of_the_file(written: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(PIPELINE % written, environ={"EMPTY": ""})

    assert [problem.message for problem in caught.value.problems] == [message]


def test_a_name_that_is_nowhere_is_told_with_all_places(tmp_path: Path) -> None:
    with pytest.raises(NoSecret) as caught:
        SecretReference("NONE").read({"FRAME_SECRETS_DIR": str(tmp_path)}, tmp_path)

    assert str(caught.value) == (
        f"${{secret:NONE}}: the environment has no variable NONE, and {tmp_path} (FRAME_SECRETS_DIR) no file NONE"
    )


def test_a_secret_is_read_once_and_a_short_one_is_warned_of(tmp_path: Path) -> None:
    file = put(tmp_path / "token", b"a long secret")
    secrets = Secrets({"PIN": "123", "FOUR": "1234"}, tmp_path, Registry.of([]))

    read = [secrets.read(name) for name in ("file:token", "PIN", "FOUR")]
    file.unlink()

    assert secrets.read("file:token") == "a long secret"
    assert list(secrets.values) == read == ["a long secret", "123", "1234"]
    (warning,) = secrets.warnings
    assert "${secret:PIN} has fewer than 4 characters" in warning
