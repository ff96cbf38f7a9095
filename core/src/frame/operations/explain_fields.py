"""How the value of one field came about, from step to step of the tokens that carried it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from frame.audit.lineage import Lineage
from frame.engine.executors.coalesce import origins_of
from frame.errors import FrameError
from frame.graph.model import MergeHow
from frame.operations.explain_data import RowData
from frame.operations.explain_recompute import Recorded, coalesce_of
from frame.operations.explanation import Data, FieldHistory, FieldStep, Known, TokenStory, VisitStory
from frame.rows import Row, freeze


class Fields:
    """Follows fields through one run. `limit`: most members of a batch to look at, None for all."""

    def __init__(
        self, lineage: Lineage, nodes: Mapping[int, Recorded], data: RowData, limit: int | None
    ) -> None:
        self._lineage, self._nodes, self._data, self._limit = lineage, nodes, data, limit

    def history(self, field: str, token: int, stories: Sequence[TokenStory]) -> FieldHistory:
        """How `field` of `token` came to its value; `stories` are those of the token and its ancestors."""
        by_token = {story.token: story for story in stories}
        chain, ahead = set(), [token]
        while ahead:
            each = ahead.pop()
            if each not in chain:
                chain.add(each)
                ahead += self._carriers(field, by_token[each])
        steps = self.steps(field, [by_token[each] for each in sorted(chain)])
        return FieldHistory(field, tuple(steps), _value(self._final(by_token[token]), field))

    def steps(self, field: str, stories: Iterable[TokenStory]) -> Iterator[FieldStep]:
        """What happened to `field` in `stories`, in their order."""
        for story in stories:
            yield from self._beginning(field, story)
            for visit in story.visits:
                yield from self._at_visit(field, story.token, visit)

    def _carriers(self, field: str, story: TokenStory) -> Sequence[int]:
        """The parents that the field came from: of a merge the branch that it was taken from, if that is known."""
        if story.origin.kind != "merge":
            return story.origin.parents
        branch = self._branch(field, story)
        chosen = [token for name, token in self._branches(story) if name == branch]
        return chosen or story.origin.parents

    def _final(self, story: TokenStory) -> Data:
        """The row as the token had it last, with what was added for a sink."""
        if story.visits and story.visits[-1].write is not None:
            return story.visits[-1].write.row
        return self._data.at_end(story.token)

    # --- Where a token begins -------------------------------------------------------------------

    def _beginning(self, field: str, story: TokenStory) -> Iterator[FieldStep]:
        origin, token, node = story.origin, story.token, story.origin.node or ""
        after = _value(story.data, field)
        match origin.kind:
            case "source" | "carried":
                if story.data.row is None:
                    yield FieldStep(token, node, "unknown", why=story.data.why)
                elif after is not None:
                    what = "read" if origin.kind == "source" else "carried"
                    yield FieldStep(token, node, what, after=after)
            case "expansion":
                yield from _changed(
                    field, token, node, None, self._data.at_end(origin.parents[0]), story.data
                )
            case "merge":
                branch = self._branch(field, story)
                if after is not None:
                    yield FieldStep(token, node, "taken", after=after, branch=branch)
                elif story.data.row is None:
                    yield FieldStep(token, node, "unknown", why=story.data.why)
            case "batch" if origin.batch is not None:
                yield self._made(field, story, origin.batch)

    def _made(self, field: str, story: TokenStory, batch: int) -> FieldStep:
        seen = (
            (member, _value(self._data.at_end(member), field))
            for member in islice(self._lineage.members(batch), self._limit)
        )
        members = tuple((member, value) for member, value in seen if value is not None)
        after = _value(story.data, field)
        count = self._lineage.batch(batch).members
        return FieldStep(
            story.token,
            story.origin.node or "",
            "made",
            after=after,
            batch=batch,
            members=members,
            members_count=count,
            why=story.data.why,
        )

    def _branches(self, story: TokenStory) -> list[tuple[str, int]]:
        return self._data.branches(self._lineage.births.of(story.token))

    def _branch(self, field: str, story: TokenStory) -> str | None:
        """The branch that a merged token has the field from; None if that cannot be told."""
        birth = self._lineage.births.of(story.token)
        coalesce = coalesce_of(self._nodes[birth.segment.node])
        if coalesce.how is MergeHow.SELECT:
            return coalesce.select
        rows: dict[str, Row] = {}
        for name, parent in self._branches(story):
            row = self._data.at_end(parent).row
            if row is None:
                return None
            rows[name] = freeze(row)
        if coalesce.how is MergeHow.NESTED:
            return field if field in rows else None
        try:
            return origins_of(coalesce.on_collision, rows).get(field)
        except FrameError:
            return None

    # --- On its way -----------------------------------------------------------------------------

    def _at_visit(self, field: str, token: int, visit: VisitStory) -> Iterator[FieldStep]:
        after = visit.write.row if visit.write is not None else visit.went
        if after is not None and (after.row is not None or visit.came.row is not None):
            yield from _changed(field, token, visit.node, visit.visit, visit.came, after)


def _value(data: Data, field: str) -> Known | None:
    return Known(data.row[field]) if data.row is not None and field in data.row else None


def _changed(
    field: str, token: int, node: str, visit: int | None, before: Data, after: Data
) -> Iterator[FieldStep]:
    """What happened to `field` between two rows, if anything did."""
    if before.row is None or after.row is None:
        yield FieldStep(token, node, "unknown", visit=visit, why=after.why or before.why)
        return
    was, now = _value(before, field), _value(after, field)
    if was == now and (was is None or now is None or type(was.value) is type(now.value)):
        return
    what = "set" if was is None else "removed" if now is None else "changed"
    yield FieldStep(token, node, what, was, now, visit)
