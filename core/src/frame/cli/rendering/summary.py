"""What a run came to, in a few lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frame.cli.output import columns, visible
from frame.errors import Refused, TryAgainLater

if TYPE_CHECKING:
    from frame.engine.result import RunResult

FAILURES = {
    "invalid": "did not fit the source's schema",
    "routed_error": "went to an error sink",
    "diverted": "refused by a sink",
    "merge_failed": "could not be merged",
    "unhandled": "left as dead letters: nothing in the pipeline handles them",
}
"""Counter -> what became of the tokens that it counts."""


def summary(result: "RunResult", store_option: str = "") -> Iterator[str]:
    """The lines of the summary. `store_option`: what the commands that it hints at need to find the record."""
    yield f"run {result.run_id}: {result.status.value.replace('_', ' ')}"
    if result.error is not None:
        yield f"  {result.error.message}"
    if result.error is None or result.counters["tokens"]:
        yield f"  {_totals(result)}"
        yield from _sinks(result)
    yield from _failures(result)
    for name, rows in result.possible_duplicates.items():
        yield f"sink {visible(name)} may have {rows_text(rows)} twice: given to it once more after a crash"
    yield from _hints(result, store_option)
    if result.receipt is not None:
        by = "not signed" if result.receipt.key_id is None else f"signed by key {result.receipt.key_id}"
        yield f"receipt: {near(Path(result.receipt.path))} ({by})"


def _totals(result: "RunResult") -> str:
    counters = result.counters
    measured = counters["rows"] and result.duration_s >= 0.1
    rate = f", {counters['rows'] / result.duration_s:,.0f} rows/s" if measured else ""
    carried = counters["tokens"] and not counters["rows"]
    what = tokens_text(counters["tokens"]) if carried else rows_text(counters["rows"])
    parts = [f"{what} in {result.duration_s:.2f} s{rate}"]
    parts += [
        f"{counters[name]:,} {name}" for name in ("discarded", "dropped", "failed", "open") if counters[name]
    ]
    return "; ".join(parts)


def _sinks(result: "RunResult") -> Iterator[str]:
    rows = []
    for name, written in result.sinks.items():
        made = result.artifacts.get(name)
        size = "" if made is None or made.size_bytes is None else f" ({size_text(made.size_bytes)})"
        where = f"{place(made.uri)}{size}" if made is not None else "not published yet"
        rows.append((name, rows_text(written), where))
    yield from columns(rows, right=frozenset({1}))


def _failures(result: "RunResult") -> Iterator[str]:
    counters = result.counters
    if not counters["failed"]:
        return
    yield "failed:"
    rows = [(f"{counters[name]:,}", words) for name, words in FAILURES.items() if counters[name]]
    others = counters["failed"] - sum(counters[name] for name in FAILURES)
    if others:
        rows.append((f"{others:,}", "discarded on error, too late, at a limit, or left when the run stopped"))
    yield from columns(rows, right=frozenset({0}))
    nodes = ", ".join(
        f"{visible(name)} {node.failed:,}" for name, node in result.nodes.items() if node.failed
    )
    if nodes:
        yield f"  by node: {nodes}"


def _hints(result: "RunResult", store_option: str) -> Iterator[str]:
    # A refusal says itself what would help: often to run anew, and then a resume would be refused, too.
    if result.resumable and not isinstance(result.cause, Refused | TryAgainLater):
        first = "to go on with it" if result.error is None else "when that is put right"
        yield f"{first}: frame resume {result.run_id}{store_option}"
    if result.counters["unhandled"]:
        yield f"dead letters: frame dead-letters list {result.run_id}{store_option}"
        yield f"when it is mended: frame dead-letters retry {result.run_id} --all{store_option}"
    if result.counters["failed"]:
        yield f"what went wrong: frame runs show latest{store_option}"
    if result.counters["rows"]:
        yield f"one row's story: frame explain latest --row 0{store_option}"


def place(uri: str) -> str:
    """A URI as people know it: a path from here for a file that is not far."""
    from urllib.parse import unquote, urlsplit

    if not uri.startswith("file://"):
        return uri
    return near(Path(unquote(urlsplit(uri).path)))


def near(path: Path) -> str:
    """The path from here, for a file that is not far."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def rows_text(count: int) -> str:
    """So many rows.

    >>> rows_text(1), rows_text(12_345)
    ('1 row', '12,345 rows')
    """
    return f"{count:,} row{'s' * (count != 1)}"


def tokens_text(count: int) -> str:
    """So many tokens.

    >>> tokens_text(1), tokens_text(2)
    ('1 token', '2 tokens')
    """
    return f"{count:,} token{'s' * (count != 1)}"


def size_text(size_bytes: int) -> str:
    """A size as people say it.

    >>> size_text(34), size_text(31_000_000)
    ('34 bytes', '31.0 MB')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"
