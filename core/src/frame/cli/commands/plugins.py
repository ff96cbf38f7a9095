"""`frame plugins`."""

from pathlib import Path

import click

from frame.cli.options import JSON, PIPELINE, FrameCommand

KIND = click.option(
    "--kind",
    type=click.Choice(["source", "transform", "gate", "aggregation", "sink"]),
    help="Only plugins of this kind.",
)


@click.group("plugins")
def command() -> None:
    """Show which plugins are installed, what they take, and what is wrong with them."""


@command.command("list", cls=FrameCommand)
@KIND
@JSON
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List the plugins that a pipeline may name. Imports none of them."""
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.plugins import catalog, catalog_as_json
    from frame.operations import plugins
    from frame.operations.plugin_catalog import Kind

    listed = plugins(None if kind is None else Kind(kind))
    if as_json:
        print_json(catalog_as_json(listed))
    else:
        print_data(catalog(listed))


@command.command(cls=FrameCommand)
@click.argument("name")
@KIND
@JSON
def info(name: str, kind: str | None, as_json: bool) -> None:
    """Tell what the plugin NAME does and which options it takes.

    NAME is short, as in csv, or says the package, too, as in files.csv.
    """
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.plugins import description
    from frame.operations import plugin_info
    from frame.operations.plugin_catalog import Kind

    found = plugin_info(name, None if kind is None else Kind(kind))
    if as_json:
        print_json({"schema_version": 1, "plugins": [each.as_json() for each in found]})
    else:
        print_data("\n\n".join(description(each) for each in found))


@command.command(cls=FrameCommand)
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@JSON
def doctor(verbose: bool, as_json: bool) -> int:
    """Import every plugin of every package and say what cannot be used, why, and what would help.

    The exit code is 4 if a package cannot be used that is not disabled.
    """
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import print_data, print_json
    from frame.cli.rendering.plugins import diagnosis
    from frame.operations import doctor as examine

    reports = examine()
    if as_json:
        print_json({"schema_version": 1, "packages": [each.as_json() for each in reports]})
    else:
        print_data(diagnosis(reports, verbose))
    usable = all(each.state in {"ok", "disabled"} for each in reports)
    return ExitCode.DONE if usable else ExitCode.PLUGIN


@command.command(cls=FrameCommand)
@click.argument("name")
@KIND
def schema(name: str, kind: str | None) -> None:
    """Print the options of the plugin NAME as JSON Schema."""
    from frame.cli.output import print_json
    from frame.errors import UsageError
    from frame.operations import plugin_info
    from frame.operations.plugin_catalog import Kind

    found = plugin_info(name, None if kind is None else Kind(kind))
    if len(found) > 1:
        kinds = " or ".join(f"--kind {each.kind}" for each in found)
        raise UsageError(f"{name} is the name of several plugins: say which with {kinds}")
    print_json(found[0].config_schema)


@command.command(cls=FrameCommand)
@click.argument("package")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 if the manifest is not what the code says."
)
def manifest(package: str, check: bool) -> int:
    """Write the manifest of PACKAGE, which says without an import what the package offers.

    PACKAGE is the short name of a package that is installed from its sources (pip install -e).
    """
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import print_data, visible
    from frame.operations import make_manifest

    made = make_manifest(package, write=not check)
    said = "is up to date" if made.is_current else "is not what the code says" if check else "written"
    print_data(f"{visible(str(made.path))}: {said} ({made.plugins} plugins)")
    return ExitCode.FAILED if check and not made.is_current else ExitCode.DONE


@command.command(cls=FrameCommand)
@PIPELINE
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the lock is not what is installed.")
def lock(pipeline: Path, check: bool) -> int:
    """Write plugins.lock beside PIPELINE: the plugin packages that it uses, as they are installed now.

    A run of a pipeline that has a lock uses these packages, unchanged, and imports no other.
    """
    from frame.cli.exit_codes import ExitCode
    from frame.cli.output import columns, print_data, visible
    from frame.operations import lock_plugins

    written = lock_plugins(pipeline, write=not check)
    said = "is up to date" if written.is_current else "is not what is installed" if check else "written"
    packages = [(each.distribution, f"{each.version}  {each.record_sha256}") for each in written.packages]
    print_data("\n".join([f"{visible(str(written.path))}: {said}", *columns(packages)]))
    return ExitCode.FAILED if check and not written.is_current else ExitCode.DONE
