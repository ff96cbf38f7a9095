"""What a replay came to, as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frame.cli.output import columns, visible
from frame.cli.rendering.explanation import value_text

if TYPE_CHECKING:
    from frame.operations import Replayed
    from frame.operations.replay import FoundDifference


def report(found: "Replayed") -> str:
    """Everything that was found."""
    return "\n".join(_lines(found))


def _lines(found: "Replayed") -> Iterator[str]:
    if found.changes:
        yield "compared with a pipeline that is not the one of the run:"
        yield from (f"  {visible(line)}" for line in found.changes)
    yield f"run {found.run_id}: {_verdict(found)}"
    yield from columns([("pipeline", found.pipeline), ("grade", str(found.grade))])
    yield ""
    yield from _nodes(found)
    for difference in found.differences:
        yield from _difference(difference)
    more = found.total - len(found.differences)
    if more:
        yield f"\nand {more:,} more"


def _verdict(found: "Replayed") -> str:
    live = f", {visible(found.live)} called for real" if found.live else ""
    if found.ok:
        return f"done over, all {found.compared:,} results are as on record{live}"
    unreached = sum(tally.unreached for tally in found.nodes.values())
    behind = f", {unreached:,} behind them are not reached" if unreached else ""
    return f"done over, {found.total:,} of {found.compared:,} results differ{behind}{live}"


def _nodes(found: "Replayed") -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("node", "compared", "differ", "from record", "not reached")]
    for name, tally in found.nodes.items():
        counts = tally.compared, tally.differ, tally.taken, tally.unreached
        rows.append((name, *(f"{count:,}" if count else "." for count in counts)))
    yield from columns(rows, right=frozenset({1, 2, 3, 4}))


def _difference(found: "FoundDifference") -> Iterator[str]:
    whose = [f"token {found.token}"] if found.token is not None else []
    whose += [f"row {found.row}"] if found.row is not None else []
    whose += [f"batch {found.batch}"] if found.batch is not None else []
    yield f"\n{visible(found.node)}: {', '.join(whose) or 'a write'} (chunk {found.chunk})"
    yield from columns([("recorded", found.recorded), ("now", found.made)])
    yield from columns(
        [
            (f"  {field.name}", value_text(field.recorded), "->", value_text(field.made))
            for field in found.fields
        ]
    )
