"""The command line. Exit codes: 0 done, 1 bad input, 2 not identifiable, 3 a run failed and can be resumed.

70 is a bug of ours, the only case of a traceback.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from causalc import __version__, commands, commands_graph, commands_run, completion, starter, watch
from causalc.errors import CausalcError
from causalc.runtime.interrupt import stopped, terminable

BUG = 70


SUMMARIES = {  # one line of 80 columns each, in the order in which one comes to need them
    "init": "Write a first script and its data.",
    "check": "Is every question answerable? Names, kinds and values too.",
    "show": "The formula, in words, drawn, or step by step.",
    "graph": "A graph in another format, or drawn.",
    "plan": "What would be trained on which rows, and at what cost.",
    "run": "Train, draw, estimate, check: all that a script says.",
    "report": "The same, as one HTML file.",
    "compile": "Write the program as Python.",
    "train": "Train the models; finished ones come from the store.",
    "sample": "Draw rows from one query.",
    "verify": "Hold compiled queries against enumerated models.",
    "watch": "Check a script again whenever it changes.",
    "fmt": "Put a script into its canonical layout.",
    "explain": "What the code of a message means.",
    "cache": "What is in the store of trained models.",
    "doctor": "Versions and devices.",
    "lsp": "Serve editors (Language Server Protocol).",
    "completion": "What makes a shell complete commands.",
}


class Commands(click.Group):
    """The commands in the order of ``SUMMARIES``; one that is misspelt is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(self.commands, key=[*SUMMARIES].index)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant. Raises ``CausalcError`` for one that does not exist."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from causalc.grammar.diagnostic import suggest

            where = f"the commands are {', '.join(SUMMARIES)}"
            if args[0].endswith(".causal"):
                where = f"to run a script write  causalc run {args[0]}"
            raise CausalcError(
                f"there is no command `{args[0]}`; {suggest(args[0], SUMMARIES, where)}"
            )
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Compile causal queries into programs that sample from their answers."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; user errors are one message, our own bugs a traceback and exit 70."""
    try:
        with terminable():
            code = cli.main(arguments, prog_name="causalc", standalone_mode=False)
    except CausalcError as error:
        click.echo(_safe(str(error) if ": error:" in str(error) else f"error: {error}"), err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 1
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"error: {stopped()}", err=True)
        code = 3
    except OSError as error:
        reason = f"error: {error.filename or 'a file'}: {error.strerror or error}"
        click.echo(_safe(reason), err=True)
        code = 1
    except Exception:
        traceback.print_exc()
        click.echo(
            f"internal error of causalc {__version__}: this is not your fault; "
            "please report the text above with your script",
            err=True,
        )
        code = BUG
    sys.exit(code or 0)


def _safe(message: str) -> str:
    """A message in which nothing quoted from a file or a path can drive the terminal."""
    from causalc.grammar.diagnostic import printable

    return "\n".join(map(printable, message.split("\n")))


for command in (
    starter.init,
    commands.check,
    commands.show,
    commands.compile,
    commands.plan,
    commands.verify,
    commands.fmt,
    commands_graph.graph,
    commands.explain,
    commands.lsp,
    watch.watch,
    completion.completion,
    commands_run.train,
    commands_run.sample,
    commands_run.run,
    commands_run.report,
    commands_run.cache,
    commands_run.doctor,
):
    command.short_help = SUMMARIES[str(command.name)]
    cli.add_command(command)
