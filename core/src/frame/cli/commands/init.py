"""`frame init`."""

from pathlib import Path

import click

from frame.cli.options import JSON, FrameCommand


@click.command("init", cls=FrameCommand)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@JSON
def command(folder: Path, as_json: bool) -> None:
    """Write a small pipeline that runs, with its data, into FOLDER (this one by default).

    Overwrites nothing: if one of its files is there already, nothing is written and the exit code is 8.
    """
    from frame.cli.output import print_data, print_json, visible
    from frame.operations import init

    started = init(folder)
    if as_json:
        print_json(started.as_json())
        return
    place = "" if folder == Path() else f"cd {visible(str(folder))}\n  "
    print_data(f"Wrote {', '.join(started.written)}. Now:")
    if started.missing:
        print_data(f"  pip install {' '.join(started.missing)}    # the plugins that it uses")
    print_data(f"  {place}frame run pipeline.yaml")
