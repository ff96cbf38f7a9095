"""`frame audit`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand


@click.group("audit")
def command() -> None:
    """Look after the audit store."""


@command.command(cls=FrameCommand)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The file to make, or the folder to make it in. [default: a file beside the store]",
)
@AUDIT
@BESIDE
@JSON
def backup(to: Path | None, audit: str | None, beside: Path | None, as_json: bool) -> None:
    """Copy the audit store while runs go on.

    The copy is the store as it was at one moment. It is checked, and opened as a store, before it appears. To use it,
    name it: --audit sqlite:///COPY.
    """
    from frame.cli.output import print_data, print_json, visible
    from frame.cli.rendering.summary import size_text
    from frame.operations import backup as make_backup

    made = make_backup(to, audit=audit, pipeline=beside)
    if as_json:
        print_json(made.as_json())
        return
    copied = made.copy
    runs = f"{copied.runs:,} run{'s' * (copied.runs != 1)}"
    print_data(f"{visible(str(copied.path))}: {runs}, {size_text(copied.size_bytes)}")
    print_data(f"sha256 {copied.sha256.hex()}")
