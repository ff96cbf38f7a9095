"""What a run needs that carries on dead letters of another one, when it begins and when it is resumed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from frame.engine.standing import standing
from frame.errors import Refused
from frame.operations.compile import Compiled

if TYPE_CHECKING:
    from frame.audit.database import Database
    from frame.engine.carrying import Carrying
    from frame.engine.resumption import Resumption


def carrying_of(store: "Database", origin: int, tokens: Sequence[int]) -> "Carrying":
    """What a linked run carries on of run number `origin`."""
    from frame.audit import linked_runs, queries
    from frame.audit.dead_letters import failures
    from frame.audit.history import RunHistory
    from frame.engine.carrying import Carrying, Letter

    wanted = set(tokens)
    with store.reading() as connection:
        details = queries.describe_run(connection, origin, 0)
        family = linked_runs.family_of(connection, origin)
        letters = [
            Letter(each.token, each.node, each.chunk)
            for each in failures(connection, origin)
            if each.token in wanted
        ]
        return Carrying(
            details.summary.run_id,
            details.seed,
            RunHistory(store, origin),
            letters,
            linked_runs.sink_positions(connection, family),
            linked_runs.source_names(connection, family),
        )


def linked(store: "Database", run: int, compiled: Compiled, carrying: "Carrying") -> "Resumption":
    """Where linked run number `run` stands: at its beginning, or where its record ends."""
    from frame.audit.history import RunHistory
    from frame.engine.resumption import Resumption

    history = RunHistory(store, run)
    return Resumption(
        compiled.graph,
        standing(compiled.graph, history.chunks(payloads=False, digests=False)),
        history,
        carrying,
    )


def carried_on(store: "Database", run: int) -> "Callable[[], Carrying] | None":
    """What run number `run` carries on; None if it reads a source. Raises Refused if another run has done it since."""
    from frame.audit import queries
    from frame.audit.dead_letter_states import retried_tokens
    from frame.audit.dead_letters import run_id_of
    from frame.audit.linked_runs import carried_tokens, origin_of

    with store.reading() as connection:
        origin = origin_of(connection, run)
        if origin is None:
            return None
        run_id = run_id_of(connection, run)
        tokens, is_newest = retried_tokens(connection, origin, run_id)
        if not is_newest and not carried_tokens(connection, run):
            raise Refused(
                f"run {run_id} stopped before it had carried on any dead letter of run {origin}, and another run has "
                f"retried them since (`frame dead-letters list {origin} --all`): there is nothing to resume"
            )
        number = queries.find_run(connection, origin)
    return lambda: carrying_of(store, number, sorted(tokens))
