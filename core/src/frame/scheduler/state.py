"""What is going on in a run: the fold of its events.

Everything here follows from the graph and the events (`evolve`); nothing is remembered beside them. The methods
are the moves that events are made of: tokens come to wait at a node, are taken from there, and end.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from frame.errors import FrameBug
from frame.events import Path, Tokens, Visits
from frame.graph.model import CoalesceNode, Graph, NodeKind
from frame.scheduler import coalesce
from frame.scheduler.coalesce import Verdict
from frame.scheduler.tokens import Group


@dataclass(slots=True)
class Batch:
    """The batch that an aggregation has open.

    `parts`: its members as they came, with their visits; `last_root`: the source token that the last one goes back
    to.
    """

    number: int
    opened_us: int
    count: int = 0
    last_root: int = 0
    parts: list[tuple[Visits, Tokens]] = field(default_factory=list)


@dataclass(slots=True)
class ForkGroup:
    """A fork whose branches are to meet again at `coalesce`, until every expected branch is accounted for.

    `outer`: the place of the forked token in a fork around this one, which the merged token takes over.
    `closed`: the merge, or its failure, has been recorded.
    """

    number: int
    coalesce: int
    names: tuple[str, ...]
    expected: frozenset[int]
    opened_us: int
    outer: tuple[int, int] | None
    arrived: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    late: int = 0
    verdict: Verdict = Verdict.WAIT
    reason: str = ""
    closed: bool = False

    @property
    def decided(self) -> bool:
        """Whether the policy has spoken, or time has."""
        return self.closed or self.verdict is not Verdict.WAIT


@dataclass(slots=True)
class Arrival:
    """Tokens that have come to a sink together."""

    path: Path
    visit: int
    tokens: Tokens


@dataclass(slots=True)
class Intent:
    """A write that was announced and is not confirmed yet."""

    sink: int
    tokens: Tokens
    visits: Visits
    paths: Sequence[tuple[Path, int]]


# An enum looks its members up each time that they are named.
_WAIT = Verdict.WAIT

LoopEdge = tuple[int, str | int]
"""A loop edge: the node that it leaves, and there the label of its route or the index of its `on_error` clause."""


@dataclass(slots=True)
class RunState:
    """Everything that decides what happens next. Compare two of them with ==.

    `root_of`: for tokens that others made, the source token they descend from; `branch_of`: the fork group and
    branch of tokens that a coalesce expects; `loops`: how often a token has taken each loop edge.
    `undecided` and `decided`: by coalesce, the forks on which its policy has not spoken, oldest first, and those on
    which it has and whose end is not recorded yet.
    """

    graph: Graph
    waiting: dict[int, dict[int, Group]] = field(default_factory=dict)
    at_sinks: dict[int, list[Arrival]] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    forks: dict[int, ForkGroup] = field(default_factory=dict)
    undecided: dict[int, dict[int, None]] = field(default_factory=dict)
    decided: dict[int, dict[int, None]] = field(default_factory=dict)
    branch_of: dict[int, tuple[int, int]] = field(default_factory=dict)
    root_of: dict[int, int] = field(default_factory=dict)
    loops: dict[int, Counter[LoopEdge]] = field(default_factory=dict)
    ended: Counter[Path] = field(default_factory=Counter)
    source_ended: bool = False
    next_row: int = 0
    next_token: int = 0
    next_batch: int = 0
    next_intent: int = 0
    _said: dict[tuple[int, int, int, int], tuple[Verdict, str]] = field(
        default_factory=dict, compare=False, repr=False
    )
    """What the policy of a coalesce says of so many expected, arrived and lost branches: it is asked once."""

    @property
    def open_tokens(self) -> int:
        """How many tokens have come into being and not ended."""
        return self.next_token - self.ended.total()

    @property
    def is_done(self) -> bool:
        """Whether the source has ended and no token is on its way, but for writes that are not confirmed yet."""
        if not self.source_ended:
            return False
        return not (self.waiting or self.at_sinks or self.batches or self.forks)

    # --- Moves ------------------------------------------------------------------------------------------------

    def place(self, tokens: Tokens, to: int, visit: int, path: Path) -> None:
        """Let `tokens` wait at node `to`; `path` is how they end if that is a sink."""
        if self.graph.nodes[to].kind is NodeKind.SINK:
            self._leave_forks(tokens)
            self.at_sinks.setdefault(to, []).append(Arrival(path, visit, tokens))
            return
        groups = self.waiting.setdefault(to, {})
        if visit in groups:
            groups[visit].add(tokens)
        else:
            groups[visit] = Group(tokens)

    def take(self, tokens: Tokens, node: int, visit: int) -> None:
        """Let `tokens` no longer wait at `node`."""
        groups = self.waiting.get(node, {})
        if visit not in groups:
            raise FrameBug(f"no token waits at node {node} on visit {visit}")
        groups[visit].take(tokens)
        if not len(groups[visit]):
            del groups[visit]
            if not groups:
                del self.waiting[node]

    def end(self, tokens: Tokens, path: Path) -> None:
        """`tokens` have come to their end by way of `path`."""
        self.ended[path] += len(tokens)
        self._leave_forks(tokens)
        if self.root_of:
            for token in tokens:
                self.root_of.pop(token, None)
        if self.loops:
            for token in tokens:
                self.loops.pop(token, None)

    def _leave_forks(self, tokens: Tokens) -> None:
        """`tokens` have ended or come to a sink: none of them will reach a coalesce any more."""
        if self.branch_of:
            for token in tokens:
                self.lose_branch(self.branch_of.pop(token, None))

    def turns(self, token: int, edge: LoopEdge) -> int:
        """How often `token` has taken the loop edge `edge`."""
        return self.loops[token][edge] if token in self.loops else 0

    def lose_branch(self, place: tuple[int, int] | None) -> None:
        """The token that stood for a branch of a fork will never reach the coalesce."""
        if place is None:
            return
        group = self.forks[place[0]]
        group.lost += 1
        self.judge(group)

    def open_fork(self, group: ForkGroup) -> None:
        """The branches of `group` are on their way."""
        self.forks[group.number] = group
        self.undecided.setdefault(group.coalesce, {})[group.number] = None

    def close_fork(self, group: ForkGroup, verdict: Verdict) -> None:
        """What became of `group` is recorded."""
        if group.verdict is _WAIT:
            self.undecided[group.coalesce].pop(group.number, None)
        else:
            self.decided.get(group.coalesce, {}).pop(group.number, None)
        group.closed, group.verdict = True, verdict
        self.judge(group)

    def judge(self, group: ForkGroup) -> None:
        """Ask the policy again, unless it has spoken; forget the group when all its branches are accounted for."""
        expected, arrived, lost = len(group.expected), len(group.arrived), group.lost
        if group.closed:
            if arrived + lost + group.late == expected:
                del self.forks[group.number]
        elif group.verdict is _WAIT:
            asked = group.coalesce, expected, arrived, lost
            group.verdict, group.reason = verdict, _ = self._said.get(asked) or self._ask(asked)
            if verdict is not _WAIT:
                del self.undecided[group.coalesce][group.number]
                self.decided.setdefault(group.coalesce, {})[group.number] = None

    def _ask(self, asked: tuple[int, int, int, int]) -> tuple[Verdict, str]:
        """What the policy of a coalesce says, from now on in `_said`, too."""
        number, expected, arrived, lost = asked
        node = self.graph.nodes[number]
        assert isinstance(node, CoalesceNode)
        self._said[asked] = said = coalesce.decide(node, expected, arrived, lost)
        return said

    def new_tokens(self, tokens: range) -> None:
        """Numbers are given out in order, without a gap."""
        if tokens.start != self.next_token:
            raise FrameBug(f"token {tokens.start} comes where token {self.next_token} is due")
        self.next_token = tokens.stop

    def descend(self, child: int, parent: int) -> None:
        """Remember which source token `child` goes back to."""
        self.root_of[child] = self.root_of.get(parent, parent)
