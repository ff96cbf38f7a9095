"""The effective audit of a run: what its record says, without what differs from one run to the next.

Two runs of one pipeline over one input have the same effective audit, however often one of them was killed.
"""

import json
from typing import Any

from tests.crash.records import newest, rows_in

VOLATILE = (
    "ids of runs (in the keys of writes, too), hosts, processes, epochs and leases",
    "moments and durations",
    "chunk, block and position: where in the record a thing stands",
    "attempts before the last one of a visit or a flush, their number, and calls that got no answer",
    "notes of what happened to the run as a whole: that it was resumed, redelivered, had a possible duplicate",
)
"""What does not count, in words; the queries below leave it out."""

_LAST_STATES = """
SELECT token, visit, node, status, digest, error_type, error_message FROM (
    SELECT token, visit, node, status, output_digest AS digest, error_type, error_message,
           row_number() OVER (PARTITION BY token, visit, node ORDER BY attempt DESC) AS nth
    FROM node_states WHERE run = :run
) WHERE nth = 1
"""

QUERIES = {
    "status": "SELECT status FROM runs WHERE run = :run",
    "counters": "SELECT detail FROM runs WHERE run = :run",
    "rows": 'SELECT "row", token, digest, valid FROM rows WHERE run = :run',
    "validation errors": 'SELECT "row", token, place, sink, error_type, error_message FROM validation_errors'
    " WHERE run = :run",
    "tokens": 'SELECT token, origin, "row", node, digest FROM tokens WHERE run = :run',
    "parents": "SELECT token, parent, kind FROM token_parents WHERE run = :run",
    "states": _LAST_STATES,
    "routes": "SELECT token, visit, node, label, mode, clause, reached_limit FROM routing_events WHERE run = :run",
    "batches": "SELECT batch, node, members, status, triggered_by, mode FROM batches WHERE run = :run",
    "members": "SELECT batch, node, token, visit,"
    " row_number() OVER (PARTITION BY batch ORDER BY chunk, position, place) FROM batch_members WHERE run = :run",
    "outputs": "SELECT batch, node, token, digest FROM batch_outputs WHERE run = :run",
    "writes": "SELECT node, intent, rows, content_sha256, status, rejected, sink_position"
    " FROM sink_intents WHERE run = :run",
    "artifacts": "SELECT node, uri, size_bytes, sha256, rows FROM artifacts WHERE run = :run",
    "calls": "SELECT DISTINCT node, visit, token, kind, request_sha256, answer_sha256 FROM calls"
    " WHERE run = :run AND status = 'ok'",
    "outcomes": "SELECT token, outcome, path, node, sink, fallback, reason, error_type, error_message, batch,"
    " fork_group, expand_group, merge_group FROM token_outcomes WHERE run = :run",
}


def effective(url: str) -> dict[str, list[Any]]:
    """The effective audit of the newest run in the store at `url`, every part of it sorted."""
    found = newest(url)
    assert found is not None
    run, run_id = found
    said = {
        name: sorted(
            (tuple(_told(value, run_id) for value in row) for row in rows_in(url, query, run=run)), key=repr
        )
        for name, query in QUERIES.items()
    }
    said["counters"] = [json.loads(detail)["counters"] for (detail,) in said["counters"]]
    return said


def _told(value: Any, run_id: str) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.replace(run_id, "RUN") if isinstance(value, str) else value


def differences(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> list[str]:
    """Where two effective audits differ, in words; the first few of each part."""
    said = []
    for name, rows in expected.items():
        if found[name] == rows:
            continue
        missing = [row for row in rows if row not in found[name]][:3]
        extra = [row for row in found[name] if row not in rows][:3]
        said.append(f"{name}: missing {missing}, extra {extra} ({len(found[name])} for {len(rows)})")
    return said
