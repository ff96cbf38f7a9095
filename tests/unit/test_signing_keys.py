"""Keys: their lines, their files, and who may read those."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from frame.audit.key_files import public_path, read_note, read_private, read_public, write_pair
from frame.audit.key_ring import read_ring, rotated, rotation, trusting
from frame.audit.notes import Note, parse
from frame.audit.signing import NotAKey, PrivateKey, new_key, private_key, public_key
from frame.errors import Refused, UsageError

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
KEY = PrivateKey("test", SEED)


def kept(folder: Path, key: PrivateKey = KEY) -> Path:
    path = folder / "frame.key"
    write_pair(path, key)
    return path


def test_the_first_key_of_RFC_8032_has_the_public_key_that_stands_there() -> None:
    assert KEY.public.key == PUBLIC


def test_a_key_reads_back_from_its_line() -> None:
    assert private_key(KEY.reveal()) == KEY
    assert public_key(str(KEY.public)) == KEY.public


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\n"])
def test_a_key_is_not_called_what_its_line_could_not_hold(name: str) -> None:
    with pytest.raises(NotAKey, match="cannot be called"):
        new_key(name)


def test_a_public_key_is_no_private_one() -> None:
    with pytest.raises(NotAKey, match="is no private key"):
        private_key(str(KEY.public))


def test_two_keys_are_never_the_same() -> None:
    assert new_key("a").public != new_key("a").public


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "NAME"),
        ("test", "Base64|is not an"),
        (KEY.reveal(), "private key where a public one"),
        (str(KEY.public).replace("test", "tess"), "changed"),
        (str(KEY.public).replace("+A", "+B", 1), "is not an Ed25519 key"),
        (str(KEY.public)[:-4], "is not an Ed25519 key"),
        (f"{KEY.public}=", "Base64|is not an"),
        (f"{KEY.public}\n", "Base64|is not an"),
        (str(KEY.public).replace("test", "te st"), "NAME"),
    ],
)
def test_what_is_not_exactly_the_line_of_a_key_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(NotAKey, match=complaint):
        public_key(line)


def test_a_complaint_about_a_private_key_says_nothing_of_it() -> None:
    line = KEY.reveal()
    secret = line.rpartition("+")[2]

    for broken in (line[:-2], line.replace("test", "tess"), line.replace("PRIVATE+", ""), line + "x"):
        with pytest.raises(NotAKey) as refusal:
            private_key(broken)
        assert secret[:10] not in str(refusal.value)


def test_a_private_key_shows_itself_nowhere() -> None:
    assert repr(KEY) == str(KEY) == f"{KEY}" == "<private key 'test'>"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copied(KEY)


def test_a_signature_is_good_for_its_text_and_its_key_only() -> None:
    note = KEY.sign("a\n")

    assert KEY.public.has_signed(note)
    assert not KEY.public.has_signed(Note("b\n", note.signatures))
    assert not new_key("test").public.has_signed(note)
    assert not PrivateKey("other", SEED).public.has_signed(note)


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = kept(tmp_path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_private(path) == KEY
    assert read_public(public_path(path)) == read_public(path) == KEY.public
    assert sorted(each.name for each in tmp_path.iterdir()) == ["frame.key", "frame.key.pub"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_key_that_others_can_get_at_is_not_used(tmp_path: Path, mode: int) -> None:
    path = kept(tmp_path)
    path.chmod(mode)

    with pytest.raises(UsageError, match=f"mode {mode:04o}.*chmod 600"):
        read_private(path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = kept(tmp_path)

    with pytest.raises(Refused, match=r"frame\.key is there already"):
        write_pair(path, new_key("other"))
    path.unlink()
    with pytest.raises(Refused, match=r"frame\.key\.pub is there already"):
        write_pair(path, new_key("other"))

    assert not path.exists()
    assert read_public(public_path(path)) == KEY.public


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 20_000 + b"\n", b"not a key\n"])
def test_a_file_that_is_no_key_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.key"
    path.write_bytes(content)
    path.chmod(0o600)

    for read in (read_private, read_public):
        with pytest.raises(UsageError, match=r"some\.key"):
            read(path)


def test_a_file_that_is_no_note_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "some.note").write_text("no line feed", encoding="utf-8")

    with pytest.raises(
        UsageError, match=r"some\.note does not end with a line feed, so it is no signed note"
    ):
        read_note(tmp_path / "some.note")


def test_a_pipe_or_a_folder_is_no_key_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for name in ("pipe", "", "missing"):
        with pytest.raises(UsageError, match=r"ordinary file|cannot be read"):
            read_private(tmp_path / name)


def test_trust_goes_from_the_old_key_to_the_new_one_by_a_record_that_both_signed() -> None:
    old, new, newest = new_key("one"), new_key("two"), new_key("three")
    steps = [rotation(new, newest), rotation(old, new)]

    ring = trusting([old.public], [parse(str(step)) for step in steps])

    assert ring.signer(newest.sign("a\n")) == newest.public
    assert trusting([new.public], [rotation(old, new)]).signer(old.sign("a\n")) is None


def test_a_rotation_that_one_of_the_two_has_not_signed_is_none() -> None:
    old, new = new_key("one"), new_key("two")
    record = rotation(old, new)

    for one in record.signatures:
        with pytest.raises(UsageError, match="not signed by both"):
            rotated(Note(record.text, (one,)))
    garbage = f"frame/key-rotation\n{old.public}\ngarbage\n"
    for text, said in ((garbage, "a key in the rotation record"), ("frame/other\n\n\n", "is not the record")):
        with pytest.raises(UsageError, match=said):
            rotated(Note(text, record.signatures))
    for text in (
        "frame/key-rotation\n",
        f"{record.text}more\n",
        record.text.replace("rotation", "rotations"),
    ):
        with pytest.raises(UsageError, match="rotation"):
            rotated(Note(text, record.signatures))


def test_a_ring_is_read_from_keys_and_rotation_records(tmp_path: Path) -> None:
    path, new = kept(tmp_path), new_key("new")
    (tmp_path / "new.rotation").write_text(str(rotation(KEY, new)), encoding="utf-8")

    ring = read_ring([tmp_path / "new.rotation", public_path(path)])

    assert ring.keys == (KEY.public, new.public)


def test_keys_are_looked_at_without_the_cryptography_package() -> None:
    program = (
        "import sys, frame.audit.key_ring; from frame.audit.signing import public_key;"
        f"public_key({str(KEY.public)!r}); print('cryptography' in sys.modules, 'sqlalchemy' in sys.modules)"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout == "False False\n"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_that_is_no_private_key_is_told_before_its_permissions(tmp_path: Path, mode: int) -> None:
    own, table = tmp_path / "frame.key", tmp_path / "orders.csv"
    public = write_pair(own, KEY)
    table.write_text("id\n1\n")
    for path in (public, table):
        path.chmod(mode)

    for path, said in (
        (public, rf"frame\.key\.pub is a public key, .*: sign with {own}, which is beside it$"),
        (table, r"orders\.csv is no private key of frame \(`frame keys generate` makes one\)$"),
    ):
        with pytest.raises(UsageError, match=said):
            read_private(path)


def test_a_public_key_that_stands_alone_asks_for_the_private_one(tmp_path: Path) -> None:
    own = tmp_path / "frame.key"
    public = write_pair(own, KEY)
    own.unlink()

    with pytest.raises(UsageError, match=r"is a public key, .*: sign with the private key of it$"):
        read_private(public)
