"""``causalc completion SHELL``: the lines that make a shell complete commands, options and files."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what makes SHELL complete causalc: eval "$(causalc completion bash)"."""
    from click.shell_completion import get_completion_class

    from causalc.cli import cli

    made = get_completion_class(shell)
    assert made is not None
    found = made(cli, {}, "causalc", "_CAUSALC_COMPLETE")
    click.echo(found.source_template % found.source_vars())
    return 0
