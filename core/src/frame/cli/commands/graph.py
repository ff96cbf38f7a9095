"""`frame graph`."""

from pathlib import Path

import click

from frame.cli.options import PIPELINE, FrameCommand


@click.command("graph", cls=FrameCommand)
@PIPELINE
@click.option("--svg", is_flag=True, help="Draw an SVG picture, with Graphviz or mermaid-cli.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, not to stdout.",
)
def command(pipeline: Path, svg: bool, output: Path | None) -> None:
    """Draw PIPELINE as Mermaid text, which most editors and forges show as a picture."""
    from frame.cli.output import plugins_apart, print_data, say
    from frame.operations import graph_of

    with plugins_apart():
        picture = graph_of(pipeline, svg=svg)
    if output is None:
        print_data(picture.text)
        return
    try:
        output.write_text(picture.text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}") from error
    say(f"{output} is written")
