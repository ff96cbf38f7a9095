"""What all parts of a replay stand on: the state of the run as it is on record, and the rows as they come out now."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from frame.canonical import digest
from frame.engine.assembly import Assembly
from frame.engine.executors.base import Executor
from frame.engine.inflight import InFlight
from frame.engine.kept_bytes import Kept, Place, picked
from frame.engine.nodes import PluginNode
from frame.engine.recorded_calls import Answers
from frame.engine.replay.differences import Difference, FieldDifference, Findings, field_differences
from frame.events import Payloads, Tokens
from frame.graph.model import Graph
from frame.plugin.protocols import RECOMPUTABLE, Determinism
from frame.rows import Row
from frame.scheduler.state import RunState

NOT_CALLED = frozenset({Determinism.NON_DETERMINISTIC, Determinism.IO_WRITE})
"""Plugins that a replay leaves alone: a second call would give something else, or write something again."""


class Ground:
    """The state, the rows and the findings of a replay.

    `astray`: tokens whose row is not known, because what they are made of came out otherwise and was not kept.
    `live`: the node that is called for real.
    """

    def __init__(
        self,
        graph: Graph,
        assembly: Assembly,
        inflight: InFlight,
        payloads: list[Payloads],
        answers: Answers,
        *,
        most: int,
        live: int | None,
    ) -> None:
        self.graph, self.assembly, self.inflight, self.payloads = graph, assembly, inflight, payloads
        self.answers, self.findings, self.live = answers, Findings(most), live
        self.state = RunState(graph)
        self.astray: set[int] = set()
        self.kept: Kept
        self.chunk = 0

    # --- Nodes ----------------------------------------------------------------------------------

    def name(self, number: int) -> str:
        return self.graph.nodes[number].name

    def plugin(self, number: int) -> PluginNode | None:
        """The plugin at a node, None for an expression and for a coalesce."""
        return self.assembly.node(number)

    def executor(self, number: int) -> Executor:
        return self.assembly.executors[number]

    def is_called(self, number: int) -> bool:
        """Whether this node's plugin is called at all."""
        plugin = self.plugin(number)
        return plugin is None or number == self.live or plugin.ref.determinism not in NOT_CALLED

    def is_made_again(self, number: int) -> bool:
        """Whether this node's outputs were not kept, as they can be made again."""
        plugin = self.plugin(number)
        return plugin is None or plugin.ref.determinism in RECOMPUTABLE

    # --- Rows -----------------------------------------------------------------------------------

    def known(self, tokens: Iterable[int]) -> list[int]:
        """Those of `tokens` whose rows are known."""
        rows = self.inflight.rows
        return [token for token in tokens if token in rows]

    def forms(self, tokens: Iterable[int]) -> dict[int, bytes]:
        """The canonical forms of those of `tokens` whose rows are known."""
        forms = self.inflight.forms
        return {token: forms[token] for token in tokens if token in forms}

    def lose(self, tokens: Iterable[int]) -> None:
        """The rows of `tokens` are not known from here on."""
        for token in tokens:
            self.astray.add(token)
            self.inflight.rows.pop(token, None)
            self.inflight.forms.pop(token, None)

    def take_kept(self, place: Place, of: Tokens, recorded: bytes, tokens: Sequence[int]) -> None:
        """Give `tokens` the rows that were kept. Raises Refused if they are gone, AuditError if they are damaged."""
        name = self.name(place[1])
        forms = [self.kept.item(place, token, name) for token in tokens]
        for token, form, wanted in zip(tokens, forms, picked(recorded, of, tokens), strict=True):
            if digest(form) != wanted:
                raise self.kept.damaged(token)
        self.put(tokens, self.kept.rows(place, tokens, forms), forms)

    def put(self, tokens: Sequence[int], rows: Sequence[Row], forms: Sequence[bytes]) -> None:
        self.astray.difference_update(tokens)
        self.inflight.put(tokens, rows, forms)

    # --- Findings -------------------------------------------------------------------------------

    def differs(
        self,
        node: int,
        recorded: object,
        made: object,
        *,
        token: int | None = None,
        batch: int | None = None,
        rows: Callable[[], tuple[bytes | None, bytes | None]] | None = None,
    ) -> None:
        """Something came out otherwise. `rows`: the canonical forms of both rows, as far as they are at hand."""
        fields: tuple[FieldDifference, ...] = ()
        if rows is not None and self.findings.wants_more:
            fields = field_differences(*rows())
        found = Difference(node, self.chunk, token, batch, str(recorded), str(made), fields)
        self.findings.add(found)

    def missing_answers(self, node: int) -> Mapping[int | None, str]:
        """By token, the calls of `node` that had no answer on record since the last time."""
        missing = self.answers.missing
        mine = {token: str(error) for (number, token), error in missing.items() if number == node}
        missing.clear()
        return mine
