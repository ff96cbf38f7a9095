"""A run as OpenLineage run events, one a line: that it began, and how it ended.

Only what is on record is said: datasets that nodes gave evidence of or published, without columns, since frame follows
rows and not columns. A run without an end has a `RUNNING` event in place of the last.
"""

from typing import Any, BinaryIO

from frame.audit import contents, queries
from frame.audit.export.chain_lines import Chain
from frame.audit.export.datasets import Dataset, read_by, written_by
from frame.audit.export.source import RunRecord
from frame.audit.queries import RunDetails
from frame.audit.signing import PrivateKey
from frame.canonical import canonical
from frame.clock import as_datetime
from frame.events import RunStatus

SPEC = "https://openlineage.io/spec"
SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"
NAMESPACE = "frame"
MOST_CAUSES = 5
_ENDS = {
    RunStatus.COMPLETED: "COMPLETE",
    RunStatus.COMPLETED_WITH_FAILURES: "COMPLETE",
    RunStatus.EMPTY: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.INTERRUPTED: "ABORT",
    RunStatus.RUNNING: "RUNNING",
    RunStatus.WAITING: "RUNNING",
}

Json = dict[str, Any]


def write(record: RunRecord, file: BinaryIO, key: PrivateKey | None = None) -> None:
    """Write the events. They say nothing of `key`: the signature is in the manifest."""
    run = record.details()
    producer = f"pkg:pypi/frame-core@{run.frame_version}"
    events = _Events(record, run, producer)
    file.writelines(canonical(event) + b"\n" for event in (events.start(), events.latest()))


class _Events:
    def __init__(self, record: RunRecord, run: RunDetails, producer: str) -> None:
        self._record, self._run, self._producer = record, run, producer

    def start(self) -> Json:
        return self._event("START", self._run.summary.started_us, {}, [], [])

    def latest(self) -> Json:
        """How the run ended, or that it has not."""
        summary = self._run.summary
        facets = {"frame_record": self._record_facet()}
        if summary.status is RunStatus.FAILED:
            facets["errorMessage"] = self._errors()
        inputs = [self._input(each) for each in read_by(self._record)]
        outputs = [self._output(each) for each in written_by(self._record)]
        at_us = summary.started_us if summary.ended_us is None else summary.ended_us
        return self._event(_ENDS[summary.status], at_us, facets, inputs, outputs)

    def _event(self, kind: str, at_us: int, facets: Json, inputs: list[Json], outputs: list[Json]) -> Json:
        engine = {"name": "frame", "version": self._run.frame_version}
        job_type = {"processingType": "BATCH", "integration": "FRAME", "jobType": "PIPELINE"}
        return {
            "eventType": kind,
            "eventTime": f"{as_datetime(at_us):%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000:06d}Z",
            "producer": self._producer,
            "schemaURL": f"{SCHEMA}/RunEvent",
            "run": {
                "runId": self._record.run_id,
                "facets": {
                    "processing_engine": self._facet("1-1-1/ProcessingEngineRunFacet", engine),
                    **facets,
                },
            },
            "job": {
                "namespace": NAMESPACE,
                "name": self._run.summary.pipeline,
                "facets": {"jobType": self._facet("2-0-4/JobTypeJobFacet", job_type)},
            },
            "inputs": inputs,
            "outputs": outputs,
        }

    def _facet(self, schema: str, said: Json) -> Json:
        name = schema.rpartition("/")[2]
        url = f"{SPEC}/facets/{schema}.json#/$defs/{name}"
        return {"_producer": self._producer, "_schemaURL": url, **said}

    def _record_facet(self) -> Json:
        """Where the record of the run stands, so that the event can be held against an export of it."""
        chain = Chain(self._record)
        for _ in chain.follow():
            pass
        return {
            "_producer": self._producer,
            "_schemaURL": f"{SCHEMA}/RunFacet",
            "status": self._run.summary.status.value,
            "counters": queries.counters_of(self._record.connection, self._record.run),
            "config_sha256": self._run.config_sha256.hex(),
            "graph_sha256": self._run.graph_sha256.hex(),
            "blocks": chain.blocks,
            "head": None if chain.head is None else chain.head.hex(),
            "tree_root": chain.tree_root.hex(),
        }

    def _errors(self) -> Json:
        troubles = contents.troubles_of(self._record.connection, self._record.run)
        causes = [
            f"{self._record.name(each.node)}: {each.error}: {each.message} ({each.tokens} tokens)"
            for each in sorted(troubles, key=lambda each: -each.tokens)[:MOST_CAUSES]
        ]
        message = "; ".join(causes) or "the run failed as a whole; its events say why"
        said = {"message": message, "programmingLanguage": "Python"}
        return self._facet("1-0-1/ErrorMessageRunFacet", said)

    def _input(self, dataset: Dataset) -> Json:
        counted = self._facet("1-0-0/InputStatisticsInputDatasetFacet", _statistics(dataset))
        return {**self._dataset(dataset), "inputFacets": {"inputStatistics": counted}}

    def _output(self, dataset: Dataset) -> Json:
        counted = self._facet("1-0-2/OutputStatisticsOutputDatasetFacet", _statistics(dataset))
        return {**self._dataset(dataset), "outputFacets": {"outputStatistics": counted}}

    def _dataset(self, dataset: Dataset) -> Json:
        facets = {}
        if dataset.sha256 is not None:
            version = {"datasetVersion": f"sha256:{dataset.sha256}"}
            facets["version"] = self._facet("1-0-1/DatasetVersionDatasetFacet", version)
        return {"namespace": dataset.namespace, "name": dataset.name, "facets": facets}


def _statistics(dataset: Dataset) -> Json:
    said = {"rowCount": dataset.rows, "size": dataset.size_bytes}
    return {name: value for name, value in said.items() if value is not None}
