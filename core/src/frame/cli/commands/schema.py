"""`frame schema`."""

import click

from frame.cli.options import FrameCommand


@click.command("schema", cls=FrameCommand)
def command() -> None:
    """Print the JSON Schema of the pipeline file, for editors.

    As in: frame schema > pipeline.schema.json
    """
    import json

    from frame.cli.output import print_data
    from frame.operations import schema

    print_data(json.dumps(schema(), indent=2))
