"""From a question about a run to its explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from frame.audit import database
from frame.audit.lineage import Lineage
from frame.audit.queries import RunDetails, find_run
from frame.clock import SystemClock
from frame.errors import UsageError
from frame.events import Path
from frame.operations.explain_data import RowData, recorded
from frame.operations.explain_family import Ancestry, Family
from frame.operations.explain_fields import Fields
from frame.operations.explain_recompute import Recomputer, Recorded
from frame.operations.explain_stories import Stories
from frame.operations.explanation import BatchStory, Explanation, FieldHistory, TokenStory
from frame.plugin.registry import Registry


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a run: about a row, a token, or row `index` of a sink; or about `tokens` that belong to one.

    `tokens`: dead letters that `other` run carries on, or (`onward`) what carries them on here.
    """

    run: str
    row: int | None
    token: int | None
    sink: str | None
    index: int | None
    field: str | None
    forward: bool
    limit: int | None
    tokens: tuple[int, ...] = ()
    onward: bool = False

    def __str__(self) -> str:
        if self.tokens:
            return f"token{'s' * (len(self.tokens) > 1)} {', '.join(map(str, self.tokens))}"
        if self.row is not None:
            return f"row {self.row}"
        if self.token is not None:
            return f"token {self.token}"
        return f"row {self.index} of sink {self.sink!r}"


def answer(
    question: Question, audit: str, registry: Registry | None, environ: Mapping[str, str] | None
) -> Explanation:
    """The explanation. Raises UsageError if there is nothing of the kind on record."""
    now_us = SystemClock().time_us()
    with database.open(audit, to_read=True) as store, store.reading() as connection:

        def told(asked: Question) -> Explanation:
            lineage = Lineage(connection, find_run(connection, asked.run))
            details = lineage.describe(now_us)
            folder, run_id = _folder(details.config), details.summary.run_id
            recomputer = Recomputer(run_id, details.seed, folder=folder, registry=registry, environ=environ)
            try:
                found = _Answer(lineage, details, recomputer, asked)
                explanation, elsewhere = found.explanation(), found.elsewhere(now_us)
            finally:
                recomputer.close()
            before, after = (tuple(map(told, questions)) for questions in elsewhere)
            return replace(explanation, before=before, after=after)

        return told(question)


class _Answer:
    def __init__(
        self, lineage: Lineage, details: RunDetails, recomputer: Recomputer, question: Question
    ) -> None:
        self._lineage, self._details, self._question = lineage, details, question
        self._nodes = self._recorded_nodes()
        self._data = RowData(self._lineage, self._nodes, recomputer)
        limit = question.limit
        self._stories = Stories(self._lineage, self._nodes, self._data, recomputer, limit)
        self._family = Family(self._lineage, self._nodes, limit)
        self._fields = Fields(self._lineage, self._nodes, self._data, limit)
        self._origins: tuple[int, ...] = ()
        self._lost: set[int] = set()

    def _recorded_nodes(self) -> dict[int, Recorded]:
        evidence = self._lineage.evidence()
        written = written_options(self._details.config)
        return {
            node.node: recorded(node, written.get(node.name, {}), evidence.get(node.node))
            for node in self._lineage.nodes
        }

    def explanation(self) -> Explanation:
        question, subject = self._question, self._subject()
        ancestry = self._family.ancestry(subject)
        told = ancestry.tokens
        if question.row is not None or question.onward:
            told = tuple(sorted({each for token in subject for each in self._family.tree(token)}))
        stories = tuple(self._stories.tell(token) for token in told)
        impact = self._family.impact(subject) if question.forward else None
        ended = ((story.token, story.outcome) for story in stories)
        self._lost = {token for token, end in ended if end is not None and end.path is Path.UNHANDLED}
        self._lost.update(impact.dead_letters if impact else ())
        self._origins = ancestry.carried
        summary = self._details.summary
        return Explanation(
            run_id=summary.run_id,
            pipeline=summary.pipeline,
            status=summary.status.value,
            asked=str(question),
            subject=subject,
            stories=stories,
            batches=self._batches(stories, ancestry),
            sources=ancestry.sources,
            field=self._history(subject, stories),
            impact=impact,
        )

    def elsewhere(self, now_us: int) -> tuple[list[Question], list[Question]]:
        """What is to be asked of the run that this one carries on, and of those that carry its dead letters on."""
        asked = replace(self._question, row=None, token=None, sink=None, index=None)
        before, after = [], []
        origin = self._lineage.origin_run_id
        if self._origins and origin is not None and not self._question.onward:
            before.append(replace(asked, run=origin, tokens=self._origins, forward=False))
        if self._lost and (self._question.onward or not self._question.tokens):
            states = self._lineage.states(self._details.summary.run_id, now_us)
            heirs: dict[str, list[int]] = {}
            for state in map(states.of, sorted(self._lost)):
                if state.run_id is not None and state.token is not None:
                    heirs.setdefault(state.run_id, []).append(state.token)
            for run_id, tokens in heirs.items():
                after.append(replace(asked, run=run_id, tokens=tuple(tokens), onward=True))
        return before, after

    def _subject(self) -> tuple[int, ...]:
        question = self._question
        if question.tokens:
            return question.tokens
        if question.row is not None:
            return (self._lineage.token_of_row(question.row),)
        if question.token is not None:
            return (question.token,)
        assert question.sink is not None
        assert question.index is not None
        return (self._lineage.token_at(self._sink(question.sink), question.index),)

    def _sink(self, name: str) -> int:
        sinks = {node.name: node.node for node in self._lineage.nodes if node.kind == "sink"}
        if name in sinks:
            return sinks[name]
        near = get_close_matches(name, sinks, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sinks)}"
        raise UsageError(f"this run has no sink {name!r}: {hint}")

    def _batches(self, stories: tuple[TokenStory, ...], ancestry: Ancestry) -> tuple[BatchStory, ...]:
        """The batches that the subject came out of, and those that tokens of the stories went into."""
        found = {batch.batch: batch for batch in ancestry.batches}
        joined: dict[int, list[int]] = {}
        for story in stories:
            for visit in story.visits:
                if visit.batch is not None and visit.batch not in found:
                    joined.setdefault(visit.batch, []).append(story.token)
        for number, tokens in joined.items():
            found[number] = self._family.batch(number, [self._family.member(token) for token in tokens])
        return tuple(found[number] for number in sorted(found))

    def _history(self, subject: tuple[int, ...], stories: tuple[TokenStory, ...]) -> FieldHistory | None:
        field = self._question.field
        if field is None:
            return None
        if self._question.row is None and not self._question.onward and len(subject) == 1:
            return self._fields.history(field, subject[0], stories)
        return FieldHistory(field, tuple(self._fields.steps(field, stories)))


def _folder(config: Any) -> str | None:
    """The folder of the pipeline file, None for a pipeline that was built in code."""
    file = config.get("file") if isinstance(config, dict) else None
    return str(FilePath(file).parent) if file and FilePath(file).is_absolute() else None


def written_options(config: Any) -> dict[str, Mapping[str, Any]]:
    """Node name -> its options as they stand in the pipeline file, with references to secrets."""
    pipeline = config.get("pipeline", {}) if isinstance(config, dict) else {}
    found: dict[str, Mapping[str, Any]] = {}
    for node in pipeline.get("nodes", []):
        options = node.get("options", {})
        if isinstance(options, dict):
            found[node["name"]] = options
    return found
