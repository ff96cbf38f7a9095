"""Proving single rows, and checking such proofs without a store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame.errors import UsageError

if TYPE_CHECKING:
    from frame.audit.export.source import RunRecord
    from frame.audit.proof_check import Proven

DEFAULT_AUDIT = "sqlite:///.frame/audit.db"
LONGEST = 100_000_000
AnyPath = str | PathLike[str]


def prove(
    run: str = "latest",
    *,
    row: int | None = None,
    sink: str | None = None,
    index: int | None = None,
    audit: str = DEFAULT_AUDIT,
) -> dict[str, Any]:
    """The proof, as one JSON object, of source row `row`, or of row `index` that `sink` took.

    Whoever has it and the public key can check it with `verify_proof`. Raises UsageError if there is no such run, row
    or sink; Refused if nothing can be proven of it.
    """
    from frame.audit import database, queries
    from frame.audit.export.source import RunRecord
    from frame.audit.proofs import prove_row, prove_written
    from frame.audit.sinks import token_at

    if (row is None) == (sink is None) or (sink is None) != (index is None):
        raise UsageError("ask for one thing: a source row, or a sink with the index of a row in it")
    with database.open(audit, to_read=True) as store, store.reading() as connection:
        record = RunRecord(connection, queries.find_run(connection, run))
        if row is not None:
            return prove_row(record, row)
        node = _sink(record, sink)
        return prove_written(record, node, token_at(connection, record.run, node, index or 0))


def _sink(record: "RunRecord", name: str | None) -> int:
    sinks = {node.name: node.node for node in record.nodes if node.kind == "sink"}
    if name not in sinks:
        raise UsageError(f"this run has no sink {name!r}: there are {', '.join(sinks)}")
    return sinks[name]


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What came of checking a proof. `about`: what it shows; `wrong`: why it shows nothing, "" if it does."""

    path: Path
    wrong: str
    run_id: str = ""
    about: str = ""
    data: bytes | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.wrong

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        data = None if self.data is None else self.data.decode("utf-8", "backslashreplace")
        return {
            "schema_version": 1,
            "proof": str(self.path),
            "run": self.run_id or None,
            "ok": self.ok,
            "wrong": self.wrong or None,
            "about": self.about or None,
            "data": data,
            "notes": self.notes,
        }


def verify_proof(path: AnyPath, keys: Sequence[AnyPath] = (), receipt: AnyPath | None = None) -> ProofReport:
    """What the proof in the file at `path` shows; no store is needed.

    `keys`: files of public keys, one of which must have signed the checkpoint that it leads up to. `receipt`: a
    receipt of the run that somebody kept; the checkpoint must be of the same chain. Raises UsageError if one of these
    files cannot be read, or is something else.
    """
    from frame.audit.proof_check import check_proof

    where = Path(path)
    proof = _read(where)
    try:
        proven = check_proof(proof)
        notes = [*_signed(proven, keys), *_anchored(proven, receipt)]
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader stumbles over proves nothing
        said = (
            str(error) if type(error) is ValueError else f"it cannot be read: {type(error).__name__}: {error}"
        )
        return ProofReport(where, said)
    return ProofReport(where, "", proven.run_id, proven.about, proven.data, notes)


def _read(path: Path) -> Any:
    import orjson

    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise UsageError(f"{path} is no proof: {error}") from None


def _signed(proven: "Proven", keys: Sequence[AnyPath]) -> list[str]:
    from frame.audit.key_ring import read_ring

    if not keys:
        return ["signatures were not checked: no public key was given"]
    signer = read_ring(map(Path, keys)).signer(proven.note)
    if signer is None:
        raise ValueError("the checkpoint that it leads up to is not signed by a key that was named")
    return [f"the checkpoint is signed by {signer.name} ({signer.key_id.hex()})"]


def _anchored(proven: "Proven", path: AnyPath | None) -> list[str]:
    """Raises ValueError if the receipt is of another chain, UsageError if it cannot tell."""
    from frame.audit.receipts import read

    if path is None:
        return []
    receipt, said = read(Path(path)), proven.said
    if receipt.said.run_id != said.run_id:
        raise UsageError(
            f"{path} is a receipt of run {receipt.said.run_id}, and the proof is of {said.run_id}"
        )
    if receipt.said.blocks != said.blocks:
        raise UsageError(
            f"{path} was given after {receipt.said.blocks} commits, and the proof leads up to {said.blocks}: it says "
            "nothing of this proof; use that receipt on the store or on an export"
        )
    if (receipt.said.tree_root, receipt.said.head) != (said.tree_root, said.head):
        raise ValueError(f"the chain that it leads up to is not the one that {path} was given for")
    return [f"the checkpoint agrees with {path}"]
