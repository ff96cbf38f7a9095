"""How every token ended, as SQL: a SELECT for each way, and all of them together."""

from frame.audit.encoding import PATH_CODES
from frame.audit.views_unpacking import TOKEN, nth, one_of, unpacked
from frame.events import OUTCOME_OF, Path

_GROUP_OF_PARENT = nth("s.first_group", "s.group_width", "s.groups", "(k.n / NULLIF(s.fan, 0))")
_PATH = f"COALESCE(s.path, {one_of('substr(s.path_codes, k.n + 1, 1)', {c: p.value for p, c in PATH_CODES.items()})})"
_OUTCOMES = {path.value: outcome.value for path, outcome in OUTCOME_OF.items()}
_REJECTED = (
    "EXISTS (SELECT 1 FROM rejections r WHERE r.run = s.run AND r.node = s.node "
    f"AND r.intent = s.intent AND r.token = {TOKEN})"
)


def _error(column: str) -> str:
    return f"(SELECT e.{column} FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position)"


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
    ended = f"'{OUTCOME_OF[Path(path)]}'" if known else one_of(path, _OUTCOMES)
    columns = ", ".join(f"{sql} AS {name}" for name, sql in (_NULLS | fields).items())
    when = f"{ended_by}.chunk, {ended_by}.position"
    select = f"s.run, {TOKEN} AS token, {when}, {ended} AS outcome, {said} AS path, {columns}"
    return f"{unpacked(select, extra=extra)} AND {condition}"


_ERRORS = {"error_type": _error("type"), "error_message": _error("message")}
_DISCARDS = (
    "EXISTS (SELECT 1 FROM error_clauses x WHERE x.run = s.run AND x.node = s.node "
    "AND x.clause = s.clause AND x.target IS NULL)"
)
_CONFIRMED = "JOIN confirmations c ON c.run = s.run AND c.node = s.node AND c.intent = s.intent"


_REFUSAL = f"FROM rejections r WHERE r.run = s.run AND r.token = {TOKEN} AND r.fallback = s.node"


def _last_error(column: str) -> str:
    """What the failed visit, invalid row or refusing sink says that sent a token to this sink."""
    failed = (
        f"(SELECT e.{column} FROM segments f JOIN errors e ON e.run = f.run AND e.chunk = f.chunk "
        "AND e.position = f.position WHERE f.run = s.run AND f.kind IN ('failed', 'row_invalid') "
        f"AND f.first_token = {TOKEN} ORDER BY f.chunk DESC, f.position DESC LIMIT 1)"
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
    SELECT s.run, {TOKEN} AS token, e.chunk, e.position, '{OUTCOME_OF[path].value}' AS outcome,
           '{path.value}' AS path, {columns}
    FROM segments e JOIN segments s ON s.run = e.run AND s.batch = e.batch CROSS JOIN numbers k
    WHERE k.n < s.size AND s.kind = 'buffered' AND e.batch IS NOT NULL AND e.part = 0 AND {condition}
    """


def _error_of_batch(column: str) -> str:
    return f"(SELECT x.{column} FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position)"


_BATCH_ERRORS = {"error_type": _error_of_batch("type"), "error_message": _error_of_batch("message")}
_BATCH_DISCARDS = _DISCARDS.replace("s.", "e.")

TOKEN_OUTCOMES = " UNION ALL ".join(
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
            fork_group=TOKEN,
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
