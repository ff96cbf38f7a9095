"""The source: rows come in, are held against their schema, and become tokens."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from frame.canonical import canonical, canonical_row, canonical_rows, digest, digests
from frame.engine.admission import Admission
from frame.engine.inflight import InFlight
from frame.engine.nodes import PluginNode, Surroundings
from frame.engine.reader import Read, Reader, reader_for
from frame.errors import NotCanonical, Refused, SourceError
from frame.events import ErrorInfo, PayloadKind, Payloads, RowInvalid, RowsRead
from frame.graph.model import RunSettings, SourceNode, To
from frame.plugin.protocols import Source
from frame.plugin.results import InvalidRow
from frame.rows import Row, freeze, freeze_all
from frame.shapes import shapes_of

_READABLE: frozenset[object] = frozenset((dict, Row, InvalidRow))


@dataclass(slots=True)
class _Invalid:
    """A source row that did not fit, and what can be kept of it."""

    row: Row
    kept: bytes
    error: ErrorInfo
    place: str = ""


@dataclass(slots=True)
class _Good:
    """Source rows that fit, one after the other."""

    rows: list[Row] = field(default_factory=list)
    forms: list[bytes] = field(default_factory=list)


class SourceExecutor:
    """Reads one source."""

    def __init__(
        self,
        node: SourceNode,
        plugin: PluginNode,
        settings: RunSettings,
        around: Surroundings,
        inflight: InFlight,
        payloads: list[Payloads],
    ) -> None:
        self._node, self._plugin, self._settings, self._around = node, plugin, settings, around
        self._inflight, self._payloads = inflight, payloads
        self._admission = Admission(node, plugin.plugin.text_values)
        self._reader: Reader | None = None
        self._ahead: Read | None = None
        self._names_noted = 0
        self._schema_noted = False

    @property
    def originals(self) -> Mapping[str, str]:
        """Field names as frame has them -> as the source wrote them, where these differ."""
        return {short: name for name, short in self._admission.originals.items() if short != name}

    @property
    def may_wait(self) -> bool:
        """Whether reading may have to wait for somebody else."""
        waits: bool = self._plugin.plugin.may_wait()
        return waits

    def read(self, until_us: int | None, stop: threading.Event) -> Read:
        """The next rows, raw."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        if self._reader is None:
            self._reader = reader_for(
                self._plugin.plugin,
                self._settings.chunk_rows,
                self._settings.max_latency_s,
                self._around.clock,
                stop,
            )
        read = self._reader.read(until_us)
        try:
            canonical(read.position)
        except NotCanonical as error:
            return Read(
                error=SourceError(self._node.name, f"position() gave what cannot be recorded: {error}")
            )
        return read

    def close(self) -> None:
        """Read no further."""
        if self._reader is not None:
            self._reader.close()

    # --- Going on after rows that were read before ------------------------------------------------

    def know(self, observed: Mapping[str, str] | None, names: Mapping[str, str]) -> None:
        """What the first rows of the source have fixed: the observed schema, and names as it wrote them."""
        if observed is not None:
            self._admission.observed = dict(observed)
            self._schema_noted = True
        self._admission.originals.update(names)
        self._names_noted = len(names)

    @property
    def can_seek(self) -> bool:
        """Whether the source finds its way to a position by itself."""
        return type(self._plugin.plugin).seek is not Source.seek

    def seek(self, position: Any) -> None:
        """Go on reading after `position`. Raises Refused if the input is no longer what it was."""
        self._plugin.step("seek", lambda: self._plugin.plugin.seek(position))

    def skip(self, digests: Iterator[bytes], rows: int, stop: threading.Event) -> bool:
        """Read the first `rows` rows again; each must have the digest that comes next.

        False if the run is to stop before that is done. Raises Refused where the input is another one now.
        """
        left = rows
        while left and not stop.is_set():
            read = self.read(None, stop)
            again, ahead = read.rows[:left], read.rows[left:]
            for made in self._digests_of(again):
                if made != next(digests):
                    raise self._changed(rows - left)
                left -= 1
            if not left:
                self._ahead = replace(read, rows=ahead)
            elif read.error is not None:
                raise read.error
            elif read.ended:
                raise self._changed(rows - left)
        return not left

    def _digests_of(self, raw: Sequence[Any]) -> Iterator[bytes]:
        for part in self._parts(raw):
            yield from map(digest, part.forms if isinstance(part, _Good) else [part.kept])

    def _changed(self, row: int) -> Refused:
        return Refused(
            f"source {self._node.name!r}: row {row} is not what it was when the run read it, and the run cannot go "
            "on from other data. Put the input back as it was, or run the pipeline anew"
        )

    def admit(self, raw: Sequence[Any], first_row: int, first_token: int) -> list[RowsRead | RowInvalid]:
        """Rows `first_row`, ... become tokens `first_token`, ...; their data and payloads are put in place."""
        events: list[RowsRead | RowInvalid] = []
        kept: list[bytes] = []
        rows: list[Row] = []
        for part in self._parts(raw):
            row, token = first_row + len(kept), first_token + len(kept)
            if isinstance(part, _Good):
                tokens = range(token, token + len(part.rows))
                self._inflight.put(tokens, part.rows, part.forms)
                events.append(RowsRead(row, tokens, digests(part.forms)))
                kept += part.forms
                rows += part.rows
            else:
                events.append(self._invalid(part, row, token))
                kept.append(part.kept)
                rows.append(part.row)
        if self._settings.payloads and kept:
            tokens = range(first_token, first_token + len(kept))
            # What is kept of a row that did not fit may be anything.
            forms = kept if all(isinstance(event, RowsRead) for event in events) else ()
            self._payloads.append(Payloads(PayloadKind.ROWS, 0, tokens, kept, shapes=shapes_of(rows, forms)))
        self._note_schema()
        return events

    def _invalid(self, part: _Invalid, row: int, token: int) -> RowInvalid:
        sink = self._node.on_invalid.node if isinstance(self._node.on_invalid, To) else None
        if sink is not None:
            self._inflight.put((token,), (part.row,), (canonical_row(part.row),))
            self._inflight.errors[token] = 0, part.error
        return RowInvalid(row, token, digest(part.kept), part.error, sink, part.place)

    def _parts(self, raw: Sequence[Any]) -> Iterator[_Good | _Invalid]:
        """Runs of rows that fit, and each that doesn't, in order."""
        if not _READABLE.issuperset(set(map(type, raw))):
            raw = [row if isinstance(row, Mapping | InvalidRow) else _no_row(row) for row in raw]
        readable = [row for row in raw if type(row) is not InvalidRow]
        admitted = self._admission.admit(readable)
        if len(readable) == len(raw) and not admitted.wrong:
            rows = freeze_all(admitted.rows)
            try:
                yield _Good(rows, canonical_rows(rows))
                return
            except NotCanonical:
                pass
        yield from self._mixed(raw, dict(zip(admitted.indexes, admitted.rows, strict=True)), admitted.wrong)

    def _mixed(
        self, raw: Sequence[Any], fit: Mapping[int, Mapping[str, Any]], wrong: Mapping[int, str]
    ) -> Iterator[_Good | _Invalid]:
        good = _Good()
        number = -1
        for row in raw:
            if type(row) is InvalidRow:
                part: _Good | _Invalid = self._unreadable(row)
            else:
                number += 1
                part = _one(row, fit.get(number), wrong.get(number, ""))
            if isinstance(part, _Good):
                good.rows += part.rows
                good.forms += part.forms
                continue
            if good.rows:
                yield good
                good = _Good()
            yield part
        if good.rows:
            yield good

    def _unreadable(self, row: InvalidRow) -> _Invalid:
        given: Any = row.raw
        raw = given if isinstance(given, bytes) else str(given).encode("utf-8", "backslashreplace")
        text = raw.decode("utf-8", errors="backslashreplace")
        redact = self._around.facts.redactor.text
        reason = redact(str(row.reason))
        return _Invalid(freeze({"_raw": text}), raw, ErrorInfo("InvalidRow", reason), redact(str(row.place)))

    def _note_schema(self) -> None:
        if self._admission.observed is not None and not self._schema_noted:
            self._schema_noted = True
            self._around.note("schema_observed", 0, fields=self._admission.observed)
        if len(self._admission.originals) > self._names_noted:
            self._names_noted = len(self._admission.originals)
            self._around.note("names_normalized", 0, names=dict(self._admission.originals))


def _no_row(value: object) -> InvalidRow:
    """What a source that yields something else than rows is taken to have said."""
    shown = repr(value).encode("utf-8", errors="backslashreplace")
    return InvalidRow(shown, f"the source gave {type(value).__name__}, which is no row (a mapping)")


def _one(raw: Mapping[str, Any], fit: Mapping[str, Any] | None, why: str) -> _Good | _Invalid:
    """One row by itself: good, or wrong by its schema or because it has no canonical form."""
    if fit is not None:
        row = freeze(fit)
        try:
            return _Good([row], [canonical_row(row)])
        except NotCanonical as error:
            why = str(error)
    kind = "NotCanonical" if fit is not None else "InvalidRow"
    try:
        row = freeze(raw)
        return _Invalid(row, canonical_row(row), ErrorInfo(kind, why))
    except NotCanonical:
        shown = repr(dict(raw)).encode("utf-8", errors="backslashreplace")
        return _Invalid(freeze({"_raw": shown.decode()}), shown, ErrorInfo(kind, why))
