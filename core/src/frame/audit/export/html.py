"""An export as one page for people: what an auditor reads first, with nothing loaded from anywhere else."""

from importlib.resources import files
from typing import BinaryIO

from frame.audit.export import html_sections as part
from frame.audit.export.chain_lines import Chain
from frame.audit.export.html_text import text
from frame.audit.export.source import RunRecord
from frame.audit.queries import counters_of
from frame.audit.signing import PrivateKey


def write(record: RunRecord, file: BinaryIO, key: PrivateKey | None = None) -> None:
    """Write the page. Data and errors are shown for a sample; everything is counted."""
    chain = Chain(record)
    for _ in chain.follow():
        pass
    run = record.details()
    counters = counters_of(record.connection, record.run)
    body = (
        part.heading(run),
        part.warnings(record, run),
        part.figures(counters),
        part.about(record, run),
        part.graph(record),
        part.nodes(record),
        part.artifacts(record),
        part.failures(record),
        part.dead_letters(record),
        part.sample(record),
        part.events(record),
        part.config(run),
        part.proof(record, chain, key),
    )
    title = f"{run.summary.pipeline}: {run.summary.run_id}"
    file.writelines(piece.encode() for piece in (_head(title), *body, _FOOT))


def _head(title: str) -> str:
    style = (files("frame.audit.export") / "page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="frame"><title>{text(title)}</title>\n<style>\n{style}</style></head>'
        "\n<body><main>"
    )


_FOOT = "<footer>Written by frame from the record of the run. Times are UTC.</footer></main></body></html>\n"
