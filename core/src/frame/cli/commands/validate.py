"""`frame validate`."""

from pathlib import Path

import click

from frame.cli.options import JSON, LOCKED, PIPELINE, FrameCommand


@click.command("validate", cls=FrameCommand)
@PIPELINE
@LOCKED
@JSON
def command(pipeline: Path, locked: bool, as_json: bool) -> None:
    """Check PIPELINE and list every problem, each with its place and what would help.

    Nothing is touched, and of what the file names only secrets and signing keys are read: whether inputs are there
    and outputs may be written, `frame run` looks before it begins. The exit code is 3 if the file is not valid, 4 if
    all it needs is a plugin that is missing or broken.
    """
    from frame.cli.output import plugins_apart, print_data, print_json, say, visible
    from frame.operations import validate

    with plugins_apart():
        validation = validate(pipeline, locked=locked)
    for warning in validation.warnings:
        say(f"warning: {warning}", colour="yellow")
    if as_json:
        print_json(validation.as_json())
    else:
        kinds = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in validation.nodes.items())
        print_data(f"{visible(str(pipeline))} is valid: {kinds}")
