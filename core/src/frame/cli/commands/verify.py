"""`frame verify`."""

from pathlib import Path

import click

from frame.cli.options import AUDIT, BESIDE, JSON, FrameCommand

_PATH = click.Path(path_type=Path, exists=True)


@click.command("verify", cls=FrameCommand)
@click.argument("run", required=False)
@click.option("--all", "all_runs", is_flag=True, help="Every run in the store.")
@click.option(
    "--anchor",
    "anchors",
    type=_PATH,
    multiple=True,
    metavar="PATH",
    help="A receipt that was kept outside the store, or a folder of them.",
)
@click.option(
    "--key",
    "keys",
    type=_PATH,
    multiple=True,
    metavar="PATH",
    help="A public key: receipts and checkpoints, the export, or the proof must be signed by it.",
)
@click.option(
    "--artifacts/--no-artifacts",
    default=True,
    show_default=True,
    help="Compare published files with the record.",
)
@click.option(
    "--export", "export", type=_PATH, metavar="PATH", help="Verify this export; no store is needed."
)
@click.option(
    "--proof", "proof", type=_PATH, metavar="FILE", help="Verify this proof of a row; no store is needed."
)
@AUDIT
@BESIDE
@JSON
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    run: str | None,
    all_runs: bool,
    anchors: tuple[Path, ...],
    keys: tuple[Path, ...],
    artifacts: bool,
    export: Path | None,
    proof: Path | None,
    audit: str | None,
    beside: Path | None,
    as_json: bool,
) -> int:
    """Check that nobody has touched the record of RUN, or the files that it published.

    RUN is a run id, the beginning of one, or latest (the default). Exits with 7 if anything is not as it was written,
    and names the first wrong record. Without --anchor it cannot be seen whether the newest records were cut off.
    """
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.verification import export_text, text
    from frame.operations import verify, verify_export
    from frame.operations.stores import store_url

    if proof is not None:
        if run or all_runs or export or len(anchors) > 1:
            raise click.UsageError("--proof goes with --key and one --anchor, and with no RUN.")
        return _verify_proof(proof, keys, next(iter(anchors), None), as_json)
    if export is not None:
        if run or all_runs or len(anchors) > 1:
            raise click.UsageError("--export goes with --key and one --anchor, and with no RUN.")
        found = verify_export(export, keys, next(iter(anchors), None))
        print_json(found.as_json()) if as_json else print_data(export_text(found))
        return ExitCode.DONE if found.ok else ExitCode.TAMPERED
    if run and all_runs:
        raise click.UsageError("Say RUN or --all, not both.")
    report = verify(
        run or "latest",
        all_runs=all_runs,
        audit=store_url(audit, beside),
        anchors=anchors,
        keys=keys,
        artifacts=artifacts,
    )
    print_json(report.as_json()) if as_json else print_data(text(report))
    return ExitCode.DONE if report.ok else ExitCode.TAMPERED


def _verify_proof(proof: Path, keys: tuple[Path, ...], receipt: Path | None, as_json: bool) -> int:
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.verification import proof_text
    from frame.operations import verify_proof

    found = verify_proof(proof, keys, receipt)
    print_json(found.as_json()) if as_json else print_data(proof_text(found))
    return ExitCode.DONE if found.ok else ExitCode.TAMPERED
