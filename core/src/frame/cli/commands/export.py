"""`frame export`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand
from frame.operations.export import FORMATS


@click.command("export", cls=FrameCommand)
@click.argument("run")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="jsonl",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Where: a file, or a folder for csv and parquet.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign it with the private key in this file (`frame keys generate` makes one).",
)
@click.option(
    "--with-verifier",
    is_flag=True,
    help="Put the program beside it that verifies exports with nothing but Python.",
)
@click.option("--overwrite", is_flag=True, help="Replace an export that is at PATH.")
@AUDIT
@BESIDE
@JSON
def command(  # noqa: PLR0913, PLR0917 - one for each option
    run: str,
    format_: str,
    out: Path,
    sign: Path | None,
    with_verifier: bool,
    overwrite: bool,
    audit: str | None,
    beside: Path | None,
    as_json: bool,
) -> None:
    """Write all that is on record about RUN to files that can be read and verified without the store.

    RUN is a run id, the beginning of one, or latest.

    \b
    jsonl        everything in one file: what is to be read, and the stored facts that prove it
    csv          a folder: a file for each kind of record, and the chain
    parquet      the same as Parquet (needs pyarrow)
    html         one page for people: the run, its graph, failures, a sample of its rows
    openlineage  OpenLineage run events, one a line
    prov         a W3C PROV document in PROV-JSON

    The same run gives the same bytes, and an export appears whole or not at all. `frame verify --export PATH` checks
    it anywhere.
    """
    from frame.cli.output import print_json, say
    from frame.cli.rendering.export import told
    from frame.cli.signals import sigterm_unwinds
    from frame.operations import export

    with sigterm_unwinds():
        done = export(
            run,
            format=format_,  # type: ignore[arg-type]  # click has checked it
            out=out,
            sign=sign,
            with_verifier=with_verifier,
            overwrite=overwrite,
            audit=audit,
            pipeline=beside,
        )
    if as_json:
        print_json(done.as_json())
    else:
        say(*told(done))
