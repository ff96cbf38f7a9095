"""`frame audit`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand, without_password


@click.group("audit")
def command() -> None:
    """Look after the audit store."""


@command.command(cls=FrameCommand)
@click.argument("url", callback=without_password)
@click.option(
    "--writer", "writers", multiple=True, metavar="ROLE", help="Let ROLE run pipelines. May be repeated."
)
@click.option(
    "--reader", "readers", multiple=True, metavar="ROLE", help="Let ROLE ask questions. May be repeated."
)
@JSON
def init(url: str, writers: tuple[str, ...], readers: tuple[str, ...], as_json: bool) -> None:
    """Make the audit store at URL, or bring it up to date.

    In PostgreSQL the role in URL becomes its owner, and ROLEs, which have to exist, are granted what they need and no
    more. May be said again at any time: nothing that is on record changes.
    """
    from frame.cli.output import complain, print_data, print_json, visible
    from frame.operations import init_store

    ready = init_store(url, writers, readers)
    if as_json:
        print_json(ready.as_json())
    else:
        print_data(visible(ready.said))
    for warning in ready.warnings:
        complain(f"{visible(warning)}")


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
