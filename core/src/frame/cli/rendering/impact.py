"""Batches, source rows, and what came of a row, as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frame.cli.output import columns, visible
from frame.clock import as_datetime

if TYPE_CHECKING:
    from frame.operations.explanation import BatchStory, Impact, RowSet

MOST_RANGES = 20
MOST_ROWS = 20


def row_set(rows: "RowSet") -> str:
    """Row numbers as ranges: "rows 0-4, 7 (6 rows)"."""
    if not rows.count:
        return "no row"
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in rows.ranges[:MOST_RANGES]]
    more = ", ..." if len(rows.ranges) > MOST_RANGES or not rows.complete else ""
    total = f" ({rows.count:,} rows)" if rows.count > 1 else ""
    if not rows.complete:
        total = f" ({rows.count:,} rows and those of the members not listed here)"
    return f"row{'s' * (rows.count > 1)} {', '.join(parts)}{more}{total}"


def batch_lines(batch: "BatchStory") -> Iterator[str]:
    """A batch: when and why it was flushed, who was in it, what came out."""
    plugin = "" if batch.plugin is None else f" ({batch.plugin.package}.{batch.plugin.name})"
    trigger = f", flushed by {batch.trigger}" if batch.trigger else ""
    yield f"batch {batch.batch} at {visible(batch.node + plugin)}: {batch.status}{trigger}"
    yield f"  opened {as_datetime(batch.opened_us):%Y-%m-%d %H:%M:%S.%f}Z, {batch.members_count:,} members"
    shown = batch.members
    for member in shown:
        yield f"    token {member.token}, source {row_set(member.rows)}"
    if batch.members_count > len(shown):
        yield f"    and {batch.members_count - len(shown):,} more (--all-members lists them)"
    outputs = ", ".join(map(str, batch.outputs[:MOST_ROWS]))
    more = ", ..." if batch.outputs_count > min(MOST_ROWS, len(batch.outputs)) else ""
    yield f"  came out: {f'token {outputs}{more}' if outputs else 'nothing'}"
    if batch.error is not None:
        yield f"  failed: {batch.error.type}: {visible(batch.error.message)}"


def impact_lines(impact: "Impact") -> Iterator[str]:
    """Everything that came of a token."""
    yield ""
    yield f"what came of it: {impact.tokens:,} token{'s' * (impact.tokens != 1)}"
    rows = [
        (
            row.sink,
            "not confirmed" if row.index is None else f"row {row.index}",
            f"token {row.token}",
            row.artifact or "",
        )
        for row in impact.sink_rows[:MOST_ROWS]
    ]
    yield from columns(rows)
    if len(impact.sink_rows) > MOST_ROWS:
        yield f"  and {len(impact.sink_rows) - MOST_ROWS:,} more rows in sinks"
    if impact.batches:
        yield f"  in batch {', '.join(map(str, impact.batches))}"
    ends = ", ".join(f"{count:,} {path.replace('_', ' ')}" for path, count in impact.ends.items())
    if ends:
        yield f"  ended: {ends}"
    if impact.open:
        yield f"  open: {impact.open:,}"
    if impact.omitted:
        yield f"  not followed: {impact.omitted:,} tokens"
