"""`frame completion`."""

import click

from frame.cli.options import FrameCommand


@click.command("completion", cls=FrameCommand)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    bash:  eval "$(frame completion bash)"      in ~/.bashrc
    zsh:   eval "$(frame completion zsh)"       in ~/.zshrc
    fish:  frame completion fish | source       in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from frame.cli.output import print_data

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click cannot complete for {shell}")
    print_data(found(context.find_root().command, {}, "frame", "_FRAME_COMPLETE").source())
