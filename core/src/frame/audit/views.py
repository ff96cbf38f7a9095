"""The record as an auditor reads it: one row a token, a visit, an outcome.

Each view is a SELECT over packed rows and `numbers`. Where a view can be one join it is one, because SQLite
then computes the columns that are asked for and no others; what single tokens need beyond that is asked by
subqueries for the same reason. Everything here is SQL that PostgreSQL understands, too.
"""

from frame.audit.origins import ORIGINS
from frame.audit.views_outcomes import TOKEN_OUTCOMES
from frame.audit.views_unpacking import DIGEST, GROUP, TOKEN, VISIT, nth, one_of, unpacked

_RUNS = """
SELECT h.run, h.run_id, h.pipeline, c.status, h.started_us,
       CASE WHEN c.status = 'running' THEN NULL ELSE c.at_us END AS ended_us,
       h.config, h.config_sha256, h.graph_sha256, h.settings, h.seed, h.frame_version, h.python_version,
       h.host, h.pid, l.expires_us AS lease_expires_us, c.detail
FROM run_headers h
JOIN run_changes c ON c.run = h.run
     AND c.number = (SELECT max(x.number) FROM run_changes x WHERE x.run = h.run)
JOIN run_leases l ON l.run = h.run
"""

_RUN_EVENTS = """
SELECT run, block, NULL AS chunk, NULL AS position, kind, status, at_us, NULL AS node, detail FROM run_changes
UNION ALL
SELECT n.run, c.block, n.chunk, n.position, n.kind, NULL, n.at_us, n.node, n.detail
FROM notes n JOIN chunks c ON c.run = n.run AND c.chunk = n.chunk
"""

_ROWS = (
    unpacked(
        f"""s.run, s.first_row + k.n AS "row", {TOKEN} AS token, s.chunk, s.position,
        {DIGEST} AS digest, CASE WHEN s.kind = 'rows_read' THEN 1 ELSE 0 END AS valid"""
    )
    + " AND s.first_row IS NOT NULL"
)

_VALIDATION_ERRORS = """
SELECT s.run, s.chunk, s.position, s.first_row AS "row", s.first_token AS token, s.label AS place, s.target AS sink,
       e.type AS error_type, e.message AS error_message, d.digests AS digest
FROM segments s
JOIN errors e ON e.run = s.run AND e.chunk = s.chunk AND e.position = s.position
JOIN segment_digests d ON d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part
WHERE s.kind = 'row_invalid'
"""

_ORIGIN = one_of("s.kind", {kind: origin for kind, origin in ORIGINS.items() if origin != "source"})

_TOKENS = " UNION ALL ".join(
    [
        unpacked(
            f"""s.run, {TOKEN} AS token, s.chunk, s.position, 'source' AS origin, s.first_row + k.n AS "row",
            0 AS node, {DIGEST} AS digest"""
        )
        + " AND s.first_row IS NOT NULL",
        unpacked(
            f"""s.run, s.first_child + k.n, s.chunk, s.position,
            {_ORIGIN},
            NULL, s.node, CASE WHEN s.kind = 'routed' THEN NULL ELSE {DIGEST} END""",
            "s.children",
        )
        + " AND s.first_child IS NOT NULL",
    ]
)

_CARRIED_TOKENS = (
    unpacked(
        f"""s.run, s.first_child + k.n AS token, h.origin_run_id, {GROUP} AS origin_token, s.node, s.chunk,
        s.position, {DIGEST} AS digest""",
        "s.children",
        "JOIN run_headers h ON h.run = s.run",
    )
    + " AND s.kind = 'carried'"
)

# A batch fills in several commits: how many members came before is summed up once a segment. The window is over
# whole batches, so that a question for one batch, or one run, reads no other; `+chunk` keeps SQLite from reading the
# whole run in the order of its key instead.
_BATCH_MEMBERS = f"""
SELECT s.run, s.batch, s.node, s.chunk, s.position, {TOKEN} AS token, {VISIT} AS visit,
       CAST(s.earlier + k.n AS BIGINT) AS place
FROM (SELECT run, batch, node, chunk, position, size, first_token, token_width, tokens, visit, visit_width, visits,
             sum(size) OVER (PARTITION BY run, batch ORDER BY +chunk, position, part) - size AS earlier
      FROM segments WHERE kind = 'buffered' AND batch IS NOT NULL) s
CROSS JOIN numbers k WHERE k.n < s.size
"""

_BATCH_OUTPUTS = (
    unpacked(
        f"s.run, s.batch, s.node, s.chunk, s.position, s.first_child + k.n AS token, {DIGEST} AS digest",
        "s.children",
    )
    + " AND s.kind = 'batch_flushed'"
)

_PARENT_OF_FORK = nth("s.first_token", "s.token_width", "s.tokens", "(k.n / NULLIF(s.fan, 0))")
_TOKEN_PARENTS = " UNION ALL ".join(
    [
        unpacked(
            f"s.run, s.first_child + k.n AS token, {_PARENT_OF_FORK} AS parent, 'fork' AS kind, s.chunk, s.position",
            "s.children",
        )
        + " AND s.kind = 'routed' AND s.fan > 0",
        unpacked(
            "s.run, s.first_child + k.n, s.visit_parent, 'expansion', s.chunk, s.position", "s.children"
        ).replace(
            "s.visit_parent",
            "(SELECT p.first_token FROM segments p WHERE p.run = s.run AND p.chunk = s.chunk "
            "AND p.position = s.position AND p.part = 0)",
        )
        + " AND s.kind = 'expanded'",
        unpacked(f"s.run, s.first_child + k.n / NULLIF(s.fan, 0), {TOKEN}, 'merge', s.chunk, s.position")
        + " AND s.kind = 'merged' AND s.fan > 0",
        f"""
        SELECT o.run, o.token, {TOKEN}, 'batch', o.chunk, o.position
        FROM batch_outputs o JOIN segments s ON s.run = o.run AND s.batch = o.batch CROSS JOIN numbers k
        WHERE k.n < s.size AND s.kind = 'buffered'
        """,
    ]
)

_STATES_OF = """
LEFT JOIN confirmations c ON c.run = s.run AND c.node = s.node AND c.intent = s.intent
LEFT JOIN errors e ON e.run = s.run AND e.chunk = s.chunk AND e.position = s.position
LEFT JOIN segment_digests d ON d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part
"""

# A join and not a subquery: what a subquery refers to, packed tokens included, is carried row by row through the
# sorting of `GROUP BY status` (12 s over 2,350,000 visits, 0.9 s with the join).
_REFUSED = f"""
LEFT JOIN rejections r ON r.run = s.run AND r.node = s.node AND r.intent = s.intent
     AND r.token = CASE WHEN c.rejected > 0 THEN {TOKEN} END
"""

_NODE_STATES = (
    unpacked(
        f"""s.run, s.chunk, s.position, {TOKEN} AS token, {VISIT} AS visit, s.attempt, s.node,
        CASE WHEN c.intent IS NULL THEN s.status WHEN r.token IS NULL THEN 'completed' ELSE 'failed' END AS status,
        CASE WHEN s.kind = 'visited' THEN substr(d.digests, k.n * 32 + 1, 32) END AS output_digest,
        COALESCE(s.started_us, c.started_us) AS started_us,
        CASE WHEN s.kind IN ('attempt_failed', 'expanded') OR s.size = 1 THEN s.duration_us END AS duration_us,
        COALESCE(s.duration_us, c.duration_us) AS segment_duration_us,
        s.size AS segment_visits,
        CASE WHEN s.kind = 'attempt_failed' THEN e.type WHEN s.kind = 'merge_late' THEN 'LateAtMerge'
             WHEN r.token IS NOT NULL THEN 'SinkRejected' END AS error_type,
        CASE WHEN s.kind = 'attempt_failed' THEN e.message ELSE r.reason END AS error_message""",
        extra=_STATES_OF,
        then=_REFUSED,
    )
    + " AND s.status IS NOT NULL"
)

_ROUTING_EVENTS = " UNION ALL ".join(
    [
        unpacked(
            f"""s.run, s.chunk, s.position, {TOKEN} AS token, {VISIT} AS visit, s.node, s.label, s.mode,
            NULL AS clause, s.reached_limit"""
        )
        + " AND s.kind = 'routed'",
        """
        SELECT s.run, s.chunk, s.position, s.first_token, s.visit, s.node, 'on_error', 'error', s.clause,
               s.reached_limit
        FROM segments s WHERE s.kind = 'failed' AND s.clause IS NOT NULL
        """,
        """
        SELECT s.run, s.chunk, s.position, s.first_token, 0, 0, 'on_invalid', 'error', NULL, 0
        FROM segments s WHERE s.kind = 'row_invalid' AND s.target IS NOT NULL
        """,
    ]
)

_BATCHES = """
SELECT b.run, b.batch, b.node, b.opened_us, b.members,
       CASE e.kind WHEN 'batch_flushed' THEN 'completed' WHEN 'batch_failed' THEN 'failed' ELSE 'draft' END AS status,
       e.label AS triggered_by, e.mode, e.chunk AS ended_chunk, e.position AS ended_position, e.started_us,
       e.duration_us,
       (SELECT count(*) FROM segments a WHERE a.run = b.run AND a.batch = b.batch
          AND a.kind = 'batch_attempt_failed') AS failed_attempts
FROM (SELECT s.run, s.batch, s.node, min(s.opened_us) AS opened_us, CAST(sum(s.size) AS BIGINT) AS members
      FROM segments s WHERE s.batch IS NOT NULL AND s.kind = 'buffered' GROUP BY s.run, s.batch, s.node) b
LEFT JOIN segments e ON e.run = b.run AND e.batch = b.batch AND e.part = 0
     AND e.kind IN ('batch_flushed', 'batch_failed')
"""

_SINK_INTENTS = """
SELECT i.run, i.node, i.intent, i.chunk, i.position, i.rows, i.content_sha256, i.write_key,
       CASE WHEN c.intent IS NULL THEN 'intended' ELSE 'confirmed' END AS status,
       c.chunk AS confirmed_chunk, c.sink_position, c.started_us, c.duration_us, c.rejected
FROM intents i LEFT JOIN confirmations c ON c.run = i.run AND c.node = i.node AND c.intent = i.intent
"""

_PAYLOADS = """
SELECT b.run, b.chunk, b.number, b.part, b.kind, b.node, b.visit, b.intent, b.size AS items, b.raw_bytes,
       b.stored_bytes, b.data_sha256, CASE WHEN d.run IS NULL THEN 1 ELSE 0 END AS purged
FROM payload_blocks b
LEFT JOIN payload_data d ON d.run = b.run AND d.chunk = b.chunk AND d.number = b.number AND d.part = b.part
"""

VIEWS: dict[str, str] = {
    "runs": _RUNS,
    "run_events": _RUN_EVENTS,
    "rows": _ROWS,
    "validation_errors": _VALIDATION_ERRORS,
    "tokens": _TOKENS,
    "carried_tokens": _CARRIED_TOKENS,
    "batch_members": _BATCH_MEMBERS,
    "batch_outputs": _BATCH_OUTPUTS,
    "batches": _BATCHES,
    "token_parents": _TOKEN_PARENTS,
    "node_states": _NODE_STATES,
    "routing_events": _ROUTING_EVENTS,
    "sink_intents": _SINK_INTENTS,
    "payloads": _PAYLOADS,
    "token_outcomes": TOKEN_OUTCOMES,
}
"""Name and query, in the order in which they can be created. `nodes`, `edges`, `chunks`, `calls` and `artifacts`
are read as they are stored."""
