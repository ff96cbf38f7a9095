"""A run that carries on what another one has left: tokens that failed there begin here at the node where they failed.

Such a run reads no source. Its rows are made again from the record of the other run, as they were when they came to
the node, and held against the digests on record; then they go on like rows that were just read.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from frame.canonical import digests
from frame.engine.assembly import Assembly
from frame.engine.context import RunFacts
from frame.engine.inflight import InFlight
from frame.engine.nodes import Surroundings
from frame.engine.reader import Read
from frame.engine.recorder import History
from frame.engine.reenactment import Reenactment
from frame.events import Carried, PayloadKind, Payloads
from frame.graph.model import Graph
from frame.rows import Row
from frame.shapes import shapes_of


class Letter(NamedTuple):
    """A token that is to be carried on: the node at which it failed, and the chunk that says so."""

    token: int
    node: int
    chunk: int


class Taken(NamedTuple):
    """A letter with what is in it."""

    letter: Letter
    row: Row
    form: bytes


@dataclass(frozen=True, slots=True)
class Carrying:
    """What a run carries on of run `run_id`, which had this `seed` and `history`.

    `letters`: in the order in which they failed. `positions`: where sinks stand, by node. `names`: field names as the
    source wrote them, with what frame made of them.
    """

    run_id: str
    seed: int
    history: History
    letters: Sequence[Letter]
    positions: Mapping[int, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def source(
        self,
        graph: Graph,
        assembly: Assembly,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> "CarriedSource":
        """What stands in for the source of the run."""
        return CarriedSource(self, graph, assembly, around, inflight, payloads)


class CarriedSource:
    """Gives a run the rows that it carries on, a chunk at a time, in place of a `SourceExecutor`."""

    may_wait = False
    can_seek = True

    def __init__(
        self,
        carrying: Carrying,
        graph: Graph,
        assembly: Assembly,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> None:
        self._carrying, self._graph, self._assembly = carrying, graph, assembly
        self._around, self._inflight, self._payloads = around, inflight, payloads
        facts = around.facts
        self._facts = RunFacts(carrying.run_id, carrying.seed, facts.clock, facts.redactor)
        self._names, self._names_noted = dict(carrying.names), False
        self._next = 0

    @property
    def originals(self) -> Mapping[str, str]:
        """Field names as frame has them -> as the source wrote them, where these differ."""
        return {short: name for name, short in self._names.items() if short != name}

    def read(self, until_us: int | None, stop: threading.Event) -> Read:
        """The next rows. Raises ReplayDiffers or Refused if they cannot be had as they were."""
        letters = self._carrying.letters[self._next : self._next + self._graph.settings.chunk_rows]
        if not letters:
            return Read(ended=True)
        rows = list(self._open(letters))
        self._next += len(rows)
        return Read(rows, {"carried": self._next}, ended=self._next >= len(self._carrying.letters))

    def _open(self, letters: Sequence[Letter]) -> Iterator[Taken]:
        made = InFlight()
        making = Reenactment(self._graph, self._assembly, made, self._facts)
        chunks = max(letter.chunk for letter in letters) + 1
        making.make(self._carrying.history, chunks, [letter.token for letter in letters])
        for letter in letters:
            yield Taken(letter, made.rows[letter.token], made.forms[letter.token])

    def admit(self, raw: Sequence[Taken], first_row: int, first_token: int) -> list[Carried]:
        """Rows become tokens `first_token`, ...; their data and payloads are put in place."""
        events: list[Carried] = []
        first = first_token
        for node, taken in groupby(raw, key=lambda each: each.letter.node):
            some = list(taken)
            tokens = range(first, first + len(some))
            forms = [each.form for each in some]
            self._inflight.put(tokens, [each.row for each in some], forms)
            events.append(Carried(node, tokens, [each.letter.token for each in some], digests(forms)))
            first = tokens.stop
        if self._graph.settings.payloads:
            shapes = shapes_of([each.row for each in raw])
            whose = PayloadKind.ROWS, 0, range(first_token, first)
            self._payloads.append(Payloads(*whose, [each.form for each in raw], shapes=shapes))
        self._note_names()
        return events

    def _note_names(self) -> None:
        if self._names and not self._names_noted:
            self._names_noted = True
            self._around.note("names_normalized", 0, names=dict(self._names))

    # --- Going on with a run that was stopped -----------------------------------------------------

    def know(self, observed: Mapping[str, str] | None, names: Mapping[str, str]) -> None:
        """What is on record of the source's names."""
        self._names.update(names)
        self._names_noted = bool(names)

    def seek(self, position: Any) -> None:
        """Go on after `position`."""
        self._next = position["carried"]

    def skip(self, digests: Iterator[bytes], rows: int, stop: threading.Event) -> bool:
        """Nothing: a run without a source has read no rows."""
        return True

    def close(self) -> None:
        """There is nothing to let go of."""
