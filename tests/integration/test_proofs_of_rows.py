"""Proofs of single rows: made from a store, checked without one, and not to be bent."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from frame.audit.key_files import write_pair
from frame.audit.proof_check import _written, check_proof
from frame.audit.signing import PrivateKey, new_key
from frame.errors import UsageError
from frame.operations import prove, run, verify_proof

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights"
DIRTY = Path(__file__).resolve().parents[2] / "examples" / "dirty-data"
KEY = PrivateKey("test", bytes(range(32)))


class Recorded:
    """A run of an example, signed, and what there is to check its proofs with."""

    def __init__(self, folder: Path, example: Path, key: PrivateKey | None = KEY) -> None:
        self.folder = folder / example.name
        shutil.copytree(example, self.folder, ignore=shutil.ignore_patterns("out", ".frame"))
        environment = pytest.MonkeyPatch()
        if key is not None:
            write_pair(folder / "frame.key", key)
            environment.setenv("FRAME_SIGNING_KEY", str(folder / "frame.key"))
        self.key = folder / "frame.key.pub"
        self.result = run(self.folder / "pipeline.yaml")
        environment.undo()
        self.audit = f"sqlite:///{self.folder / '.frame' / 'audit.db'}"
        assert self.result.receipt is not None
        self.receipt = Path(self.result.receipt.path)

    def prove(self, **which: Any) -> dict[str, Any]:
        return prove(audit=self.audit, **which)

    def file(self, proof: Any) -> Path:
        path = self.folder / "proof.json"
        path.write_bytes(orjson.dumps(proof))
        return path


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("flights"), FLIGHTS)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("dirty"), DIRTY)


def test_a_source_row_is_proven_with_its_data_by_the_key_alone(flights: Recorded) -> None:
    for row in (0, 31, 32, 999, 1_000, 3_642):
        proof = flights.prove(row=row)

        report = verify_proof(flights.file(proof), [flights.key])

        assert report.ok, report.wrong
        assert report.about == f"source row {row} was read as token {proof['token']}"
        assert report.data == proof["data"].encode()
        assert report.notes == [f"the checkpoint is signed by test ({KEY.public.key_id.hex()})"]


def test_a_proof_is_short(flights: Recorded) -> None:
    assert len(orjson.dumps(flights.prove(row=1_500))) < 12_000


@pytest.mark.parametrize("sink", ["late_flights", "summary", "cancelled"])
def test_a_row_of_a_sink_is_proven_behind_forks_merges_and_batches(flights: Recorded, sink: str) -> None:
    for index in (0, 5):
        proof = flights.prove(sink=sink, index=index)

        report = verify_proof(flights.file(proof), [flights.key], flights.receipt)

        assert report.ok, report.wrong
        assert f"was taken by sink {sink!r} in write" in report.about
        assert report.notes[1:] == [f"the checkpoint agrees with {flights.receipt}"]


def test_a_row_that_did_not_fit_is_proven_with_the_bytes_that_were_kept(dirty: Recorded) -> None:
    proven = [check_proof(dirty.prove(row=row)) for row in range(15)]

    unfit = [each for each in proven if "which did not fit the schema" in each.about]
    assert len(unfit) == dirty.result.counters["invalid"]
    assert all(each.data for each in unfit)


def test_without_a_key_a_proof_leads_up_to_what_a_receipt_says(tmp_path: Path) -> None:
    unsigned, other = Recorded(tmp_path / "one", DIRTY, None), Recorded(tmp_path / "two", DIRTY, None)
    path = unsigned.file(unsigned.prove(row=2))
    write_pair(tmp_path / "frame.key", KEY)

    with_receipt = verify_proof(path, receipt=unsigned.receipt)
    with_key = verify_proof(path, [tmp_path / "frame.key.pub"])

    assert with_receipt.ok
    assert with_receipt.notes[0] == "signatures were not checked: no public key was given"
    assert "not signed by a key" in with_key.wrong
    with pytest.raises(UsageError, match="is a receipt of run"):
        verify_proof(path, receipt=other.receipt)


def test_another_key_or_another_chain_proves_nothing(flights: Recorded, tmp_path: Path) -> None:
    path = flights.file(flights.prove(row=3))
    write_pair(tmp_path / "other.key", new_key("test"))
    text = flights.receipt.read_text(encoding="utf-8").partition("\n\n")[0] + "\n"
    (tmp_path / "forged.receipt").write_text(text.replace("head ", "head 00")[:-3] + "\n", encoding="utf-8")
    lines = text.split("\n")
    forged = [*lines[:3], f"head {'00' * 32}", *lines[4:]]
    (tmp_path / "forged.receipt").write_text("\n".join(forged), encoding="utf-8")

    assert "not signed by a key" in verify_proof(path, [tmp_path / "other.key.pub"]).wrong
    assert "is not the one that" in verify_proof(path, receipt=tmp_path / "forged.receipt").wrong


def test_there_is_no_proof_of_what_is_not_there(flights: Recorded) -> None:
    for which in ({"row": 3_643}, {"sink": "summary", "index": 10_000}, {"sink": "nowhere", "index": 0}, {}):
        with pytest.raises(UsageError, match=r"."):
            flights.prove(**which)


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value in `value` that is no container."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if inner is None:
        yield path
        return
    for key, each in inner:
        yield from leaves_of(each, (*path, key))


def bent(value: Any) -> list[Any]:
    """Other values in place of one."""
    if isinstance(value, int):
        return [value + 1, value - 1, None]
    if value is None:
        return [0]
    flipped = chr(ord(value[0]) ^ 1) if value else "x"
    return [flipped + value[1:], value[:-1], value + "0"] if value else ["x"]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("which", [{"row": 40}, {"sink": "late_flights", "index": 2}])
def test_no_value_of_a_proof_can_be_bent(flights: Recorded, which: dict[str, Any]) -> None:
    proof = flights.prove(**which)
    survivors = []

    for path in leaves_of(proof):
        for other in bent(at(proof, path)):
            changed = copy.deepcopy(proof)
            at(changed, path[:-1])[path[-1]] = other
            report = verify_proof(flights.file(changed), [flights.key])
            if report.ok:
                survivors.append((path, other))

    assert survivors == []


def _claim_a_sink(proof: dict[str, Any]) -> None:
    proof["sink"] = {"name": "summary", "node": 5, "intent": 0}
    del proof["row"]


def _withhold(proof: dict[str, Any]) -> None:
    del proof["data"]
    proof["withheld"] = "purged"
    proof["digest"] = "00" * 32


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another row": lambda proof: proof.update(row=proof["row"] + 1),
    "another token": lambda proof: proof.update(token=proof["token"] + 1),
    "without facts": lambda proof: proof.update(facts=[]),
    "without digests": lambda proof: proof["facts"].pop(
        next(n for n, fact in enumerate(proof["facts"]) if fact["table"] == "segment_digests")
    ),
    "with a fact twice": lambda proof: proof["facts"].append(proof["facts"][0]),
    "of a sink": _claim_a_sink,
    "withheld, with another digest": _withhold,
    "of a place that the segment does not have": lambda proof: proof["digests"].update(place=2_000_000),
    "of a place before the first one": lambda proof: proof["digests"].update(place=-1),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_proof_that_claims_more_than_its_facts_say_is_none(flights: Recorded, lie: str) -> None:
    proof = flights.prove(row=5)
    LIES[lie](proof)

    report = verify_proof(flights.file(proof), [flights.key])

    assert not report.ok


def test_a_row_that_another_token_had_is_not_proven_to_be_in_a_sink(flights: Recorded) -> None:
    first, second = (flights.prove(sink="late_flights", index=index) for index in (0, 1))
    assert first["sink"] == second["sink"]

    report = verify_proof(flights.file({**first, "token": second["token"]}), [flights.key])

    assert f"and not of token {second['token']}" in report.wrong


def test_a_write_that_is_not_shown_to_be_done_is_not_proven(flights: Recorded) -> None:
    proof = flights.prove(sink="summary", index=0)
    proof["facts"] = [fact for fact in proof["facts"] if fact["table"] != "confirmations"]

    assert "does not show that the write was done" in verify_proof(flights.file(proof), [flights.key]).wrong


def written(**changes: Any) -> str:
    """What a write of tokens 3 and 4 shows for token 3 when its facts are as `changes` say."""
    given = {"refused": [4], "says_refused": 1, "hashed_at": (0, 5), "name": "out", "tokens": 2, **changes}
    where = {"chunk": 1, "node": 2, "intent": 0}
    facts = [
        SimpleNamespace(table="nodes", node=2, name=given["name"]),
        SimpleNamespace(
            **where,
            table="segments",
            kind="sink_intended",
            position=0,
            first_token=3,
            size=given["tokens"],
            token_width=0,
            tokens=None,
        ),
        SimpleNamespace(**where, table="confirmations", rejected=given["says_refused"]),
    ]
    facts += [
        SimpleNamespace(**where, table="rejections", number=number, token=token)
        for number, token in enumerate(given["refused"])
    ]
    located = SimpleNamespace(chunk=given["hashed_at"][0], position=given["hashed_at"][1], commit=1)
    try:
        return _written({"sink": {"name": "out", "node": 2, "intent": 0}}, facts, 3, located)
    except ValueError as wrong:
        return f"no: {wrong}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "token 3, whose row had this digest after commit 1, was taken by sink 'out' in write 0"),
        ({"refused": [], "says_refused": 0}, "was taken by sink"),
        ({"refused": [3]}, "no: the sink has refused token 3"),
        ({"refused": []}, "no: it does not show that the write was done, and what was refused of it"),
        ({"refused": [4, 5]}, "no: it does not show that the write was done"),
        ({"hashed_at": (1, 1)}, "no: the digest was put down after the write"),
        ({"name": "other"}, "no: it does not show that token 3 was to be written"),
        ({"tokens": 0}, "no: it does not show that token 3 was to be written"),
    ],
)
def test_a_write_proves_what_it_took_and_nothing_else(changes: dict[str, Any], said: str) -> None:
    assert said in written(**changes)


def test_facts_of_another_place_prove_nothing_of_this_one(flights: Recorded) -> None:
    proof, other = flights.prove(row=5), flights.prove(row=2_500)

    for part in ("facts", "digests", "blocks", "data", "digest"):
        mixed = {**proof, part: other[part]}

        assert not verify_proof(flights.file(mixed), [flights.key]).ok, part


@pytest.mark.parametrize("garbage", ["{}", "[]", "null", '{"format":"frame-proof","version":1}', "3"])
def test_garbage_proves_nothing_and_is_not_a_crash(tmp_path: Path, garbage: str) -> None:
    path = tmp_path / "proof.json"
    path.write_text(garbage, encoding="utf-8")

    assert not verify_proof(path).ok
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="is no proof"):
        verify_proof(path)


def test_the_command_line_proves_and_checks(flights: Recorded, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from frame.cli.main import main

    made = CliRunner().invoke(main, ["explain", "latest", "--row", "7", "--proof", "--audit", flights.audit])
    path = tmp_path / "proof.json"
    path.write_text(made.stdout, encoding="utf-8")
    good = CliRunner().invoke(main, ["verify", "--proof", str(path), "--key", str(flights.key)])
    path.write_text(made.stdout.replace('"row":7', '"row":8'), encoding="utf-8")
    bad = CliRunner().invoke(main, ["verify", "--proof", str(path), "--key", str(flights.key), "--json"])

    assert good.exit_code == 0, good.output
    assert "proven: source row 7 was read as token" in good.stdout
    assert bad.exit_code == 7
    assert json.loads(bad.stdout)["ok"] is False
