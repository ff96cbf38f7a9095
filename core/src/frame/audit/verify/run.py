"""One run, read once from its first commit to its last."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from sqlalchemy import Connection, select

from frame.audit import conservation, schema
from frame.audit.decoding import SINGLE, Facts, confirmed, error_of, segment_events
from frame.audit.text import from_json
from frame.audit.verify.artifacts import check_artifacts
from frame.audit.verify.blocks import Chain
from frame.audit.verify.calls import check_places
from frame.audit.verify.checkpoints import check_checkpoints
from frame.audit.verify.contents import Contents
from frame.audit.verify.journeys import Broken, Journeys
from frame.audit.verify.linked import check_linked
from frame.audit.verify.log import Log
from frame.audit.verify.report import Anchor, Finding, RunReport
from frame.audit.verify.standing import ENDED_WELL, Standing, check_opening
from frame.audit.verify.stored import Commit, Stray, commits
from frame.canonical import restore
from frame.errors import AuditError, NotCanonical
from frame.events import Event, Noted

MOST_TOKENS = 1_000_000
"""A segment that speaks of more of them is not what frame wrote, and is not unpacked."""
UNFIT = "what the record says of the run does not fit together"
TURNS = ("started", "resumed")


class RunVerification:
    """The checks of one run; `check()` gives the report."""

    def __init__(
        self, connection: Connection, run: int, run_id: str, log: Log, anchors: Sequence[Anchor]
    ) -> None:
        self._connection, self._log = connection, log
        self.report = RunReport(run_id, run)
        self._chain = Chain(connection, run, run_id)
        self._standing = Standing(run_id)
        discards = conservation.discards(connection, run)
        nodes = schema.nodes
        of_sinks = select(nodes.c.name, nodes.c.node).where(nodes.c.run == run, nodes.c.kind == "sink")
        sinks = {row.name: row.node for row in connection.execute(of_sinks)}
        self._journeys = Journeys(discards, frozenset(sinks.values()))
        self._contents = Contents(discards, _renaming(connection, run, sinks))
        self._anchors = sorted(anchors, key=lambda anchor: anchor.blocks)
        self._broken = False
        """Something is wrong so far: what follows from the events is not judged any more."""

    def check(self, *, artifacts: bool) -> RunReport:
        """Hold everything that is stored of the run against everything else."""
        report, strays = self.report, list[Stray]()
        if self._chain.first is None and report.run > self._log.runs_before:
            self._find("chain", "the run has no blocks, and was recorded when every commit had one", "blocks")
        for commit in commits(self._connection, report.run, strays):
            self._check_commit(commit)
        self._add(self._chain.rest())
        self._add_strays(strays)
        self._finish()
        if not self._broken:
            self._add(check_linked(self._connection, report))
        if artifacts and self._standing.status in ENDED_WELL:
            self._add(check_artifacts(self._connection, report))
        report.order()
        return report

    # --- Commit by commit -----------------------------------------------------------------------

    def _check_commit(self, commit: Commit) -> None:
        before = len(self.report.findings)
        self._add(self._chain.check(commit))
        self._add(self._standing.check(commit))
        if self._chain.first is None or commit.block < self._chain.first:
            self.report.unchained += 1
        self._hold_against_anchors()
        self._broken = self._broken or len(self.report.findings) > before
        if self._broken:
            return
        if commit.block == 0:
            self._add(check_opening(self.report.run_id, commit, self._chain.first == 0))
        if commit.chunks:
            self._check_chunk(commit)
        self._check_counters(commit)
        self._broken = len(self.report.findings) > before

    def _check_chunk(self, commit: Commit) -> None:
        try:
            events = _events(commit)
            _check_header(commit, events)
            for position, event in events:
                self._apply(commit, position, event)
            self._contents.apply(commit, [event for _, event in events])
        except Broken as broken:
            self._find_in(commit, broken.rule, broken.what, broken.token)
        except AuditError as error:
            self._find_in(commit, "H1", f"{error.where}: {error.why}")
        except (ValueError, LookupError, TypeError, ArithmeticError, AssertionError, AttributeError) as error:
            self._find_in(commit, "F6", f"its rows cannot be read: {type(error).__name__}: {error}")

    def _apply(self, commit: Commit, position: int, event: Event) -> None:
        assert commit.chunk is not None
        if isinstance(event, Noted) and event.kind == "possible_duplicate":
            said = ", ".join(f"{name} {value}" for name, value in sorted(event.detail.items()))
            self.report.notes.append(
                f"node {event.node} may have been given rows twice after a crash ({said}; chunk {commit.chunk})"
            )
        try:
            self._journeys.apply(commit.chunk, event)
        except conservation.Unbalanced as error:
            raise Broken("T1", f"token {error.token} {error.how}", error.token) from None
        except Broken as broken:
            raise Broken(broken.rule, f"{broken.what} (event {position})", broken.token) from None

    def _check_counters(self, commit: Commit) -> None:
        """T7: what a run ended with is what its record comes to."""
        for change in commit.of(schema.run_changes):
            if change.status not in ENDED_WELL:
                continue
            said = from_json(change.detail).get("counters", {})
            derived = self._journeys.ledger.counters()
            wrong = sorted(name for name in derived if said.get(name, derived[name]) != derived[name])
            for name in wrong:
                what = f"counter {name!r} is {said[name]}, and the record comes to {derived[name]}"
                self._find("T7", what, "run_changes", commit.block)

    # --- The run as a whole ---------------------------------------------------------------------

    def _finish(self) -> None:
        report, chain, standing = self.report, self._chain, self._standing
        report.status = standing.status
        report.blocks, report.head, report.tree_root = chain.tree.size, chain.head, chain.tree.root()
        report.rows, report.tokens = self._journeys.ledger.rows, self._journeys.ledger.tokens
        if not self._broken:
            if standing.status in ENDED_WELL:
                try:
                    self._journeys.finish()
                except Broken as broken:
                    self._find(broken.rule, broken.what, token=broken.token)
            self._add(check_places(self._connection, report.run, report.run_id))
        self._add(standing.mutable(self._connection, report.run, chain))
        self._check_log()
        self._add(check_checkpoints(self._connection, report, self._log))
        self._check_absent()
        for anchor in self._anchors:
            self._find("anchor", _cut(anchor, chain.tree.size), means="commits were cut off the end")
        if report.unchained:
            report.notes.append(
                f"{report.unchained} commits were made by a frame that did not chain them: a change of what they "
                "wrote shows only where it does not fit the rest"
            )

    def _hold_against_anchors(self) -> None:
        tree = self._chain.tree
        while self._anchors and self._anchors[0].blocks <= tree.size:
            anchor = self._anchors.pop(0)
            heads = None, self._chain.head
            if (anchor.blocks, anchor.tree_root) == (tree.size, tree.root()) and anchor.head in heads:
                self.report.anchored_blocks = anchor.blocks
                continue
            said = f"after {anchor.blocks} commits the chain is not the one that {anchor.where} was given for"
            self._find("anchor", said, "blocks", tree.size - 1, means="the chain was written anew")

    def _check_log(self) -> None:
        """Whether the log speaks of the run's turns as the run does."""
        blocks, changes = schema.blocks, schema.run_changes
        joined = select(changes.c.kind, blocks.c.n, blocks.c.hash, changes.c.status).join(
            changes, (changes.c.run == blocks.c.run) & (changes.c.block == blocks.c.n)
        )
        mine = self._connection.execute(joined.where(blocks.c.run == self.report.run).order_by(blocks.c.n))
        turns = [
            (row.kind, row.n, row.hash.hex() if isinstance(row.hash, bytes) else "")
            for row in mine
            if row.kind in TURNS or row.status != "running"
        ]
        logged = self._log.turns.get(self.report.run_id, [])
        if turns != logged:
            missing = [turn for turn in turns if turn not in logged] or logged
            said = f"the log of the store does not say of the run what the run says ({missing[0][0]})"
            self._find(
                "log", said, "store_log", means="the run or the log was changed, or cut off at the end"
            )

    def _check_absent(self) -> None:
        """Payload bytes that are gone: by a purge that is on record, or by somebody."""
        absent, purged = self._contents.absent, self._log.purged[self.report.run_id]
        if absent > purged:
            said = f"{absent} payloads are gone, and {purged} were purged on record"
            self._find("G25", said, "payload_data", means="bytes were removed by somebody")
        elif absent < purged and not self._broken:
            said = f"{purged} payloads were purged, and {purged - absent} of them are there"
            means = "the purge was cut short and is to be run again, or bytes were put back"
            self._find("G25", said, "payload_data", means=means)
        elif purged:
            records = sorted(n for run_id, n, _ in self._log.purges if run_id == self.report.run_id)
            by = ", ".join(map(str, records))
            self.report.notes.append(
                f"{purged} payloads purged by record {by} of the log; their hashes are left"
            )

    # --- Findings -------------------------------------------------------------------------------

    def _add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.report.add(finding)

    def _add_strays(self, strays: Sequence[Stray]) -> None:
        for (table, chunk), rows in groupby(sorted((stray.table, stray.chunk) for stray in strays)):
            what = f"{len(list(rows))} rows belong to chunk {chunk}, which was not committed"
            self.report.add(
                Finding("chain", what, "rows were put in", table, self.report.run_id, None, chunk)
            )

    def _find(
        self,
        check: str,
        what: str,
        table: str | None = None,
        block: int | None = None,
        *,
        token: int | None = None,
        means: str = UNFIT,
    ) -> None:
        self.report.add(Finding(check, what, means, table, self.report.run_id, block, token=token))

    def _find_in(self, commit: Commit, check: str, what: str, token: int | None = None) -> None:
        place = self.report.run_id, commit.block, commit.chunk
        self.report.add(Finding(check, what, UNFIT, None, *place, token=token))


def _renaming(connection: Connection, run: int, sinks: Mapping[str, int]) -> frozenset[int]:
    """The sinks that are given their rows with the field names of the source."""
    headers = schema.run_headers
    config = connection.scalar(select(headers.c.config).where(headers.c.run == run))
    try:
        said = restore(config or b"{}")["pipeline"]["sinks"]
        return frozenset(node for name, node in sinks.items() if said[name].get("headers") == "original")
    except (NotCanonical, LookupError, TypeError, AttributeError):
        return frozenset()


def _cut(anchor: Anchor, blocks: int) -> str:
    return f"{anchor.where} was given for {anchor.blocks} commits, and the run has {blocks}"


def _events(commit: Commit) -> list[tuple[int, Event]]:
    """Position and event of all that the commit says, in order. Raises Broken before unpacking what is too large."""
    segments = commit.of(schema.segments)
    for row in segments:
        if max(row.size, row.children or 0) > MOST_TOKENS or row.size < 0:
            raise Broken("F6", f"event {row.position} speaks of {row.size} tokens")
    facts = Facts()
    facts.digests = {(row.position, row.part): row.digests for row in commit.of(schema.segment_digests)}
    facts.errors = {row.position: error_of(row) for row in commit.of(schema.errors)}
    facts.intents = {row.position: row for row in commit.of(schema.intents)}
    return sorted(_each(commit, segments, facts), key=lambda item: item[0])


def _each(commit: Commit, segments: Sequence[object], facts: Facts) -> Iterator[tuple[int, Event]]:
    yield from segment_events(segments, facts)  # type: ignore[arg-type]
    refused = commit.of(schema.rejections)
    for row in commit.of(schema.confirmations):
        mine = [one for one in refused if (one.node, one.intent) == (row.node, row.intent)]
        if len(mine) != row.rejected:
            raise Broken(
                "T5", f"write {row.intent} says {row.rejected} refused rows, and {len(mine)} are on record"
            )
        yield row.position, confirmed(row, mine)
    for table, event_of in SINGLE.items():
        for row in commit.of(table):
            yield row.position, event_of(row)


def _check_header(commit: Commit, events: Sequence[tuple[int, Event]]) -> None:
    """Raises Broken unless the chunk has as many events and payloads as it says."""
    (chunk,) = commit.chunks
    positions = [position for position, _ in events]
    if positions != list(range(chunk.events)):
        raise Broken("G1", f"{len(positions)} events are stored where the chunk says {chunk.events}")
    payloads = {row.number for row in commit.of(schema.payload_blocks)}
    if payloads != set(range(chunk.payload_blocks)):
        raise Broken("G1", f"{len(payloads)} payloads are stored where the chunk says {chunk.payload_blocks}")
