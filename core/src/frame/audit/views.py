"""The record as an auditor reads it: one row a token, a visit, an outcome.

Each view is a SELECT over packed rows and `numbers`. Where a view can be one join it is one, because SQLite
then computes the columns that are asked for and no others; what single tokens need beyond that is asked by
subqueries for the same reason. Everything here is SQL that PostgreSQL understands, too.

The order of tables in a FROM matters: segments first, numbers second (CROSS JOIN keeps SQLite to it).
"""

from frame.audit.encoding import PATH_CODES
from frame.events import OUTCOME_OF, Path


def _nth(first: str, width: str, text: str, n: str = "k.n") -> str:
    """The n-th member of a packed list."""
    piece = f"CAST(substr({text}, {n} * {width} + 1, {width}) AS BIGINT)"
    return f"{first} + CASE WHEN {width} = 0 THEN {n} ELSE {piece} END"


def _one_of(column: str, values: dict[str, str]) -> str:
    cases = " ".join(f"WHEN '{key}' THEN '{value}'" for key, value in values.items())
    return f"CASE {column} {cases} END"


_TOKEN = _nth("s.first_token", "s.token_width", "s.tokens")
_VISIT = (
    "s.visit + CASE WHEN s.visit_width = 0 THEN 0 "
    "ELSE CAST(substr(s.visits, k.n * s.visit_width + 1, s.visit_width) AS INTEGER) END"
)
_PARENT_OF_FORK = _nth("s.first_token", "s.token_width", "s.tokens", "(k.n / NULLIF(s.fan, 0))")
_GROUP = _nth("s.first_group", "s.group_width", "s.groups", "k.n")
_GROUP_OF_PARENT = _nth("s.first_group", "s.group_width", "s.groups", "(k.n / NULLIF(s.fan, 0))")
_DIGEST = (
    "(SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run "
    "AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part)"
)
_PATH = f"COALESCE(s.path, {_one_of('substr(s.path_codes, k.n + 1, 1)', {c: p.value for p, c in PATH_CODES.items()})})"
_OUTCOMES = {path.value: outcome.value for path, outcome in OUTCOME_OF.items()}
_REJECTED = (
    "EXISTS (SELECT 1 FROM rejections r WHERE r.run = s.run AND r.node = s.node "
    f"AND r.intent = s.intent AND r.token = {_TOKEN})"
)


def _unpacked(columns: str, size: str = "s.size", extra: str = "", then: str = "") -> str:
    return f"SELECT {columns} FROM segments s {extra} CROSS JOIN numbers k {then} WHERE k.n < {size}"


def _error(column: str) -> str:
    return f"(SELECT e.{column} FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position)"


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
    _unpacked(
        f"""s.run, s.first_row + k.n AS "row", {_TOKEN} AS token, s.chunk, s.position,
        {_DIGEST} AS digest, CASE WHEN s.kind = 'rows_read' THEN 1 ELSE 0 END AS valid"""
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

_ORIGIN = _one_of(
    "s.kind",
    {
        "routed": "fork",
        "expanded": "expansion",
        "merged": "merge",
        "batch_flushed": "batch",
        "carried": "carried",
    },
)

_TOKENS = " UNION ALL ".join(
    [
        _unpacked(
            f"""s.run, {_TOKEN} AS token, s.chunk, s.position, 'source' AS origin, s.first_row + k.n AS "row",
            0 AS node, {_DIGEST} AS digest"""
        )
        + " AND s.first_row IS NOT NULL",
        _unpacked(
            f"""s.run, s.first_child + k.n, s.chunk, s.position,
            {_ORIGIN},
            NULL, s.node, CASE WHEN s.kind = 'routed' THEN NULL ELSE {_DIGEST} END""",
            "s.children",
        )
        + " AND s.first_child IS NOT NULL",
    ]
)

_CARRIED_TOKENS = (
    _unpacked(
        f"""s.run, s.first_child + k.n AS token, h.origin_run_id, {_GROUP} AS origin_token, s.node, s.chunk,
        s.position, {_DIGEST} AS digest""",
        "s.children",
        "JOIN run_headers h ON h.run = s.run",
    )
    + " AND s.kind = 'carried'"
)

# A batch fills in several commits: how many members came before is summed up once a segment. The window is over
# whole batches, so that a question for one batch, or one run, reads no other; `+chunk` keeps SQLite from reading the
# whole run in the order of its key instead.
_BATCH_MEMBERS = f"""
SELECT s.run, s.batch, s.node, s.chunk, s.position, {_TOKEN} AS token, {_VISIT} AS visit,
       CAST(s.earlier + k.n AS BIGINT) AS place
FROM (SELECT run, batch, node, chunk, position, size, first_token, token_width, tokens, visit, visit_width, visits,
             sum(size) OVER (PARTITION BY run, batch ORDER BY +chunk, position, part) - size AS earlier
      FROM segments WHERE kind = 'buffered' AND batch IS NOT NULL) s
CROSS JOIN numbers k WHERE k.n < s.size
"""

_BATCH_OUTPUTS = (
    _unpacked(
        f"s.run, s.batch, s.node, s.chunk, s.position, s.first_child + k.n AS token, {_DIGEST} AS digest",
        "s.children",
    )
    + " AND s.kind = 'batch_flushed'"
)

_TOKEN_PARENTS = " UNION ALL ".join(
    [
        _unpacked(
            f"s.run, s.first_child + k.n AS token, {_PARENT_OF_FORK} AS parent, 'fork' AS kind, s.chunk, s.position",
            "s.children",
        )
        + " AND s.kind = 'routed' AND s.fan > 0",
        _unpacked(
            "s.run, s.first_child + k.n, s.visit_parent, 'expansion', s.chunk, s.position", "s.children"
        ).replace(
            "s.visit_parent",
            "(SELECT p.first_token FROM segments p WHERE p.run = s.run AND p.chunk = s.chunk "
            "AND p.position = s.position AND p.part = 0)",
        )
        + " AND s.kind = 'expanded'",
        _unpacked(f"s.run, s.first_child + k.n / NULLIF(s.fan, 0), {_TOKEN}, 'merge', s.chunk, s.position")
        + " AND s.kind = 'merged' AND s.fan > 0",
        f"""
        SELECT o.run, o.token, {_TOKEN}, 'batch', o.chunk, o.position
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
     AND r.token = CASE WHEN c.rejected > 0 THEN {_TOKEN} END
"""

_NODE_STATES = (
    _unpacked(
        f"""s.run, s.chunk, s.position, {_TOKEN} AS token, {_VISIT} AS visit, s.attempt, s.node,
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
        _unpacked(
            f"""s.run, s.chunk, s.position, {_TOKEN} AS token, {_VISIT} AS visit, s.node, s.label, s.mode,
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

_NUMBER, _WORDS = "CAST(NULL AS BIGINT)", "CAST(NULL AS TEXT)"
_NULLS = {
    "node": "s.node",
    "sink": _NUMBER,
    "fallback": _NUMBER,
    "reason": _WORDS,
    "error_type": _WORDS,
    "error_message": _WORDS,
    "batch": _NUMBER,
    "fork_group": _NUMBER,
    "expand_group": _NUMBER,
    "merge_group": _NUMBER,
}
"""The columns of an outcome that most paths leave empty, typed: PostgreSQL takes two bare NULLs of a UNION for text."""


def _outcome(path: Path | str, *, condition: str, extra: str = "", ended_by: str = "s", **fields: str) -> str:
    """Those who ended by one path. `fields` are SQL for what that path has beyond the token."""
    known = isinstance(path, Path)
    said = f"'{path}'" if known else path
    ended = f"'{OUTCOME_OF[Path(path)]}'" if known else _one_of(path, _OUTCOMES)
    columns = ", ".join(f"{sql} AS {name}" for name, sql in (_NULLS | fields).items())
    when = f"{ended_by}.chunk, {ended_by}.position"
    select = f"s.run, {_TOKEN} AS token, {when}, {ended} AS outcome, {said} AS path, {columns}"
    return f"{_unpacked(select, extra=extra)} AND {condition}"


_ERRORS = {"error_type": _error("type"), "error_message": _error("message")}
_DISCARDS = (
    "EXISTS (SELECT 1 FROM error_clauses x WHERE x.run = s.run AND x.node = s.node "
    "AND x.clause = s.clause AND x.target IS NULL)"
)
_CONFIRMED = "JOIN confirmations c ON c.run = s.run AND c.node = s.node AND c.intent = s.intent"


_REFUSAL = f"FROM rejections r WHERE r.run = s.run AND r.token = {_TOKEN} AND r.fallback = s.node"


def _last_error(column: str) -> str:
    """What the failed visit, invalid row or refusing sink says that sent a token to this sink."""
    failed = (
        f"(SELECT e.{column} FROM segments f JOIN errors e ON e.run = f.run AND e.chunk = f.chunk "
        "AND e.position = f.position WHERE f.run = s.run AND f.kind IN ('failed', 'row_invalid') "
        f"AND f.first_token = {_TOKEN} ORDER BY f.chunk DESC, f.position DESC LIMIT 1)"
    )
    refused = f"(SELECT r.reason {_REFUSAL})" if column == "message" else "'SinkRejected'"
    return (
        f"CASE WHEN {_PATH} IN ('error_routed', 'invalid_at_source') THEN {failed} "
        f"WHEN {_PATH} = 'sink_rejected' THEN {refused} END"
    )


def _of_members(path: Path, condition: str, **fields: str) -> str:
    """Members of batches that ended with their batch; `e` is the segment that ended it."""
    columns = ", ".join(f"{sql} AS {name}" for name, sql in (_NULLS | fields).items())
    return f"""
    SELECT s.run, {_TOKEN} AS token, e.chunk, e.position, '{OUTCOME_OF[path].value}' AS outcome,
           '{path.value}' AS path, {columns}
    FROM segments e JOIN segments s ON s.run = e.run AND s.batch = e.batch CROSS JOIN numbers k
    WHERE k.n < s.size AND s.kind = 'buffered' AND e.batch IS NOT NULL AND e.part = 0 AND {condition}
    """


def _error_of_batch(column: str) -> str:
    return f"(SELECT x.{column} FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position)"


_BATCH_ERRORS = {"error_type": _error_of_batch("type"), "error_message": _error_of_batch("message")}
_BATCH_DISCARDS = _DISCARDS.replace("s.", "e.")

_TOKEN_OUTCOMES = " UNION ALL ".join(
    [
        _outcome(
            _PATH,
            condition=f"s.kind = 'sink_intended' AND NOT (c.rejected > 0 AND {_REJECTED})",
            extra=_CONFIRMED,
            ended_by="c",
            sink=f"CASE WHEN {_PATH} = 'sink_rejected' THEN (SELECT r.node {_REFUSAL}) ELSE s.node END",
            fallback=f"CASE WHEN {_PATH} = 'sink_rejected' THEN s.node END",
            error_type=_last_error("type"),
            error_message=_last_error("message"),
        ),
        f"""
        SELECT r.run, r.token, c.chunk, c.position, 'failure', 'sink_rejected', r.node, r.node, {_NUMBER}, {_WORDS},
               'SinkRejected', r.reason, {_NUMBER}, {_NUMBER}, {_NUMBER}, {_NUMBER}
        FROM rejections r
        JOIN confirmations c ON c.run = r.run AND c.node = r.node AND c.intent = r.intent
        WHERE r.fallback IS NULL
        """,
        _outcome(
            Path.GATE_DISCARDED,
            condition="s.kind = 'routed' AND s.mode = 'discard' AND s.reached_limit = 0",
            reason="s.label",
        ),
        _outcome(
            Path.FORKED,
            condition="s.kind = 'routed' AND s.mode = 'fork' AND s.reached_limit = 0",
            fork_group=_TOKEN,
        ),
        _outcome(
            Path.VISIT_LIMIT,
            condition="s.kind = 'routed' AND s.reached_limit = 1",
            error_type="'VisitLimit'",
            error_message="s.label",
        ),
        _outcome(Path.DROPPED, condition="s.kind = 'dropped'", reason="s.label"),
        _outcome(Path.EXPANDED, condition="s.kind = 'expanded'", expand_group="s.first_token"),
        _outcome(Path.MERGED, condition="s.kind = 'merged' AND s.fan > 0", merge_group=_GROUP_OF_PARENT),
        _outcome(
            Path.MERGE_INCOMPLETE, condition="s.kind = 'merge_failed'", merge_group="s.first_group", **_ERRORS
        ),
        _outcome(
            Path.LATE_AT_MERGE,
            condition="s.kind = 'merge_late'",
            merge_group="s.first_group",
            error_type="'LateAtMerge'",
            error_message="'the merge had been decided'",
        ),
        _outcome(Path.ABANDONED, condition="s.kind = 'abandoned'", **_ERRORS),
        _outcome(
            Path.INVALID_AT_SOURCE,
            condition="s.kind = 'row_invalid' AND s.target IS NULL",
            **{**_ERRORS, "node": "0"},
        ),
        _outcome(Path.VISIT_LIMIT, condition="s.kind = 'failed' AND s.reached_limit = 1", **_ERRORS),
        _outcome(
            Path.UNHANDLED,
            condition="s.kind = 'failed' AND s.reached_limit = 0 AND s.clause IS NULL",
            **_ERRORS,
        ),
        _outcome(
            Path.ERROR_DISCARDED,
            condition=f"s.kind = 'failed' AND s.reached_limit = 0 AND {_DISCARDS}",
            **_ERRORS,
        ),
        _of_members(Path.BATCHED, "e.kind = 'batch_flushed' AND e.mode = 'transform'", batch="s.batch"),
        _of_members(
            Path.UNHANDLED, "e.kind = 'batch_failed' AND e.clause IS NULL", batch="s.batch", **_BATCH_ERRORS
        ),
        _of_members(
            Path.ERROR_DISCARDED,
            f"e.kind = 'batch_failed' AND {_BATCH_DISCARDS}",
            batch="s.batch",
            **_BATCH_ERRORS,
        ),
    ]
)

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
    "token_outcomes": _TOKEN_OUTCOMES,
}
"""Name and query, in the order in which they can be created. `nodes`, `edges`, `chunks`, `calls` and `artifacts`
are read as they are stored."""
