"""What a purge removes, as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from frame.cli.output import columns, visible
from frame.cli.rendering.runs import moment
from frame.cli.rendering.summary import size_text

if TYPE_CHECKING:
    from frame.operations import Purged


def plan(found: "Purged") -> str:
    """What would be removed."""
    return "\n".join(_lines(found, "would be"))


def outcome(found: "Purged") -> str:
    """What was removed."""
    return "\n".join(_lines(found, "was"))


def _lines(found: "Purged", happens: str) -> Iterator[str]:
    what = "removed" if happens == "was" else f"{happens} removed"
    total, count = size_text(sum(run.stored_bytes for run in found.purged)), len(found.purged)
    if count:
        yield f"{total} of data of {count} run{'s' * (count != 1)} {what} from {visible(found.store)}"
    else:
        yield f"no data {what} from {visible(found.store)}"
    yield from columns(
        [
            (
                run.run_id,
                run.pipeline,
                "" if run.ended_us is None else moment(run.ended_us),
                size_text(run.stored_bytes),
            )
            for run in found.purged
        ],
        right=frozenset({3}),
    )
    for run in found.purged:
        if run.given_up:
            yield f"{run.run_id} could have been resumed and {happens} given up for good"
    if found.log_n is not None:
        because = f", because: {visible(found.reason)}" if found.reason else ""
        yield f"on record as number {found.log_n} of the store's log: by {visible(found.by)}{because}"
    if found.finished:
        yield f"a purge that was cut short was finished: {', '.join(found.finished)}"
    for run in found.kept:
        yield f"kept: {run.run_id} ({visible(run.pipeline)}), since {run.kept_because}"
    yield from found.notes
