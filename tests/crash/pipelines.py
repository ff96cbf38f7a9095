"""Six small pipelines that have, together, every kind of node, every file format, and every class of delivery.

Chunks are five rows, so that a run has several commits and batches, forks and loops that are open at each of them.
`{service}` is the URL of the loopback service, `{audit}` that of the record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WHATS = ("keep", "expand", "drop", "keep", "fail", "retry", "keep")


def _line(n: int) -> str:
    return f"x{n},{n},keep" if n % 10 == 9 else f"{n},{n % 3},{WHATS[n % len(WHATS)]}"


ROWS = "n,team,what\n" + "".join(f"{_line(n)}\n" for n in range(24))
PLAIN = "n,team,what\n" + "".join(f"{n},{n % 3},keep\n" for n in range(18))

_HEAD = """
frame: 1
name: {name}
source: {{plugin: csv, options: {{path: in.csv}}, schema: {{fields: {{n: int, team: int, what: str}}}}{source}}}
audit: {{url: "{{audit}}", writer: {writer}, lease: {lease}}}
settings: {{chunk_rows: 5, max_latency: 60s}}
"""


def _head(name: str, source: str = "", writer: str = "thread", lease: str = "60s") -> str:
    return _HEAD.format(name=name, source=source and f", {source}", writer=writer, lease=lease)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`text`: the pipeline file; `files`: what else stands in its folder, or how it is made; `outputs`: files that it
    writes there."""

    name: str
    text: str
    outputs: Sequence[str]
    rows: str = ROWS
    files: Mapping[str, str | Callable[[Path], None]] = field(default_factory=dict)
    at_least_once: Sequence[str] = ()
    """Outputs whose lines `[number of the write, row]` may stand there twice."""
    databases: Sequence[str] = ()
    """SQLite outputs: their tables are compared."""
    uses_service: bool = False


def _parquet(path: Path) -> None:
    """A file that rows are appended to."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = [{"n": n, "team": 0, "what": "there", "rounds": 0, "wobbled": n == -1} for n in (-1, -2)]
    pq.write_table(pa.Table.from_pylist(there), path)


FILES = Pipeline(
    "files",
    _head("files", "on_invalid: invalid")
    + """
nodes:
  - {name: twist, plugin: twist, retry: {attempts: 3, wait: 1ms}, on_error: broken}
  - name: small
    gate: row.n < 12
    routes: {"true": small_ones, "false": large_ones}
sinks:
  small_ones: {plugin: csv, options: {path: out/small.csv}}
  large_ones: {plugin: jsonl, options: {path: out/large.jsonl.gz}}
  broken: {plugin: jsonl, options: {path: out/deep/broken.jsonl}}
  invalid: {plugin: jsonl, options: {path: out/invalid.jsonl}}
""",
    ["out/small.csv", "out/large.jsonl.gz", "out/deep/broken.jsonl", "out/invalid.jsonl"],
)

JOINS = Pipeline(
    "joins",
    _head("joins", "on_invalid: discard", writer="inline")
    + """
nodes:
  - name: split
    gate: "true"
    routes: {"true": [left, right], "false": discard}
  - {name: left, plugin: count, to: join}
  - {name: right, plugin: wobble, retry: {attempts: 3, wait: 1ms}, to: join}
  - name: join
    coalesce: {policy: require_all, merge: union}
sinks:
  joined: {plugin: parquet, options: {path: joined.parquet, row_group_rows: 8, on_existing: append}}
""",
    ["joined.parquet"],
    files={"joined.parquet": _parquet},
)

BATCHES = Pipeline(
    "batches",
    _head("batches")
    + """
nodes:
  - {name: round, plugin: count}
  - name: again
    gate: row.rounds < row.team + 1
    routes: {"true": {to: round, max: 5}, "false": continue}
  - name: rank
    aggregate: {plugin: rank, mode: passthrough}
    trigger: {count: 4}
    to: fork
  - name: fork
    gate: row.place < 3
    routes: {"true": [sums, rows], "false": sums}
  - name: sums
    aggregate: {plugin: total}
    trigger: {count: 7, at_end: true}
    to: totals
sinks:
  rows: {plugin: csv, options: {path: rows.csv, on_existing: overwrite}}
  totals: {plugin: jsonl, options: {path: totals.jsonl, on_existing: append}}
""",
    ["rows.csv", "totals.jsonl"],
    rows=PLAIN,
    files={"rows.csv": "what,was,here\n1,2,3\n", "totals.jsonl": '{"before": true}\n'},
)

LEDGER = Pipeline(
    "ledger",
    _head("ledger", "on_invalid: diary")
    + """
nodes:
  - name: twist
    plugin: twist
    retry: {attempts: 2, wait: 1ms}
    on_error: [{when: error.attempts > 5, to: never}, {to: diary}]
  - name: team
    gate: row.team == 1
    routes: {"true": [books, diary], "false": books}
sinks:
  books: {plugin: ledger, options: {path: books.db, refuses: 6}, on_error: refused}
  refused: {plugin: csv, options: {path: refused.csv}, error_field: why}
  never: {plugin: csv, options: {path: never.csv, fields: [n, why]}}
  diary: {plugin: append, options: {path: diary.txt}}
""",
    ["refused.csv", "never.csv"],
    at_least_once=["diary.txt"],
    databases=["books.db"],
)

CALLS = Pipeline(
    "calls",
    _head("calls")
    + """
nodes:
  - {name: ask, plugin: ask, options: {url: "{service}"}, retry: {attempts: 3, wait: 1ms}}
  - name: sums
    aggregate: {plugin: total}
    trigger: {count: 4}
sinks:
  out: {plugin: post, options: {url: "{service}"}}
""",
    [],
    rows=PLAIN,
    uses_service=True,
)

MIXED = Pipeline(
    "mixed",
    _head("mixed", "on_invalid: invalid")
    + """
nodes:
  - {name: twist, plugin: twist, retry: {attempts: 3, wait: 1ms}, on_error: books}
  - name: split
    gate: row.part != 1
    routes: {"true": [one, two], "false": batch}
  - {name: one, plugin: count, to: join}
  - {name: two, plugin: ask, options: {url: "{service}"}, retry: {attempts: 3, wait: 1ms}, to: join}
  - {name: join, coalesce: {policy: quorum, quorum: 1, merge: union}, to: batch}
  - name: batch
    aggregate: {plugin: rank, mode: passthrough}
    trigger: {count: 5}
  - name: ways
    gate: row.place < 3
    routes: {"true": out, "false": [posted, books]}
sinks:
  out: {plugin: jsonl, options: {path: out.jsonl.zst}}
  posted: {plugin: post, options: {url: "{service}"}}
  books: {plugin: ledger, options: {path: books.db}}
  invalid: {plugin: csv, options: {path: invalid.csv}}
""",
    ["out.jsonl.zst", "invalid.csv"],
    databases=["books.db"],
    uses_service=True,
)

PIPELINES = {each.name: each for each in (FILES, JOINS, BATCHES, LEDGER, CALLS, MIXED)}
