"""The runs on record, as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frame.cli.output import columns, visible
from frame.cli.rendering.summary import place, rows_text, size_text
from frame.clock import as_datetime

if TYPE_CHECKING:
    from frame.operations import RunReport, Runs

MOST_DEAD_LETTERS = 10


def table(found: "Runs") -> str:
    """The runs, one a line."""
    if not found.runs:
        return f"no run is on record in {visible(found.store)}"
    head = ("run", "pipeline", "status", "started", "took", "rows", "failed")
    rows = [
        (
            run.run_id,
            run.pipeline,
            run.status.value,
            moment(run.started_us),
            "" if run.ended_us is None else f"{(run.ended_us - run.started_us) / 1e6:.2f} s",
            f"{run.counters['rows']:,}" if "rows" in run.counters else "",
            f"{run.counters['failed']:,}" if "failed" in run.counters else "",
        )
        for run in found.runs
    ]
    return "\n".join(columns([head, *rows], indent="", right=frozenset({4, 5, 6})))


def moment(time_us: int) -> str:
    """A moment to the second, in UTC.

    >>> moment(0)
    '1970-01-01 00:00:00Z'
    """
    return f"{as_datetime(time_us):%Y-%m-%d %H:%M:%S}Z"


def report(found: "RunReport") -> str:
    """Everything about one run, for reading."""
    return "\n".join(_lines(found))


def _lines(found: "RunReport") -> Iterator[str]:
    run, origin = found.details.summary, found.origin_run_id
    yield f"run {run.run_id}: {run.status.value.replace('_', ' ')}"
    software = f"frame {found.details.frame_version}, Python {found.details.python_version}"
    took = "" if run.ended_us is None else f", took {(run.ended_us - run.started_us) / 1e6:.2f} s"
    yield from columns(
        [
            ("pipeline", run.pipeline),
            *([("carries on", f"dead letters of run {origin}")] if origin is not None else []),
            ("started", f"{moment(run.started_us)}{took}"),
            ("by", f"{software}, process {found.details.pid} on {found.details.host}"),
            ("record", found.store),
            ("grade", str(found.grade)),
            ("tokens", _counters(found)),
        ]
    )
    yield ""
    yield from _nodes(found)
    yield from _artifacts(found)
    yield from _troubles(found)
    yield from _dead_letters(found)
    yield from _stops(found)


def _counters(found: "RunReport") -> str:
    counters = {"rows": found.details.summary.counters.get("rows"), **found.counters}
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counters.items() if count)


def _nodes(found: "RunReport") -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("node", "kind", "plugin", "in", "out", "failed", "failed attempts")]
    for node in found.nodes:
        counts = found.counts[node.node]
        plugin = f"{node.package}.{node.plugin} {node.version}" if node.plugin else ""
        numbers = (counts.came, counts.went, counts.failed, counts.failed_attempts)
        rows.append((node.name, node.kind, plugin, *(f"{n:,}" if n else "." for n in numbers)))
    yield from columns(rows, right=frozenset({3, 4, 5, 6}))


def _artifacts(found: "RunReport") -> Iterator[str]:
    if not found.artifacts:
        return
    yield "\nwritten"
    yield from columns(
        [
            (
                found.name_of(made.node),
                place(made.uri),
                "" if made.rows is None else rows_text(made.rows),
                "" if made.size_bytes is None else size_text(made.size_bytes),
                "" if made.sha256 is None else f"sha256 {made.sha256.hex()[:16]}",
            )
            for made in found.artifacts
        ],
        right=frozenset({2, 3}),
    )


def _troubles(found: "RunReport") -> Iterator[str]:
    if not found.troubles:
        return
    yield "\nerrors"
    yield from columns(
        [
            (found.name_of(each.node), f"{each.tokens:,} x", each.error, _first_line(each.message))
            for each in found.troubles
        ],
        right=frozenset({1}),
    )


def _dead_letters(found: "RunReport") -> Iterator[str]:
    letters = found.dead_letters
    if not letters.total:
        return
    told = letters.first[:MOST_DEAD_LETTERS]
    more = f", the first {len(told)} of them" if letters.total > len(told) else ""
    yield f"\ndead letters: {letters.total:,} failed and nothing handled them{more}"
    yield from columns(
        [
            (f"token {each.token}", f"at {found.name_of(each.node)}", each.error, _first_line(each.message))
            for each in told
        ]
    )
    run_id = found.details.summary.run_id
    yield f"  one's story: frame explain {run_id} --token {told[0].token}"
    yield f"  what was done about them: frame dead-letters list {run_id} --all"


def _stops(found: "RunReport") -> Iterator[str]:
    for note in found.notes:
        if note.kind == "stopped":
            yield f"\nstopped: {visible(str(note.detail.get('why', '')))}"


def _first_line(message: str) -> str:
    line = message.strip().partition("\n")[0]
    return line if len(line) <= 120 else f"{line[:117]}..."
