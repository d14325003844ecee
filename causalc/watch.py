"""``causalc watch``: check a script again whenever it changes."""

from __future__ import annotations

import time
from pathlib import Path

import click

from causalc.commands import check
from causalc.compiler.formats import SUFFIXES
from causalc.each_graph import PATH
from causalc.errors import CausalcError


@click.command()
@PATH
@click.option("--every", default=0.3, show_default=True, help="Seconds between looks at the file.")
@click.option("--times", type=click.IntRange(min=1), help="Stop after so many checks.")
def watch(script: Path, every: float, times: int | None) -> int:
    """Check a script, and again whenever it or a graph file beside it is saved; Ctrl-C ends it."""
    done, seen, code = 0, None, 0
    while times is None or done < times:
        now = _stamp(script)
        if now == seen:
            time.sleep(every)
            continue
        seen, done = now, done + 1
        click.echo(f"--- {time.strftime('%H:%M:%S')} {script}")
        code = _checked(script)
    return code


def _checked(script: Path) -> int:
    try:
        assert check.callback is not None
        code: int = check.callback(script=script, under=None, as_json=False)
    except CausalcError as error:
        click.echo(str(error))
        return error.exit_code
    return code


def _stamp(script: Path) -> tuple[tuple[str, int, int], ...]:
    """The files that a check may read, with their times and sizes."""
    suffixes = (*SUFFIXES, ".causal")
    beside = (
        [p for p in script.parent.iterdir() if p.suffix in suffixes]
        if script.parent.is_dir()
        else []
    )
    found = []
    for path in sorted({script, *beside}):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
