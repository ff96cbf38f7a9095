"""`frame keys`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand

if TYPE_CHECKING:
    from frame.operations.keys import ShownKey

FILE = click.Path(path_type=Path)


@click.group("keys")
def command() -> None:
    """Make and look after the keys that sign the record."""


@command.command(cls=FrameCommand)
@click.option(
    "--out", type=FILE, default="frame.key", show_default=True, metavar="PATH", help="The private key."
)
@click.option("--name", default="frame", show_default=True, help="What signatures call the key.")
@JSON
def generate(out: Path, name: str, as_json: bool) -> None:
    """Make a key: the private one in PATH, which only you can read, the public one in PATH.pub.

    Give the public key to whoever is to check your record. Name the private one in the pipeline (audit: {sign: PATH})
    or in FRAME_SIGNING_KEY.
    """
    from frame.operations import generate_key

    _tell(generate_key(out, name), as_json)


@command.command(cls=FrameCommand)
@click.argument("path", type=FILE)
@JSON
def show(path: Path, as_json: bool) -> None:
    """Show the public key in PATH, or the one that belongs to the private key in PATH."""
    from frame.operations import show_key

    _tell(show_key(path), as_json)


@command.command(cls=FrameCommand)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--name", metavar="NAME", help="What a new key is called. [default: as the old one]")
@JSON
def rotate(old: Path, new: Path, name: str | None, as_json: bool) -> None:
    """Let the key in NEW, made if it is not there, follow the private key in OLD.

    NEW.rotation says so with the signatures of both: who trusts OLD can check what NEW signs with it.
    """
    from frame.operations import rotate_key

    _tell(rotate_key(old, new, name), as_json)


@command.command(cls=FrameCommand)
@click.argument("path", type=FILE)
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the record.")
@AUDIT
@BESIDE
@JSON
def revoke(path: Path, reason: str, audit: str | None, beside: Path | None, as_json: bool) -> None:
    """Put on record that the key in PATH, public or private, signs nothing that counts from now on.

    What it signed before stays good: the log of the store tells the order.
    """
    from frame.cli.output import print_data, print_json
    from frame.operations import revoke_key

    revoked = revoke_key(path, reason, audit, beside)
    if as_json:
        print_json(revoked.as_json())
    else:
        print_data(
            f"key {revoked.key.name} ({revoked.key.key_id.hex()}) is revoked in {revoked.store}, "
            f"record {revoked.record} of its log"
        )


def _tell(shown: "ShownKey", as_json: bool) -> None:
    from frame.cli.output import columns, print_data, print_json

    said = shown.as_json()
    if as_json:
        print_json(said)
        return
    rows = [("name", said["name"]), ("key id", said["key_id"]), ("public key", said["public_key"])]
    rows += [(f"{name} file", path) for name, path in said["files"].items()]
    print_data("\n".join(columns(rows, indent="")))
