"""Coalesces, done over."""

from collections.abc import Mapping, Sequence

from frame.canonical import canonical_row, digest
from frame.engine.executors.coalesce import unite
from frame.engine.replay.ground import Ground
from frame.engine.replay.outcomes import failure, pieces
from frame.errors import FrameError
from frame.events import ErrorInfo, Merged, MergeFailed
from frame.graph.model import CoalesceNode
from frame.rows import Row, freeze

DECIDED = "MergeIncomplete"
"""The error of a merge that did not come about by its policy, which is not asked again."""


class Joins:
    """Unites again the branches that were united."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def merged(self, event: Merged) -> None:
        """Branches were merged."""
        on, tally = self._on, self._on.findings.at(event.node)
        parents, recorded = iter(event.parents), pieces(event.digests)
        for group, width, child in zip(event.groups, event.widths, event.children, strict=True):
            branches = self._branches(group, [next(parents) for _ in range(width)])
            then = next(recorded)
            if branches is None:
                tally.unreached += 1
                on.lose((child,))
                continue
            tally.compared += 1
            now = self._unite(event.node, branches)
            if isinstance(now, tuple) and digest(now[1]) == then:
                on.put((child,), (now[0],), (now[1],))
                continue
            made = now if isinstance(now, str) else f"a row with hash {digest(now[1]).hex()}"
            form = None if isinstance(now, str) else now[1]
            both = on.kept.with_digest(then), form
            recorded_text = f"a row with hash {then.hex()}"
            on.differs(event.node, recorded_text, made, token=child, rows=lambda both=both: both)  # type: ignore[misc]
            on.lose((child,))

    def failed(self, event: MergeFailed) -> None:
        """Branches could not be merged."""
        if event.error.type == DECIDED:
            return
        branches = self._branches(event.group, event.tokens)
        if branches is None:
            self._on.findings.at(event.node).unreached += 1
            return
        self._on.findings.at(event.node).compared += 1
        now = self._unite(event.node, branches)
        made = now if isinstance(now, str) else f"a row with hash {digest(now[1]).hex()}"
        if made != failure(event.error):
            self._on.differs(event.node, failure(event.error), made, token=event.tokens[0])

    def _branches(self, group: int, tokens: Sequence[int]) -> dict[str, Row] | None:
        """The rows of a fork's branches by name; None if one of them is not known."""
        fork, rows = self._on.state.forks[group], self._on.inflight.rows
        name_of = {token: fork.names[index] for index, token in fork.arrived.items()}
        if any(token not in rows for token in tokens):
            return None
        return {name_of[token]: rows[token] for token in tokens}

    def _unite(self, number: int, branches: Mapping[str, Row]) -> tuple[Row, bytes] | str:
        node = self._on.graph.nodes[number]
        assert isinstance(node, CoalesceNode)
        try:
            row = freeze(unite(node, branches))
            return row, canonical_row(row)
        except FrameError as error:
            return failure(ErrorInfo(type(error).__name__, str(error)))
