"""The parts of a page about a run, each from one question to the record."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import func, select

from frame.audit import contents, queries, schema
from frame.audit.export.chain_lines import Chain
from frame.audit.export.drawing import draw
from frame.audit.export.html_stories import stories
from frame.audit.export.html_text import code, facts, moment, notice, section, span, table, text
from frame.audit.export.manifest import newest_checkpoint
from frame.audit.export.source import RunRecord
from frame.audit.queries import RunDetails
from frame.audit.signing import PrivateKey
from frame.events import RunStatus
from frame.plugin.protocols import RECOMPUTABLE, Determinism

MOST_EVENTS, MOST_DEAD_LETTERS, MOST_TROUBLES = 200, 100, 100
_GOOD = frozenset({RunStatus.COMPLETED, RunStatus.EMPTY})
_COUNTED = {
    "rows": "source rows",
    "tokens": "tokens",
    "succeeded": "succeeded",
    "failed": "failed",
    "open": "open",
}


def heading(run: RunDetails) -> str:
    """What run this is, how it went, and what has to be known before reading on."""
    summary = run.summary
    kind = "good" if summary.status in _GOOD else "bad" if summary.status is RunStatus.FAILED else "warn"
    said = text(summary.status.value.replace("_", " "))
    return (
        f'<p class="lead">Record of a run</p><h1>{text(summary.pipeline)} '
        f'<span class="badge {kind}">{said}</span></h1>'
        f'<p class="mono soft">{text(summary.run_id)}</p>'
    )


def warnings(record: RunRecord, run: RunDetails) -> str:
    """What keeps this page from telling all."""
    said = []
    if run.summary.status is RunStatus.RUNNING:
        said.append(
            "This run has no end on record: it is under way, or was cut off. The page shows what it had "
            "committed."
        )
    if not record.is_chained:
        said.append(
            "This run began before frame chained what it commits. What is here is what the record says, and it "
            "cannot be proven that nobody has changed it."
        )
    if record.is_purged:
        said.append(
            "Payload bytes of this run were purged. Hashes, decisions and lineage are all there; data is not."
        )
    if run.settings.get("payloads") == "none":
        said.append("This run was told to keep no payloads. Hashes are all there; row data is not.")
    return "".join(notice(each) for each in said)


def figures(counters: dict[str, int]) -> str:
    """The counters, the important ones first."""
    order = [*_COUNTED, *sorted(set(counters) - set(_COUNTED))]
    shown = [(name, counters[name]) for name in order if counters.get(name) or name in ("rows", "failed")]
    boxes = "".join(
        f'<div class="figure"><b class="{"bad" if name == "failed" and count else ""}">{count:,}</b>'
        f"<span>{text(_COUNTED.get(name, name.replace('_', ' ')))}</span></div>"
        for name, count in shown
    )
    return f'<div class="figures">{boxes}</div>'


def about(record: RunRecord, run: RunDetails) -> str:
    """When, where and with what it ran."""
    summary = run.summary
    ended = summary.ended_us
    took = None if ended is None else ended - summary.started_us
    pairs = {
        "Started": moment(summary.started_us),
        "Ended": moment(ended),
        "Took": span(took),
        "frame": f"{text(run.frame_version)} on Python {text(run.python_version)}",
        "Host": f"{text(run.host)}, process {run.pid}",
        "Seed": str(run.seed),
        "Commits": f"{run.chunks:,} with events",
    }
    if record.origin_run_id is not None:
        pairs["Carries on"] = f"{code(record.origin_run_id)} ({text(record.origin_kind)})"
    return section("The run", facts(pairs))


def graph(record: RunRecord) -> str:
    """The graph as it was recorded, with what came to each node."""
    counted = contents.node_contents(record.connection, record.run)
    edges = queries.edges_of(record.connection, record.run)
    legend = '<p class="soft">Dashed in red: the ways of rows that failed. Numbers: how many tokens came.</p>'
    return section(
        "The pipeline", f'<div class="graphbox">{draw(record.nodes, edges, counted)}</div>', legend
    )


def nodes(record: RunRecord) -> str:
    """Which code stood at each node, and how far its results can be had again."""
    counted = contents.node_contents(record.connection, record.run)
    rows = []
    for node in record.nodes:
        found = counted.get(node.node, contents.NodeContents())
        plugin = f"{node.package}.{node.plugin}" if node.plugin else "built in"
        version = f"<br>{text(node.distribution)} {text(node.version)}" if node.distribution else ""
        rows.append(
            (
                f"<b>{text(node.name)}</b>",
                text(node.kind),
                f"{text(plugin)}{version}",
                text("writes") if node.kind == "sink" else _determinism(node.determinism),
                text(found.came),
                text(found.went),
                f'<span class="bad">{found.failed:,}</span>' if found.failed else "0",
                code(node.record_sha256),
            )
        )
    head = ("Node", "Kind", "Plugin", "Repeatable", "In", "Out", "Failed", "Hash of its files")
    return section("Nodes and the code that stood there", table(head, rows, numbers=(4, 5, 6)))


def _determinism(said: str | None) -> str:
    if said is None:
        return "yes"
    again = Determinism(said) in RECOMPUTABLE
    return f"{'yes' if again else 'from the record'}<br>{text(said.replace('_', ' '))}"


def artifacts(record: RunRecord) -> str:
    """What was written, with hashes that can be held against the files."""
    made = queries.artifacts_of(record.connection, record.run)
    rows = [
        (
            text(record.name(each.node)),
            code(each.uri),
            text(each.rows),
            text(each.size_bytes),
            code(None if each.sha256 is None else each.sha256.hex()),
        )
        for each in made
    ]
    if not rows:
        return section("Artifacts", '<p class="soft">No sink has published anything.</p>')
    how = '<p class="soft">Hold a file against its hash with <code>sha256sum FILE</code>.</p>'
    head = ("Sink", "Where", "Rows", "Bytes", "SHA-256")
    return section("Artifacts", table(head, rows, numbers=(2, 3)), how)


def failures(record: RunRecord) -> str:
    """What went wrong, by node and type."""
    troubles = contents.troubles_of(record.connection, record.run)
    rows = [
        (text(record.name(each.node)), text(each.error), text(each.message), text(each.tokens))
        for each in troubles[:MOST_TROUBLES]
    ]
    if not rows:
        return section("Failures", '<p class="good">Nothing failed.</p>')
    head = ("Node", "Error", "What the first of them was told", "Tokens")
    return section("Failures", table(head, rows, numbers=(3,)), _more(len(troubles) - len(rows)))


def dead_letters(record: RunRecord) -> str:
    """Tokens that failed and that nothing caught."""
    letters = contents.dead_letters_of(record.connection, record.run, MOST_DEAD_LETTERS)
    if not letters.total:
        return section(
            "Dead letters", '<p class="good">None: whatever failed was handled as the pipeline says.</p>'
        )
    rows = [
        (text(each.token), text(record.name(each.node)), text(each.error), text(each.message))
        for each in letters.first
    ]
    head = ("Token", "Node", "Error", "Message")
    said = f"<p>{letters.total:,} tokens failed, and nothing caught them.</p>"
    return section(
        "Dead letters", said, table(head, rows, numbers=(0,)), _more(letters.total - len(letters.first))
    )


def sample(record: RunRecord) -> str:
    """A few rows with everything that happened to them."""
    told: Sequence[str] = stories(record)
    if not told:
        return section("Rows", '<p class="soft">The source gave no rows.</p>')
    said = (
        "<p>The first rows, and the first of those that failed. Each opens to its data and to everything "
        "that happened to it.</p>"
    )
    return section("A sample of the rows", said, *told)


def events(record: RunRecord) -> str:
    """What happened to the run as a whole."""
    found = queries.run_events(record.connection, record.run)
    rows = [
        (
            moment(each.at_us),
            text(each.kind),
            text(None if each.status is None else each.status.value),
            text(record.name(each.node)),
            code(_compact(each.detail)),
        )
        for each in found[:MOST_EVENTS]
    ]
    head = ("When", "What", "Status", "Node", "Detail")
    return section("What happened to the run", table(head, rows), _more(len(found) - len(rows)))


def config(run: RunDetails) -> str:
    """The pipeline file and settings, as the record has them: secrets are fingerprints or references there."""
    said = _indented(run.config.get("pipeline", run.config) if isinstance(run.config, dict) else run.config)
    hashes = {
        "SHA-256 of the configuration": code(run.config_sha256.hex()),
        "SHA-256 of the graph": code(run.graph_sha256.hex()),
    }
    return section(
        "Configuration",
        facts(hashes),
        "<details><summary>The pipeline as it was run</summary>",
        f"<pre>{text(said)}</pre></details>",
        "<details><summary>Settings</summary>",
        f"<pre>{text(_indented(run.settings))}</pre></details>",
    )


def proof(record: RunRecord, chain: Chain, key: PrivateKey | None) -> str:
    """Where the chain stands, and how all of this can be checked."""
    b = schema.blocks.c
    leaves = record.connection.scalar(select(func.sum(b.leaves)).where(b.run == record.run)) or 0
    pairs = {
        "Blocks": f"{chain.blocks:,}, over {leaves:,} stored rows",
        "Head": code(None if chain.head is None else chain.head.hex()),
        "Tree root": code(chain.tree_root.hex()),
        "This page": "is not signed" if key is None else f"is signed by {code(str(key.public))}",
    }
    note = newest_checkpoint(record)
    parts = [facts(pairs)]
    if note is not None:
        parts.append(f"<h3>Newest signed checkpoint</h3><pre>{text(note)}</pre>")
    return section("Where the chain stands", *parts, _how_to_verify(record.run_id, key is not None))


def _how_to_verify(run_id: str, signed: bool) -> str:
    option = " --key KEY.pub" if signed else ""
    return (
        "<h3>How to check this</h3>"
        "<p>Every commit of the run is a block whose hash covers all that it wrote and the block before. So the head "
        "stands for the whole record: whoever keeps it, or a receipt with it, sees any later change.</p><ol>"
        "<li>This page is as it was written if its SHA-256 is the one in the manifest beside it: "
        f"<code>frame verify --export THIS-PAGE.html{option}</code>. A page cannot prove the record by itself.</li>"
        "<li>For the record, ask for the export as JSON Lines "
        f"(<code>frame export {text(run_id)} --format jsonl</code>): its head must be the one above, and "
        "<code>frame verify --export FILE</code>, or the program that comes with it, works out every hash again."
        "</li><li>Where the store is at hand, <code>frame verify RUN</code> looks at all of it, and at the "
        "files that were written.</li></ol>"
        '<p class="soft">What was cut off the end of a record before anybody kept a receipt can be seen by nobody.</p>'
    )


def _more(count: int) -> str:
    return f'<p class="soft">And {count:,} more.</p>' if count > 0 else ""


def _indented(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def _compact(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()
