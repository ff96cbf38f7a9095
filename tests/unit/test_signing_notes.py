"""Signed notes: read as C2SP says, and in no other way."""

import base64

import pytest
from frame.audit.notes import NotANote, Note, Signature, is_name, parse
from frame.audit.signing import private_key, public_key
from hypothesis import given
from hypothesis import strategies as st

EXAMPLE_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
EXAMPLE_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_TEXT = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
EXAMPLE = f"""{EXAMPLE_TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
SIGNATURE = f"— key {base64.b64encode(bytes(68)).decode()}\n"


def test_the_example_of_the_go_package_note_is_signed_and_checked_alike() -> None:
    key = private_key(EXAMPLE_KEY)

    note = key.sign(EXAMPLE_TEXT)

    assert str(note) == EXAMPLE
    assert str(key.public) == EXAMPLE_PUBLIC
    assert public_key(EXAMPLE_PUBLIC).has_signed(parse(EXAMPLE))


def test_the_text_of_a_note_may_have_empty_lines() -> None:
    assert parse(f"a\n\nb\n\n{SIGNATURE}").text == "a\n\nb\n"


def test_a_text_without_signatures_stands_alone() -> None:
    assert parse("a\nb\n") == Note("a\nb\n")


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("", "does not end"),
        ("a", "does not end"),
        (f"a\n\n{SIGNATURE}"[:-1], "does not end"),
        (f"\n\n{SIGNATURE}", "has no text"),
        ("a\n\n\n", "has no text"),
        ("a\n\nb\n", "no signature line"),
        (f"a\n\n-{SIGNATURE[1:]}", "no signature line"),
        (f"a\n\n{SIGNATURE.replace(' ', '  ', 1)}", "no signature line"),
        (f"a\n\n{SIGNATURE.replace('key', 'k+y')}", "no signature line"),
        ("a\n\n" + SIGNATURE.replace("key", "k\u00a0y"), "no signature line"),
        (f"a\n\n{SIGNATURE[:-1]} \n", "no signature line"),
        (f"a\n\n{SIGNATURE}b\n", "no signature line"),
        (f"a\n\n{SIGNATURE.replace('AAAA', 'AA A', 1)}", "no signature line"),
        (f"a\n\n{SIGNATURE.replace('AAAA', 'AA*A', 1)}", "not Base64"),
        (f"a\n\n{SIGNATURE.replace('AAA=', 'AAB=')}", "not Base64 of"),
        (f"a\n\n{SIGNATURE.replace('=', '')}", "not Base64"),
        ("a\n\n— key AAAAAA==\n", "not Base64 of"),
        (f"a\n\n{SIGNATURE}{SIGNATURE}", "two signatures by one key"),
        (f"a\r\n\n{SIGNATURE}", "control character"),
        (f"a\x00\n\n{SIGNATURE}", "control character"),
        ("a" * 1_000_001, "is longer"),
        ("a\n\n" + "".join(SIGNATURE.replace("key", f"k{n}") for n in range(17)), "1 to 16"),
    ],
)
def test_what_is_not_exactly_a_note_is_refused(written: str, complaint: str) -> None:
    with pytest.raises(NotANote, match=complaint):
        parse(written)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\x1b", "a\u202e"])
def test_a_name_that_would_break_a_line_is_none(name: str) -> None:
    assert not is_name(name)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda text: f"{text}\n")
SIGNATURES = st.lists(
    st.builds(
        Signature,
        st.from_regex(r"[a-z0-9./-]{1,20}", fullmatch=True),
        st.binary(min_size=4, max_size=4),
        st.binary(min_size=1, max_size=70),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: (each.name, each.key_id),
)


@given(TEXTS, SIGNATURES)
def test_a_note_reads_back_as_it_was_written(text: str, signatures: list[Signature]) -> None:
    note = Note(text, tuple(signatures))

    assert parse(str(note)) == note


@given(st.integers(0, len(EXAMPLE.encode()) - 1), st.integers(0, 7))
def test_no_bit_of_a_note_can_be_changed(at: int, bit: int) -> None:
    changed = bytearray(EXAMPLE.encode())
    changed[at] ^= 1 << bit

    try:
        note = parse(changed.decode())
    except (UnicodeDecodeError, NotANote):
        return

    assert not public_key(EXAMPLE_PUBLIC).has_signed(note)
