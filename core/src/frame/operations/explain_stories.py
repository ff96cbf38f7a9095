"""A token's story: its visits in order, with what was decided, what it carried, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from frame.audit.lineage import Lineage
from frame.canonical import digest, restore
from frame.errors import AuditError, NotCanonical
from frame.events import PayloadKind
from frame.operations.explain_data import RowData, Stage
from frame.operations.explain_recompute import NotRecomputable, Recomputer, Recorded
from frame.operations.explanation import (
    Attempt,
    CallStory,
    Data,
    DataState,
    Decision,
    How,
    Known,
    Merge,
    Origin,
    OutcomeShown,
    PluginShown,
    TokenStory,
    VisitStory,
    WriteStory,
)
from frame.plugin.protocols import RECOMPUTABLE, Determinism
from frame.rows import freeze

CONTINUE = "continue"
ROUTE_RESULTS = {"discard": "discarded", "fork": "forked"}
STAYS = frozenset({"buffered", "waiting", "intended"})
"""Results of visits after which a token is still where it was."""


@dataclass(slots=True)
class _Open:
    """A visit whose story is being told."""

    stage: Stage
    attempts: list[Attempt] = field(default_factory=list)


class Stories:
    """Tells the stories of one run's tokens. `limit`: most children to list, None for all."""

    def __init__(
        self,
        lineage: Lineage,
        nodes: Mapping[int, Recorded],
        data: RowData,
        recomputer: Recomputer,
        limit: int | None,
    ) -> None:
        self._lineage, self._nodes, self._data = lineage, nodes, data
        self._recomputer, self._limit = recomputer, limit
        self._tellers: dict[str, Callable[[Stage, VisitStory], VisitStory]] = {
            "visited": self._visited,
            "dropped": self._dropped,
            "expanded": self._expanded,
            "routed": self._routed,
            "buffered": self._buffered,
            "waiting": self._waiting,
            "merge_late": self._late,
            "sink_intended": self._intended,
        }

    def tell(self, token: int) -> TokenStory:
        """The story of `token`. Raises UsageError if there is no such token."""
        visits = self._visits(token)
        outcome = self._outcome(token)
        children = self._lineage.children(token)
        shown = children if self._limit is None else children[: self._limit]
        return TokenStory(
            token=token,
            origin=self.origin(token),
            data=self._data.at_birth(token),
            visits=tuple(visits),
            outcome=outcome,
            stands=None if outcome else self._stands(token, visits),
            children=tuple(shown),
            children_count=len(children),
        )

    # --- The beginning --------------------------------------------------------------------------

    def origin(self, token: int) -> Origin:
        """Where a token came from."""
        births = self._lineage.births
        birth = births.of(token)
        segment, parents, index = birth.segment, births.parents(birth), births.index(birth)
        match birth.kind:
            case "source":
                invalid = next((s for s in self._data.stages(token) if s.step.kind == "row_invalid"), None)
                error = invalid.step.error if invalid else None
                place = segment.label if invalid else ""
                return Origin("source", row=birth.row, place=place, node=self._name(0), error=error)
            case "carried":
                node, run_id = self._name(segment.node), self._lineage.origin_run_id
                return Origin("carried", node=node, run_id=run_id, token=births.origin(birth))
            case "batch":
                return Origin("batch", node=self._name(segment.node), index=index, batch=segment.batch)
            case "fork":
                branch = self._lineage.branches(birth)[index]
                place = self._name(segment.node), index, self._name(branch)
                return Origin("fork", None, "", parents, *place, group=parents[0])
            case "merge":
                return Origin(
                    "merge", parents=parents, node=self._name(segment.node), group=births.group(birth)
                )
        return Origin(birth.kind, None, "", parents, self._name(segment.node), index, group=parents[0])

    def _name(self, node: int) -> str:
        return self._nodes[node].name

    def _names(self, nodes: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._name(node) for node in nodes)

    # --- Visits ---------------------------------------------------------------------------------

    def _visits(self, token: int) -> list[VisitStory]:
        told: list[VisitStory] = []
        open_visit: _Open | None = None
        for stage in self._data.stages(token):
            kind = stage.step.kind
            if kind == "visits_begun":
                open_visit = _Open(stage)
            elif kind == "attempt_failed":
                open_visit = open_visit or _Open(stage)
                open_visit.attempts.append(self._attempt(stage))
            elif kind == "failed":
                told.append(self._failed(open_visit or _Open(stage), stage))
                open_visit = None
            elif kind in self._tellers:
                attempts = open_visit.attempts if open_visit else []
                told.append(self._tellers[kind](stage, self._begun(stage, [*attempts, self._attempt(stage)])))
                open_visit = None
            elif kind in {"merged", "merge_failed"} and told:
                told[-1] = self._decided(stage, told[-1])
        if open_visit is not None:
            told.append(self._begun(open_visit.stage, open_visit.attempts))
        return told

    def _begun(self, stage: Stage, attempts: Sequence[Attempt]) -> VisitStory:
        visit, node = stage.step.visit, self._nodes[stage.step.node or 0]
        return VisitStory(
            visit=visit.visit if visit else stage.step.segment.visit,
            node=node.name,
            kind=node.kind,
            plugin=plugin_of(node),
            result="begun",
            came=stage.came,
            went=stage.went,
            attempts=tuple(attempts),
        )

    def _attempt(self, stage: Stage) -> Attempt:
        visit = stage.step.visit
        assert visit is not None
        calls = self._lineage.calls(visit.token, visit.node, visit.visit)
        return Attempt(
            visit.attempt,
            visit.status,
            visit.started_us,
            visit.duration_us if visit.duration_us is not None else visit.segment_duration_us,
            visit.segment_visits,
            visit.error,
            tuple(self._call(call) for call in calls if call.attempt == visit.attempt),
        )

    def _call(self, call: Any) -> CallStory:
        return CallStory(
            call.kind,
            call.index,
            call.status,
            self._body(call.request_sha256),
            self._body(call.answer_sha256),
            call.request_sha256,
            call.answer_sha256,
            call.started_us,
            call.duration_us,
        )

    def _body(self, sha256: bytes | None) -> Known | None:
        body = self._data.body(sha256)
        if body is None:
            return None
        try:
            return Known(restore(body))
        except NotCanonical:
            return Known(body)

    def _failed(self, open_visit: _Open, stage: Stage) -> VisitStory:
        step = stage.step
        story = self._begun(stage, open_visit.attempts)
        to = () if step.target is None else (self._name(step.target),)
        return replace(story, result="failed", went=None, error=step.error, to=to)

    # --- One function a result ------------------------------------------------------------------

    def _visited(self, stage: Stage, story: VisitStory) -> VisitStory:
        unchanged = stage.went is not None and stage.went.how is How.UNCHANGED
        to = self._names(self._lineage.onward(stage.step.node or 0))
        return replace(story, result="unchanged" if unchanged else "passed", to=to)

    def _dropped(self, stage: Stage, story: VisitStory) -> VisitStory:
        return replace(story, result="dropped", reason=stage.step.segment.label)

    def _expanded(self, stage: Stage, story: VisitStory) -> VisitStory:
        return replace(story, result="expanded", to=self._names(self._lineage.onward(stage.step.node or 0)))

    def _routed(self, stage: Stage, story: VisitStory) -> VisitStory:
        decision = self._decision(stage)
        result = "visit_limit" if decision.at_limit else ROUTE_RESULTS.get(decision.mode, "routed")
        if decision.at_limit or decision.mode == "discard":
            return replace(story, result=result, decision=decision, went=None)
        return replace(story, result=result, decision=decision, to=decision.to)

    def _decision(self, stage: Stage) -> Decision:
        segment, visit = stage.step.segment, stage.step.visit
        assert visit is not None
        node = self._nodes[visit.node]
        to = () if segment.mode == "discard" else self._names(self._lineage.onward(visit.node, segment.label))
        checked, why = self._checked(node, stage)
        return Decision(
            segment.label,
            segment.mode,
            to,
            node.options.get("expression") if node.plugin is None else None,
            self._reason(visit.token, visit.node, visit.visit),
            checked,
            why,
            bool(segment.reached_limit),
        )

    def _checked(self, node: Recorded, stage: Stage) -> tuple[DataState | None, str]:
        """Whether the gate, asked again, gives the same label."""
        if node.determinism is not None and Determinism(node.determinism) not in RECOMPUTABLE:
            return None, f"{node.plugin} is {node.determinism}"
        if stage.came.state is not DataState.VERIFIED or stage.came.row is None:
            return DataState.NOT_RECOMPUTABLE, "the row that it saw is not at hand"
        assert stage.step.visit is not None
        visiting = self._data.visiting(stage.step, stage.step.visit.token)
        try:
            label = self._recomputer.label(node, freeze(stage.came.row), visiting)
        except NotRecomputable as error:
            return DataState.NOT_RECOMPUTABLE, str(error)
        if label == stage.step.segment.label:
            return DataState.VERIFIED, ""
        return DataState.DIFFERS, f"asked again, it gives {label!r}"

    def _reason(self, token: int, node: int, visit: int) -> Mapping[str, Any] | None:
        try:
            kept = self._lineage.payload(PayloadKind.REASONS, token, node, visit)
            reason = None if kept is None else restore(kept)
        except (AuditError, NotCanonical):
            return None
        return reason if isinstance(reason, dict) else None

    def _buffered(self, stage: Stage, story: VisitStory) -> VisitStory:
        batch = self._lineage.batch(stage.step.segment.batch)
        story = replace(story, batch=batch.batch)
        if batch.status == "draft":
            return replace(story, result="buffered")
        if batch.status == "failed":
            target = None if batch.clause is None else self._lineage.clause_target(batch.node, batch.clause)
            to = () if target is None else (self._name(target),)
            return replace(story, result="failed", error=batch.error, to=to)
        result = "passed" if batch.passthrough else "batched"
        return replace(story, result=result, to=self._names(self._lineage.onward(batch.node)))

    def _waiting(self, stage: Stage, story: VisitStory) -> VisitStory:
        return replace(story, result="waiting")

    def _decided(self, stage: Stage, story: VisitStory) -> VisitStory:
        """The story of a visit to a coalesce, now that the coalesce has decided."""
        segment, step = stage.step.segment, stage.step
        options = self._nodes[segment.node].options
        if step.kind == "merge_failed":
            merge = Merge(segment.first_group, None, options["policy"], options["merge"])
            return replace(story, result="failed", merge=merge, error=step.error)
        child = segment.first_child + step.step.place // segment.fan
        group = self._lineage.births.group(self._lineage.births.of(child))
        merge = Merge(group, segment.label, options["policy"], options["merge"], child)
        return replace(
            story, result="merged", merge=merge, to=self._names(self._lineage.onward(segment.node))
        )

    def _late(self, stage: Stage, story: VisitStory) -> VisitStory:
        options = self._nodes[stage.step.node or 0].options
        merge = Merge(stage.step.segment.first_group, None, options["policy"], options["merge"])
        return replace(story, result="late", merge=merge, error=stage.step.error)

    def _intended(self, stage: Stage, story: VisitStory) -> VisitStory:
        visit, segment = stage.step.visit, stage.step.segment
        assert visit is not None
        refused = stage.step.error.message if stage.step.error else None
        index = self._lineage.sink_index(visit.node, segment.intent, visit.token)
        artifact, sha256 = self._lineage.artifact(visit.node)
        write = WriteStory(
            segment.intent,
            self._lineage.write_key(visit.node, segment.intent),
            visit.status in {"completed", "failed"},
            index,
            self._written(stage),
            None if refused else artifact,
            None if refused else sha256,
            refused,
        )
        result = "refused" if refused else "written" if write.confirmed else "intended"
        to = () if stage.step.target is None else (self._name(stage.step.target),)
        return replace(story, result=result, write=write, error=stage.step.error, to=to)

    def _written(self, stage: Stage) -> Data:
        """What was handed to the sink; only the hash of the whole write is on record."""
        try:
            outbox = self._lineage.outbox(stage.step.step)
        except AuditError as error:
            return Data(DataState.DIFFERS, None, why=f"what was kept cannot be read: {error}")
        if outbox is None:
            return Data(DataState.NOT_KEPT, None, why=self._lineage.absence())
        state = DataState.VERIFIED if outbox.intact else DataState.DIFFERS
        why = (
            "" if outbox.intact else "the write that it is part of has another SHA-256 than the one on record"
        )
        try:
            return Data(state, digest(outbox.form), freeze(restore(outbox.form)), How.KEPT, why)
        except (NotCanonical, TypeError, AttributeError):
            return Data(DataState.DIFFERS, None, None, How.KEPT, why or "it is no row", raw=outbox.form)

    # --- The end --------------------------------------------------------------------------------

    def _outcome(self, token: int) -> OutcomeShown | None:
        ended = self._lineage.outcome(token)
        if ended is None:
            return None
        groups = ended.fork_group, ended.expand_group, ended.merge_group
        return OutcomeShown(
            ended.outcome,
            ended.path,
            self._maybe(ended.node),
            self._maybe(ended.sink),
            self._maybe(ended.fallback),
            ended.reason,
            ended.error,
            ended.batch,
            next((group for group in groups if group is not None), None),
        )

    def _maybe(self, node: int | None) -> str | None:
        return None if node is None else self._name(node)

    def _stands(self, token: int, visits: Sequence[VisitStory]) -> str:
        """The node at which an open token is."""
        if visits:
            last = visits[-1]
            return last.node if last.result in STAYS or not last.to else last.to[0]
        origin, birth = self.origin(token), self._lineage.births.of(token)
        if origin.branch is not None:
            return origin.branch
        if birth.kind == "source" and birth.segment.target is not None:
            return self._name(birth.segment.target)
        if birth.kind == "carried":
            return self._name(birth.segment.node)
        return self._name(self._lineage.onward(birth.segment.node or 0)[0])


def plugin_of(node: Recorded) -> PluginShown | None:
    """The plugin at a node, None where there is none."""
    if node.plugin is None:
        return None
    return PluginShown(
        node.plugin, node.package or "", node.distribution or "", node.version or "", node.determinism or ""
    )
