"""What a token's row was at every step: as it was kept, or made again and held against the hash on record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from frame.audit.lineage import Lineage, TokenStep
from frame.audit.runs import NodeRecord
from frame.audit.stories import Birth
from frame.canonical import digest, restore
from frame.engine.recorded_calls import Answers
from frame.errors import AuditError, NotCanonical
from frame.events import Called, PayloadKind
from frame.operations.explain_recompute import (
    NotRecomputable,
    Recomputer,
    Recorded,
    Visiting,
)
from frame.operations.explanation import Data, DataState, How
from frame.plugin.protocols import RECOMPUTABLE, Determinism
from frame.plugin.results import Expand
from frame.rows import Row, freeze

REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a token with the row before it, and after it if something came out."""

    step: TokenStep
    came: Data
    went: Data | None


class RowData:
    """The rows of one run's tokens, found or made again when they are asked for."""

    def __init__(self, lineage: Lineage, nodes: Mapping[int, Recorded], recomputer: Recomputer) -> None:
        self._lineage, self._nodes, self._recomputer = lineage, nodes, recomputer
        self.at_birth = lru_cache(REMEMBERED)(self._at_birth)
        self.stages = lru_cache(REMEMBERED)(self._stages)

    def at_end(self, token: int) -> Data:
        """The row that a token had last."""
        data = self.at_birth(token)
        for stage in self.stages(token):
            data = stage.went or stage.came
        return data

    # --- What a token began with ----------------------------------------------------------------

    def _at_birth(self, token: int) -> Data:
        birth = self._lineage.births.of(token)
        wanted = self._lineage.birth_digest(birth)
        match birth.kind:
            case "source" | "carried":
                return self.kept(wanted, PayloadKind.ROWS, token)
            case "fork":
                (parent,) = self._lineage.births.parents(birth)
                return self.at_end(parent)
            case "merge":
                return self._merged(birth, wanted)
            case "expansion":
                return self._expanded(birth, wanted, token)
        return self.kept(wanted, PayloadKind.OUTPUTS, token, birth.segment.node)

    def _merged(self, birth: Birth, wanted: bytes | None) -> Data:
        rows: dict[str, Row] = {}
        for name, parent in self.branches(birth):
            data = self.at_end(parent)
            if data.state is not DataState.VERIFIED or data.row is None:
                return out_of_reach(wanted, data)
            rows[name] = freeze(data.row)
        node = self._nodes[birth.segment.node]
        return self._made(wanted, lambda: self._recomputer.merged(node, rows))

    def branches(self, birth: Birth) -> list[tuple[str, int]]:
        """The branches that were merged, by name, with their tokens, in branch order."""
        group = self._lineage.births.group(birth)
        found = []
        for parent in self._lineage.births.parents(birth):
            branch = self._lineage.branch_of(parent, group)
            found.append(("" if branch is None else self._nodes[branch].name, parent))
        return found

    def _expanded(self, birth: Birth, wanted: bytes | None, token: int) -> Data:
        node = self._nodes[birth.segment.node]
        if not _is_recomputable(node):
            return self.kept(wanted, PayloadKind.OUTPUTS, token, node.number)
        (parent,) = self._lineage.births.parents(birth)
        stage = next(stage for stage in self.stages(parent) if stage.step.kind == "expanded")
        index = self._lineage.births.index(birth)

        def pick(value: Any) -> Any:
            if isinstance(value, Expand) and index < len(value.rows):
                return value.rows[index]
            raise NotRecomputable(
                f"made again, it does not expand to as many rows as then ({type(value).__name__})"
            )

        return self._processed(stage.step, stage.came, wanted, parent, pick)

    # --- What happened to it --------------------------------------------------------------------

    def _stages(self, token: int) -> tuple[Stage, ...]:
        return tuple(self._walk(token))

    def _walk(self, token: int) -> Iterator[Stage]:
        data = self.at_birth(token)
        for step in self._lineage.steps(token):
            if step.kind == "sink_intended" and data.state is not DataState.VERIFIED:
                data = self._as_written(step, data)
            went = self._after(step, data, token)
            yield Stage(step, data, went)
            data = went or data

    def _after(self, step: TokenStep, came: Data, token: int) -> Data | None:
        match step.kind:
            case "visited":
                return self._visited(step, came, token)
            case "routed":
                return came
            case "buffered":
                batch = self._lineage.batch(step.segment.batch)
                if batch.status == "completed" and batch.passthrough:
                    wanted = self._lineage.passthrough_digest(batch.batch, token)
                    return self.kept(wanted, PayloadKind.OUTPUTS, token, batch.node)
        return None

    def _visited(self, step: TokenStep, came: Data, token: int) -> Data:
        assert step.visit is not None
        wanted = step.visit.output_digest
        if wanted == came.sha256:
            return Data(came.state, wanted, came.row, How.UNCHANGED, came.why, came.raw)
        node = self._nodes[step.visit.node]
        if not _is_recomputable(node):
            return self.kept(wanted, PayloadKind.OUTPUTS, token, node.number, step.visit.visit)
        return self._processed(step, came, wanted, token, lambda value: value)

    def _processed(
        self, step: TokenStep, came: Data, wanted: bytes | None, token: int, pick: Callable[[Any], Any]
    ) -> Data:
        assert step.visit is not None
        if came.state is not DataState.VERIFIED or came.row is None:
            return out_of_reach(wanted, came)
        row, node = freeze(came.row), self._nodes[step.visit.node]
        visiting = self.visiting(step, token)
        return self._made(wanted, lambda: pick(self._recomputer.process(node, row, visiting)))

    def visiting(self, step: TokenStep, token: int) -> Visiting:
        """The attempt of `step`, with the answers that the outside world gave it."""
        visit = step.visit
        assert visit is not None
        calls = [Called(**asdict(call)) for call in self._lineage.calls(token, visit.node, visit.visit)]
        kept = {call.answer_sha256: self.body(call.answer_sha256) for call in calls if call.answer_sha256}
        bodies = {sha256: body for sha256, body in kept.items() if body is not None}
        return Visiting(token, visit.visit, visit.attempt, Answers.of(calls, bodies))

    def body(self, sha256: bytes | None) -> bytes | None:
        """The bytes of a request or answer, None if they were not kept, or are not what they were."""
        if sha256 is None:
            return None
        try:
            body = self._lineage.body(sha256)
        except AuditError:
            return None
        return body if body is None or digest(body) == sha256 else None

    def _as_written(self, step: TokenStep, came: Data) -> Data:
        """The row of a token at a sink, if what was handed to the sink is that very row."""
        try:
            outbox = self._lineage.outbox(step.step)
        except AuditError:
            return came
        if outbox is None or digest(outbox.form) != came.sha256:
            return came
        return _read(came.sha256, outbox.form)

    # --- Kept or made again ---------------------------------------------------------------------

    def kept(
        self,
        wanted: bytes | None,
        kind: PayloadKind,
        token: int,
        node: int | None = None,
        visit: int | None = None,
    ) -> Data:
        """The row that was kept for a token, held against its hash."""
        try:
            form = self._lineage.payload(kind, token, node, visit)
        except AuditError as error:
            return Data(DataState.DIFFERS, wanted, why=f"what was kept cannot be read: {error}")
        if form is None:
            return Data(DataState.NOT_KEPT, wanted, why=self._lineage.absence())
        return _read(wanted, form)

    def _made(self, wanted: bytes | None, make: Callable[[], Any]) -> Data:
        try:
            row, form = self._recomputer.form_of(make())
        except NotRecomputable as error:
            return Data(DataState.NOT_RECOMPUTABLE, wanted, why=str(error))
        if digest(form) == wanted:
            return Data(DataState.VERIFIED, wanted, row, How.RECOMPUTED)
        why = f"made again, it has the SHA-256 {digest(form).hex()}"
        return Data(DataState.DIFFERS, wanted, row, How.RECOMPUTED, why)


def recorded(node: NodeRecord, written: Mapping[str, Any], evidence: Mapping[str, Any] | None) -> Recorded:
    """A node of the record as recomputation needs it."""
    return Recorded(
        node.node,
        node.name,
        node.kind,
        node.plugin,
        node.package,
        node.distribution,
        node.version,
        node.record_sha256,
        node.determinism,
        node.options,
        written,
        evidence,
    )


def out_of_reach(wanted: bytes | None, before: Data) -> Data:
    """What is made of `before`, which is not at hand itself."""
    if before.state is DataState.NOT_KEPT:
        return Data(DataState.NOT_KEPT, wanted, why="nor are the bytes of the row that it was made of")
    why = (
        before.why
        if before.state is DataState.NOT_RECOMPUTABLE
        else "the row that went in differs from the record"
    )
    return Data(DataState.NOT_RECOMPUTABLE, wanted, why=why)


def _is_recomputable(node: Recorded) -> bool:
    return node.determinism is not None and Determinism(node.determinism) in RECOMPUTABLE


def _read(wanted: bytes | None, form: bytes) -> Data:
    """Kept bytes as a row; bytes that are no row are shown as they are."""
    found = digest(form)
    state = DataState.VERIFIED if found == wanted else DataState.DIFFERS
    why = "" if found == wanted else f"what was kept has the SHA-256 {found.hex()}"
    try:
        row = restore(form)
    except NotCanonical:
        row = None
    if isinstance(row, dict):
        return Data(state, wanted, freeze(row), How.KEPT, why)
    return Data(state, wanted, None, How.KEPT, why, raw=form)
