"""From a question about a run to its explanation."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from frame.audit import database
from frame.audit.lineage import Lineage
from frame.audit.queries import RunDetails, find_run
from frame.clock import SystemClock
from frame.errors import UsageError
from frame.operations.explain_data import RowData, recorded
from frame.operations.explain_family import Ancestry, Family
from frame.operations.explain_fields import Fields
from frame.operations.explain_recompute import Recomputer, Recorded
from frame.operations.explain_stories import Stories
from frame.operations.explanation import BatchStory, Explanation, FieldHistory, TokenStory
from frame.plugin.registry import Registry


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a run: about a row, a token, or row `index` of a sink."""

    run: str
    row: int | None
    token: int | None
    sink: str | None
    index: int | None
    field: str | None
    forward: bool
    limit: int | None

    def __str__(self) -> str:
        if self.row is not None:
            return f"row {self.row}"
        if self.token is not None:
            return f"token {self.token}"
        return f"row {self.index} of sink {self.sink!r}"


def answer(
    question: Question, audit: str, registry: Registry | None, environ: Mapping[str, str] | None
) -> Explanation:
    """The explanation. Raises UsageError if there is nothing of the kind on record."""
    with database.open(audit, create=False) as store, store.reading() as connection:
        lineage = Lineage(connection, find_run(connection, question.run))
        details = lineage.describe(SystemClock().time_us())
        recomputer = Recomputer(
            details.summary.run_id,
            details.seed,
            folder=_folder(details.config),
            registry=registry,
            environ=environ,
        )
        try:
            return _Answer(lineage, details, recomputer, question).explanation()
        finally:
            recomputer.close()


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

    def _recorded_nodes(self) -> dict[int, Recorded]:
        evidence = self._lineage.evidence()
        written = written_options(self._details.config)
        return {
            node.node: recorded(node, written.get(node.name, {}), evidence.get(node.node))
            for node in self._lineage.nodes
        }

    def explanation(self) -> Explanation:
        subject = self._subject()
        ancestry = self._family.ancestry([subject])
        told = self._family.tree(subject) if self._question.row is not None else ancestry.tokens
        stories = tuple(self._stories.tell(token) for token in told)
        summary = self._details.summary
        return Explanation(
            run_id=summary.run_id,
            pipeline=summary.pipeline,
            status=summary.status.value,
            asked=str(self._question),
            subject=(subject,),
            stories=stories,
            batches=self._batches(stories, ancestry),
            sources=ancestry.sources,
            field=self._history(subject, stories),
            impact=self._family.impact([subject]) if self._question.forward else None,
        )

    def _subject(self) -> int:
        question = self._question
        if question.row is not None:
            return self._lineage.token_of_row(question.row)
        if question.token is not None:
            return question.token
        assert question.sink is not None
        assert question.index is not None
        return self._lineage.token_at(self._sink(question.sink), question.index)

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

    def _history(self, subject: int, stories: tuple[TokenStory, ...]) -> FieldHistory | None:
        field = self._question.field
        if field is None:
            return None
        if self._question.row is None:
            return self._fields.history(field, subject, stories)
        return FieldHistory(field, tuple(self._fields.steps(field, stories)))


def _folder(config: Any) -> str | None:
    """The folder of the pipeline file, None for a pipeline that was built in code."""
    file = config.get("file") if isinstance(config, dict) else None
    return str(Path(file).parent) if file and Path(file).is_absolute() else None


def written_options(config: Any) -> dict[str, Mapping[str, Any]]:
    """Node name -> its options as they stand in the pipeline file, with references to secrets."""
    pipeline = config.get("pipeline", {}) if isinstance(config, dict) else {}
    found: dict[str, Mapping[str, Any]] = {}
    for node in pipeline.get("nodes", []):
        options = node.get("options", {})
        if isinstance(options, dict):
            found[node["name"]] = options
    return found
