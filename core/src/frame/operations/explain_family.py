"""Who is related to a token: its ancestors back to source rows, its descendants on to sink rows, its batches."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from frame.audit.lineage import Lineage
from frame.audit.lineage_births import Root
from frame.events import Path
from frame.operations.explain_recompute import Recorded
from frame.operations.explain_stories import plugin_of
from frame.operations.explanation import Attempt, BatchStory, Impact, Member, RowSet, SinkRow

NO_ROWS = RowSet(0, ())


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The tokens that others came from, themselves included, the batches on the way, and the source rows.

    `carried`: tokens of another run that are carried on in this one.
    """

    tokens: tuple[int, ...]
    batches: tuple[BatchStory, ...]
    sources: RowSet
    carried: tuple[int, ...] = ()


class Family:
    """The relations between one run's tokens. `limit`: most members, or siblings, to look at; None for all."""

    def __init__(self, lineage: Lineage, nodes: Mapping[int, Recorded], limit: int | None) -> None:
        self._lineage, self._nodes, self._limit = lineage, nodes, limit

    # --- Back -----------------------------------------------------------------------------------

    def ancestry(self, tokens: Iterable[int]) -> Ancestry:
        """Everything that `tokens` go back to: through forks, merges and expansions, and through batches."""
        births = self._lineage.births
        found, ahead = set(tokens), list(tokens)
        while ahead:
            new = [each for each in births.parents(births.of(ahead.pop())) if each not in found]
            found.update(new)
            ahead += new
        roots: set[Root] = set()
        for token in found:
            birth = births.of(token)
            if birth.kind in {"source", "batch", "carried"}:
                roots.add(births.root(token))
        return self._through_batches(tuple(sorted(found)), roots)

    def _through_batches(self, tokens: tuple[int, ...], roots: set[Root]) -> Ancestry:
        rows = {root.row for root in roots if root.row is not None}
        carried = {root.carried for root in roots if root.carried is not None}
        batches = [root.batch for root in roots if root.batch is not None]
        stories: dict[int, BatchStory] = {}
        complete = True
        met = set(batches)
        ahead = sorted(met)
        while ahead:
            number = ahead.pop()
            members = []
            for token in islice(self._lineage.members(number), self._limit):
                member = self.member(token)
                members.append(member)
                origin = self._lineage.births.root(token).carried
                if origin is not None:
                    carried.add(origin)
                for first, last in member.rows.ranges:
                    rows.update(range(first, last + 1))
                new = [each for each in member.batches if each not in met]
                met.update(new)
                ahead += new
            stories[number] = self.batch(number, members)
            complete = complete and len(members) == stories[number].members_count
        told = tuple(stories[number] for number in sorted(stories))
        return Ancestry(tokens, told, row_set(rows, complete), tuple(sorted(carried)))

    def batch(self, number: int, members: Sequence[Member]) -> BatchStory:
        """The story of a batch, with those of its members that are to be shown."""
        record = self._lineage.batch(number)
        node = self._nodes[record.node]
        attempts = self._lineage.flush_attempts(number)
        return BatchStory(
            batch=number,
            node=node.name,
            plugin=plugin_of(node),
            mode="passthrough" if record.passthrough else "transform",
            status=record.status,
            trigger=record.trigger,
            opened_us=record.opened_us,
            started_us=record.started_us,
            duration_us=record.duration_us,
            members_count=record.members,
            members=tuple(members),
            outputs_count=len(record.outputs),
            outputs=tuple(record.outputs if self._limit is None else record.outputs[: self._limit]),
            failed_attempts=tuple(
                Attempt(each.attempt, each.status, each.started_us, each.duration_us, error=each.error)
                for each in attempts
            ),
            error=record.error,
        )

    def member(self, token: int) -> Member:
        """A token as the member of a batch."""
        row, batch, _ = self._lineage.births.root(token)
        rows = NO_ROWS if row is None else RowSet(1, ((row, row),))
        return Member(token, rows, () if batch is None else (batch,))

    # --- Forward --------------------------------------------------------------------------------

    def tree(self, token: int) -> tuple[int, ...]:
        """`token` and all that came of it by forks, expansions and merges, but not out of batches."""
        births = self._lineage.births
        found, ahead = {token}, [token]
        while ahead:
            children = self._some(self._lineage.children(ahead.pop()))
            new = [each for each in children if each not in found and births.of(each).kind != "batch"]
            found.update(new)
            ahead += new
        return tuple(sorted(found))

    def impact(self, tokens: Iterable[int]) -> Impact:
        """Everything that came of `tokens`, on to the sinks."""
        seen = set(tokens)
        ahead = sorted(seen, reverse=True)
        flushed: set[int] = set()
        rows: list[SinkRow] = []
        ends: Counter[str] = Counter()
        lost: list[int] = []
        omitted = still_open = 0
        while ahead:
            token = ahead.pop()
            ended = self._lineage.outcome(token)
            if ended is None:
                still_open += 1
            else:
                ends[ended.path.value] += 1
                lost += [token] if ended.path is Path.UNHANDLED else []
            rows += self._sink_rows(token, ended.path if ended else None)
            if ended is not None and ended.path is Path.BATCHED and ended.batch is not None:
                if ended.batch in flushed:
                    continue
                flushed.add(ended.batch)
            children = self._lineage.children(token)
            some = self._some(children)
            omitted += len(children) - len(some)
            new = [child for child in some if child not in seen]
            seen.update(new)
            ahead += reversed(new)
        order = tuple(sorted(rows, key=lambda row: (row.sink, row.token)))
        batches = tuple(sorted(flushed))
        return Impact(len(seen), order, batches, dict(ends), still_open, omitted, tuple(sorted(lost)))

    def _sink_rows(self, token: int, path: Path | None) -> Iterator[SinkRow]:
        for segment in self._lineage.story_steps(token):
            if segment.kind != "sink_intended":
                continue
            if self._lineage.is_refused(token, segment):
                continue
            index = self._lineage.sink_index(segment.node, segment.intent, token)
            artifact, _ = self._lineage.artifact(segment.node)
            yield SinkRow(self._nodes[segment.node].name, index, token, path, artifact)

    def _some(self, tokens: Sequence[int]) -> Sequence[int]:
        return tokens if self._limit is None else tokens[: self._limit]


def row_set(rows: Iterable[int], complete: bool = True) -> RowSet:
    """`rows` as ranges.

    >>> row_set([3, 1, 2, 7]).ranges
    ((1, 3), (7, 7))
    """
    ordered = sorted(rows)
    ranges: list[tuple[int, int]] = []
    for row in ordered:
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1] = ranges[-1][0], row
        else:
            ranges.append((row, row))
    return RowSet(len(ordered), tuple(ranges), complete)
