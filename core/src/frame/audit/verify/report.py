"""What a verification says."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MOST_FINDINGS = 100
"""As many are told of a run; the others are counted. The first ones are what matters."""


RECEIPT = "receipt"
"""The check that a finding breaks which is about a receipt that was brought, and not about the store."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written, or does not fit the rest.

    `check`: which rule it breaks. `what` it is and what that `means`. The other fields say where, as far as that is
    known; `block` is the number of the commit within the run.
    """

    check: str
    what: str
    means: str = ""
    table: str | None = None
    run_id: str | None = None
    block: int | None = None
    chunk: int | None = None
    row: int | None = None
    token: int | None = None
    key: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        said = (
            ("run", self.run_id),
            ("commit", self.block),
            ("chunk", self.chunk),
            ("table", self.table),
            ("key", self.key),
            ("row", self.row),
            ("token", self.token),
        )
        return ", ".join(f"{name} {value}" for name, value in said if value is not None)

    def as_json(self) -> dict[str, Any]:
        """The finding as one JSON object."""
        return {name: getattr(self, name) for name in Finding.__slots__} | {"place": self.place}


@dataclass(frozen=True, slots=True)
class Anchor:
    """What somebody kept outside the store: after `blocks` commits the run's tree had this root.

    `where`: what it is, for people. `head`: the hash of the last of these blocks. `log`: how many records the log of
    the store had, and the hash of the newest of them. `signer`: the line of the public key that it was checked with.
    """

    run_id: str
    blocks: int
    tree_root: bytes
    where: str
    head: bytes | None = None
    log: tuple[int, bytes] | None = None
    signer: str | None = None


@dataclass(slots=True)
class RunReport:
    """What was found about one run.

    `anchored_blocks`: as many of its first blocks are vouched for by an anchor, None without one; `signed_blocks`: by
    a signed checkpoint in the store. `unchained`: as
    many commits were made before frame chained them. `notes` are worth knowing and nothing wrong.
    """

    run_id: str
    run: int
    status: str = ""
    blocks: int = 0
    unchained: int = 0
    rows: int = 0
    tokens: int = 0
    head: bytes = b""
    tree_root: bytes = b""
    anchored_blocks: int | None = None
    signed_blocks: int | None = None
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it when there are many."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1

    def order(self) -> None:
        """Put the first wrong record first; what concerns the run as a whole comes after what has a commit."""
        last = 1 << 62
        self.findings.sort(key=lambda found: last if found.block is None else found.block)

    def as_json(self) -> dict[str, Any]:
        """The report of this run as one JSON object."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "blocks": self.blocks,
            "unchained": self.unchained,
            "rows": self.rows,
            "tokens": self.tokens,
            "head": self.head.hex(),
            "tree_root": self.tree_root.hex(),
            "anchored_blocks": self.anchored_blocks,
            "signed_blocks": self.signed_blocks,
            "findings": [finding.as_json() for finding in self.findings],
            "more_findings": self.more_findings,
            "notes": self.notes,
        }


@dataclass(slots=True)
class Report:
    """What was found in a store: about the store itself, and run by run."""

    where: str
    findings: list[Finding] = field(default_factory=list)
    runs: list[RunReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Keep findings about the store itself."""
        self.findings += findings

    @property
    def receipt_findings(self) -> list[Finding]:
        """Those of the findings that are about receipts: the store may be as it was written."""
        return [finding for finding in self.findings if finding.check == RECEIPT]

    @property
    def store_findings(self) -> list[Finding]:
        """The others, about the store itself."""
        return [finding for finding in self.findings if finding.check != RECEIPT]

    @property
    def all_findings(self) -> list[Finding]:
        """Every finding, those about the store first."""
        return self.findings + [finding for run in self.runs for finding in run.findings]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.all_findings

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "schema_version": 1,
            "store": self.where,
            "ok": self.ok,
            "findings": [finding.as_json() for finding in self.findings],
            "notes": self.notes,
            "runs": [run.as_json() for run in self.runs],
        }
