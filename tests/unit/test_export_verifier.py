"""The program that an auditor is handed: alone, in a Python that has nothing, and not to be fooled."""

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from frame.audit import verifier
from frame.audit.signing import PrivateKey, new_key
from frame.audit.verifier.verify_export import Export, L, P, decoded, is_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.export_by_hand import ByHand, digest_of, line, outcomes, segment

KEY = PrivateKey("test", bytes(range(32)))
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "key", "message", "signature"), RFC_8032)
def test_the_signatures_of_RFC_8032_are_right(seed: str, key: str, message: str, signature: str) -> None:
    assert is_signature(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))
    assert (
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)).sign(bytes.fromhex(message)).hex()
        == signature
    )
    assert not is_signature(bytes.fromhex(key), bytes.fromhex(message) + b"!", bytes.fromhex(signature))


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 64 * 8 + 32 * 8 - 1))
def test_a_signature_is_right_where_OpenSSL_says_so(seed: bytes, message: bytes, flipped: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    both = bytearray(public + signature)
    both[flipped // 8] ^= 1 << flipped % 8

    assert is_signature(public, message, signature)
    assert _ours(bytes(both), message) is _openssl(bytes(both), message) is False


def _ours(both: bytes, message: bytes) -> bool:
    try:
        return is_signature(both[:32], message, both[32:])
    except ValueError:
        return False


def _openssl(both: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(both[:32]).verify(both[32:], message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_a_signature_whose_second_half_is_not_below_the_order_is_refused() -> None:
    key, message, signature = (bytes.fromhex(each) for each in RFC_8032[1][1:])
    s = int.from_bytes(signature[32:], "little") + L

    assert not is_signature(key, message, signature[:32] + s.to_bytes(32, "little"))
    assert not is_signature(key, message, signature + b"\0")


@pytest.mark.parametrize(
    "encoded",
    [
        (2).to_bytes(32, "little"),  # no x goes with it
        (P + 1).to_bytes(32, "little"),  # 1, written another way
        (1 | 1 << 255).to_bytes(32, "little"),  # minus zero
    ],
)
def test_what_is_no_point_of_the_curve_or_another_spelling_of_one_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="no point"):
        decoded(encoded)


def test_the_program_is_one_short_file_of_plain_Python() -> None:
    text = verifier.program().decode()
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert len(text.splitlines()) <= 300
    assert imported <= sys.stdlib_module_names


class Auditor:
    """A fresh process with the program, an export and a key, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "verify.py").write_bytes(verifier.program())
        (folder / "key.pub").write_text(f"{KEY.public}\n", encoding="utf-8")

    def __call__(self, export: str | list[str] | bytes, *options: str) -> tuple[int, str]:
        data = export if isinstance(export, bytes) else "".join(export).encode()
        (self.folder / "export.jsonl").write_bytes(data)
        return self.check("export.jsonl", "--key", "key.pub", *options)

    def check(self, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", "-S", "verify.py", *arguments]
        done = subprocess.run(command, cwd=self.folder, env={}, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


def test_an_export_that_is_as_it_was_signed_is_right(auditor: Auditor) -> None:
    made = ByHand()
    made.manifest = {"checkpoint": made.checkpoint(3, KEY)}
    (auditor.folder / "kept.receipt").write_text(made.checkpoint(2), encoding="utf-8")

    code, said = auditor(made.lines(KEY), "--receipt", "kept.receipt")

    assert (code, said.splitlines()[1:]) == (
        0,
        [
            f"  signed by test {KEY.public.key_id.hex()}",
            f"  checkpoint: 3 of 4 blocks, signed by test {KEY.public.key_id.hex()}",
            "  receipt: 2 of 4 blocks",
        ],
    )


def test_without_a_key_it_says_that_no_signature_was_checked(auditor: Auditor) -> None:
    ByHand().write(auditor.folder / "e.jsonl", KEY)

    code, said = auditor.check("e.jsonl")

    assert code == 0
    assert "signatures NOT CHECKED" in said


def test_what_cannot_be_read_is_a_fault_of_the_command_line(auditor: Auditor) -> None:
    ByHand().write(auditor.folder / "e.jsonl", KEY)

    assert auditor.check("missing.jsonl")[0] == 2
    assert auditor.check("e.jsonl", "--key", "missing")[0] == 2
    assert auditor.check("e.jsonl", "--receipt", "missing")[0] == 2
    assert auditor.check("e.jsonl", "--key", "e.jsonl")[0] == 2


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_bit_of_an_export_can_be_changed(data: st.DataObject) -> None:
    whole = bytearray("".join(ByHand().lines(KEY)).encode())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert not _stands(bytes(whole))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_no_line_can_be_taken_out_put_in_twice_or_moved(data: st.DataObject) -> None:
    lines = ByHand().lines(KEY)
    place = data.draw(st.integers(0, len(lines) - 1))
    moved = data.draw(st.integers(0, len(lines) - 1).filter(lambda other: other != place))
    without = lines[:place] + lines[place + 1 :]
    changed = {
        "out": without,
        "twice": lines[: place + 1] + lines[place:],
        "moved": [*without[:moved], lines[place], *without[moved:]],
        "cut": lines[:place],
    }[data.draw(st.sampled_from(["out", "twice", "moved", "cut"]))]

    assert not _stands("".join(changed).encode())


def _stands(data: bytes) -> bool:
    """What the program says of an export, without a process for each."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        export = Export(Path(file.name))
        try:
            export.read()
            export.finish()
            export.signer([str(KEY.public)])
        except Exception:
            return False
        return True


def _change(record: str, nth: int = 0, **fields: Any) -> Callable[[ByHand], None]:
    def change(made: ByHand) -> None:
        [each for name, each in made.readable if name == record][nth].update(fields)

    return change


def _fact(block: int, place: int, **fields: Any) -> Callable[[ByHand], None]:
    return lambda made: made.blocks[block][place][1].update(fields)


def _drop(block: int, place: int) -> Callable[[ByHand], None]:
    def change(made: ByHand) -> None:
        del made.blocks[block][place]

    return change


def _add(block: int, fact: Any) -> Callable[[ByHand], None]:
    return lambda made: made.blocks[block].append(fact)


def _another(record: str, **fields: Any) -> Callable[[ByHand], None]:
    def change(made: ByHand) -> None:
        place = max(at for at, (name, _) in enumerate(made.readable) if name == record)
        made.readable.insert(place + 1, (record, fields))

    return change


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        (_change("row", data="{}"), "line 2: ValueError: its data has another digest"),
        (_change("row", 1, data="{}", digest=digest_of(7)), "its data has another digest"),
        (_change("row", 3, digest=digest_of(7)), "line 5 says another"),
        (_change("row", 0, token=1), "line 2 says another"),
        (_change("row", 0, valid=False), "line 2 says another"),
        (_change("outcome", 2, path="dropped"), "token 2 ends gate_discarded here; its outcome says dropped"),
        (_change("outcome", 1, path="default_flow"), "token 1 ends sink_rejected here"),
        (_change("outcome", 1, token=0), "token 0 has an outcome already"),
        (_change("outcome", 1, token=9), "IndexError"),
        (_change("outcome", 1, path="lost"), "KeyError"),
        (_another("token", token=4), "no fact speaks of"),
        (_another("row", row=4, token=4, valid=True, withheld="purged"), "no fact speaks of"),
        (_fact(1, 1, first_token=1), "token 1 comes into being where 0 is next"),
        (_fact(1, 1, size=2), "token 3 comes into being where 2 is next"),
        (_fact(1, 5, digests=digest_of(0) * 3), "row 1 is"),
        (_fact(2, 2, fallback=3), "token 1 has|token 1 is missing|outcome of token 1"),
        (_drop(2, 1), "outcome of token 0"),
        (_drop(2, 2), "token 1 ends default_flow here; its outcome says sink_rejected"),
        (_add(1, segment(9, "dropped", 2)), "token 2 ends dropped here"),
        (_add(2, ("confirmations", {"chunk": 1, "node": 1, "intent": 0})), "KeyError"),
    ],
)
def test_who_holds_the_key_cannot_let_the_record_contradict_itself(
    auditor: Auditor, lie: Callable[[ByHand], None], complaint: str
) -> None:
    made = ByHand()
    lie(made)

    code, said = auditor(made.lines(KEY))

    assert code == 7
    assert any(each in said for each in complaint.split("|")), said


def test_a_token_without_an_end_is_right_only_while_the_run_has_not_ended_well(auditor: Auditor) -> None:
    short = [(name, each) for name, each in ByHand().readable if name != "outcome"]
    ends = outcomes(t2="gate_discarded", t3="invalid_at_source")
    made = ByHand(status="interrupted", readable=[*short, *ends])
    made.blocks = made.blocks[:2]
    good = auditor(made.lines(KEY))

    made.status = "completed"
    code, said = auditor(made.lines(KEY))

    assert good[0] == 0
    assert code == 7
    assert "the outcome of token 0 is missing" in said


@pytest.mark.parametrize("name", ["n", "counts", "leaves", "root", "previous", "hash"])
def test_a_block_has_to_say_what_its_facts_make(auditor: Auditor, name: str) -> None:
    def lie(lines: list[str]) -> None:
        place = next(at for at, each in enumerate(lines) if '"n":2,' in each and '"record":"block"' in each)
        said = json.loads(lines[place])
        del said["record"]
        other = said[name] + 1 if isinstance(said[name], int) else f"{said[name]} "
        lines[place] = line("block", **{**said, name: other})

    code, said = auditor(ByHand().lines(KEY, lie))

    assert code == 7
    assert f"block 2 says {name} " in said


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace('"row":0,', '"row":0,"row":0,'),
        lambda text: text.replace('"row":0,', '"row":0.00,'),
        lambda text: text.replace('"row":0,', '"row":NaN,'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: text.replace("Ünal", "\\u00dcnal"),
        lambda text: text.replace('{"record":"row",', "{").replace("}\n", ',"record":"row"}\n'),
        lambda text: text.replace('"record":"row"', '"record":"lost"'),
        lambda text: text.replace('"record":"row"', '"record":"manifest"'),
    ],
)
def test_a_line_that_could_be_read_in_two_ways_is_the_first_wrong_one(
    auditor: Auditor, change: Callable[[str], str]
) -> None:
    def lie(lines: list[str]) -> None:
        lines[1] = change(lines[1])

    code, said = auditor(ByHand().lines(KEY, lie))

    assert code == 7
    assert re.search(r"export\.jsonl, line [23]: (ValueError|JSONDecodeError)", said), said


def test_a_key_that_is_damaged_checks_nothing(auditor: Auditor) -> None:
    damaged = str(KEY.public).replace("test", "tess")
    (auditor.folder / "key.pub").write_text(damaged, encoding="utf-8")

    code, said = auditor(ByHand().lines(KEY))

    assert code == 7
    assert "the given key tess is no public key" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lines", 3),
        ("blocks", 3),
        ("head", "00" * 32),
        ("tree_root", "00" * 32),
        ("sha256", "00" * 32),
        ("withheld", {}),
        ("counts", {"run": 1}),
        ("run_id", "another"),
        ("version", 2),
    ],
)
def test_the_manifest_has_to_say_what_the_file_holds(auditor: Auditor, field: str, value: Any) -> None:
    code, said = auditor(ByHand(manifest={field: value}).lines(KEY))

    assert code == 7
    assert f"manifest: ValueError: it says {field} {value!r}" in said


def test_an_export_by_another_key_or_by_none_is_wrong(auditor: Auditor) -> None:
    for key in (new_key("test"), PrivateKey("other", bytes(32)), None):
        code, said = auditor(ByHand().lines(key))

        assert (code, "manifest: ValueError" in said) == (7, True)


def test_a_signature_of_another_export_does_not_count(auditor: Auditor) -> None:
    taken = json.loads(ByHand().lines(KEY)[-1])["signature"]

    code, said = auditor(ByHand(manifest={"signature": taken, "more": 1}).lines())

    assert code == 7
    assert "no signature that is one of this manifest" in said


@pytest.mark.parametrize(
    ("note", "complaint"),
    [
        (lambda made: made.checkpoint(3).replace("frame/", "other/"), "speaks of"),
        (lambda made: made.checkpoint(3).replace("\n3\n", "\n2\n"), "other blocks"),
        (lambda made: made.checkpoint(3).replace("\n3\n", "\n0\n"), "speaks of"),
        (lambda made: made.checkpoint(3).replace("\n3\n", "\n30\n"), "speaks of 30 blocks"),
        (lambda made: made.checkpoint(3).replace("head ", "head 0"), "other blocks"),
        (lambda made: made.checkpoint(3, new_key("test")), "no signature by a given key"),
        (
            lambda made: made.checkpoint(3, KEY).replace("time 2026", "time 2025"),
            "signature by test is wrong",
        ),
        (lambda made: "hello", "ValueError"),
    ],
)
def test_a_receipt_that_the_export_does_not_extend_is_seen(
    auditor: Auditor, note: Callable[[ByHand], str], complaint: str
) -> None:
    made = ByHand()
    (auditor.folder / "kept.receipt").write_text(note(made), encoding="utf-8")

    code, said = auditor(made.lines(KEY), "--receipt", "kept.receipt")

    assert code == 7
    assert "receipt: ValueError" in said
    assert complaint in said


def test_a_record_whose_tail_was_cut_is_seen_with_a_receipt_and_only_then(auditor: Auditor) -> None:
    whole, cut = ByHand(), ByHand(status="interrupted")
    cut.blocks = cut.blocks[:1]
    cut.readable = [("chunk", {"chunk": 0})]
    (auditor.folder / "kept.receipt").write_text(whole.checkpoint(4, KEY), encoding="utf-8")

    assert auditor(cut.lines(KEY))[0] == 0
    assert auditor(cut.lines(KEY), "--receipt", "kept.receipt")[0] == 7


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"record":"run"}\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"record":1}\n',
    ],
)
def test_garbage_is_wrong_and_not_a_crash(auditor: Auditor, garbage: bytes) -> None:
    code, said = auditor(garbage)

    assert (code, said.startswith("WRONG")) == (7, True)
