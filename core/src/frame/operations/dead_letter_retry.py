"""Retrying dead letters: a linked run takes them from the record and goes on with them where they failed."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from frame.clock import Clock, SystemClock
from frame.engine.result import RunResult
from frame.errors import Refused
from frame.failpoints import reached
from frame.graph.open_forks import open_fork_at
from frame.operations.asker import asker
from frame.operations.changes import Remedies, accepted_changes
from frame.operations.compile import Compiled, Pipeline, compile_pipeline
from frame.operations.conducting import Prepared, conduct, prepare
from frame.operations.linked_run import carrying_of, linked
from frame.operations.published import check_published
from frame.operations.recorded import file_of
from frame.operations.run import opening_of
from frame.operations.stores import store_url
from frame.plugin.registry import Registry
from frame.telemetry.listeners import Listener

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.audit.queries import RunDetails
    from frame.audit.recorder import RunRecorder

REMEDIES = Remedies(
    accept="If that is why you retry, say --accept-changes, which goes on record; else put it back as it was",
    topology="Put the nodes and their ways back as they were: a dead letter goes on in the graph that it failed in",
)


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of retrying dead letters of a run.

    `tokens`: those that were carried into the linked run, in the order in which they had failed. `kept`: open ones
    that cannot be carried on, with the reason. `result`: what the linked run came to, None if there was nothing to
    carry.
    """

    origin_run_id: str
    tokens: tuple[int, ...]
    kept: tuple[tuple[int, str], ...]
    result: RunResult | None


def retry_dead_letters(  # noqa: PLR0913 - one keyword for each thing that can be asked
    run: str,
    tokens: Sequence[int] | None = None,
    *,
    pipeline: Pipeline | None = None,
    audit: str | None = None,
    accept_changes: bool = False,
    registry: Registry | None = None,
    stop: threading.Event | None = None,
    listeners: Sequence[Listener] = (),
    clock: Clock | None = None,
) -> Retried:
    """What came of carrying dead letters of `run` on, from the node where each failed, in a linked run.

    `tokens`: which; by default all that are open and can be. `pipeline`: where it is now, if not where the record
    says. `accept_changes`: go on although options or plugins are no longer those of the run, as when a plugin was
    mended; what differs goes on record.

    Raises UsageError if there is no such run or token; Refused if the run has not come to its end, if a token is not
    open or cannot be carried on, if the pipeline has changed, or if what is needed is gone.
    """
    from frame.audit import database
    from frame.audit.patience import Patience

    url = store_url(audit, pipeline)
    with database.open(url, create=False) as store:
        retry = _Retry(store, run, clock or SystemClock())
        compiled = compile_pipeline(file_of(retry.details, pipeline), registry)
        store.patience = Patience(compiled.loaded.config.audit.patience.total_seconds(), stop=stop)
        accepted = retry.accept(compiled, accept_changes)
        chosen, kept = retry.choose(tokens, compiled)
        if not chosen:
            return Retried(retry.run_id, (), kept, None)
        result = retry.carry_on(prepare(compiled, url), chosen, accepted, stop, listeners)
        return Retried(retry.run_id, tuple(chosen), kept, result)


class _Retry:
    """A run whose dead letters are to be carried on. Raises Refused if it cannot be that."""

    def __init__(self, store: "Database", run: str, clock: Clock) -> None:
        from frame.audit import queries

        self._store, self._clock = store, clock
        with store.reading() as connection:
            self._number = queries.find_run(connection, run)
            self.details: RunDetails = queries.describe_run(connection, self._number, clock.time_us())
            self.run_id = self.details.summary.run_id
            self._check(connection)

    def _check(self, connection: Any) -> None:
        from frame.audit.linked_runs import family_of, is_given_up, is_over, is_under_way, last_artifacts
        from frame.audit.purge import purge_of

        if not is_over(connection, self._number):
            raise Refused(
                f"run {self.run_id} has not come to its end, so its dead letters have to wait: "
                f"frame resume {self.run_id}"
            )
        if is_given_up(connection, self._number):
            raise Refused(
                f"run {self.run_id} was given up at its first failed row, as abort_on_error says, and what it had "
                "begun to write was never published: run the pipeline anew"
            )
        family = family_of(connection, self._number)
        for relative in family:
            if is_under_way(connection, relative, self._clock.time_us()):
                raise Refused(
                    f"run {relative.run_id} goes on with the same sinks and has not come to its end: "
                    f"frame resume {relative.run_id}"
                )
        purged = purge_of(connection, self._number)
        if purged is not None:
            raise Refused(f"the rows of run {self.run_id} are no longer on record: they were {purged}")
        if not self.details.settings["payloads"]:
            raise Refused(
                f"run {self.run_id} kept no rows (payloads: none), so there is nothing to retry with"
            )
        check_published(last_artifacts(connection, family).values())

    def accept(self, compiled: Compiled, accept: bool) -> tuple[str, ...]:
        """What has changed since the run. Raises Refused if that is not, or cannot be, accepted."""
        return accepted_changes(
            self._store, self._number, self.details, compiled, accept=accept, remedies=REMEDIES
        )

    def choose(
        self, asked: Sequence[int] | None, compiled: Compiled
    ) -> tuple[list[int], tuple[tuple[int, str], ...]]:
        """The tokens to carry on, and those that cannot be. Raises Refused if one of these was asked for."""
        from frame.audit.dead_letter_states import open_tokens
        from frame.audit.dead_letters import failures

        with self._store.reading() as connection:
            wanted = set(open_tokens(connection, self._number, asked, self._clock.time_us()))
            nodes = {each.token: each.node for each in failures(connection, self._number)}
        reasons = {node: _why_not(compiled, node) for node in set(nodes.values())}
        chosen = [token for token, node in nodes.items() if token in wanted and not reasons[node]]
        kept = tuple(
            (token, reasons[node]) for token, node in nodes.items() if token in wanted and reasons[node]
        )
        if kept and asked is not None:
            raise Refused(f"token {kept[0][0]} of run {self.run_id} cannot be carried on: {kept[0][1]}")
        return chosen, kept

    def carry_on(
        self,
        prepared: Prepared,
        tokens: Sequence[int],
        accepted: Sequence[str],
        stop: threading.Event | None,
        listeners: Sequence[Listener],
    ) -> RunResult:
        """What came of the linked run that carries `tokens` on. Raises Refused if somebody else was faster."""
        compiled = prepared.compiled
        carrying = carrying_of(self._store, self._number, tokens)
        compiled.fingerprints.keep()
        prepared.anchoring.announce(self._store, self._clock)
        recorder, started_us = self._begin(compiled, tokens, accepted)
        reached("after_retry_opened")
        resumption = linked(self._store, recorder.run, compiled, carrying)
        return conduct(
            prepared,
            recorder,
            started_us,
            self._clock,
            stop=stop,
            listeners=listeners,
            resumption=resumption,
        )

    def _begin(
        self, compiled: Compiled, tokens: Sequence[int], accepted: Sequence[str]
    ) -> "tuple[RunRecorder, int]":
        """The new run, on record together with what it is for. Raises Refused if somebody else was faster."""
        from frame.audit.dead_letter_states import note_retry
        from frame.audit.linked_runs import DEAD_LETTERS
        from frame.audit.recorder import Recorder

        opening = replace(
            opening_of(compiled, self._clock), origin_run_id=self.run_id, origin_kind=DEAD_LETTERS
        )
        said = {
            "run_id": self.run_id,
            "retry_run_id": opening.run_id,
            "by": asker(),
            "accepted_changes": list(accepted),
        }
        note = note_retry(self._number, tokens, said, opening.started_us)
        return Recorder(self._store).begin(opening, note), opening.started_us


def _why_not(compiled: Compiled, node: int) -> str:
    """Why a token that failed at `node` cannot go on from there, "" if it can."""
    join = open_fork_at(compiled.graph, node)
    if join is None:
        return ""
    return (
        f"{compiled.graph.nodes[node].name!r} stands on a branch that {join.name!r} joins with its siblings, and "
        "these have gone on without it. Run its source row anew, or resolve it"
    )
