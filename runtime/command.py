"""``python program.py DATA``: the command line of a generated program."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from causalc.errors import CausalcError
from causalc.runtime.executors import EXECUTORS, execute
from causalc.runtime.interrupt import stopped, terminable
from causalc.runtime.program import Query
from causalc.runtime.written import frames, write_table


def main(doc: str | None, train: Callable[..., Any], queries: Mapping[str, Query]) -> None:
    """Train on a data file and draw from one query; user errors are one line and exit 1."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="csv, parquet or arrow file with one column a variable")
    parser.add_argument("--query", choices=list(queries), default=next(iter(queries)))
    parser.add_argument("-n", type=_count, default=1000, help="rows to draw")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", default=".causalc", help="folder of trained models")
    parser.add_argument(
        "--base", default=".", help="folder that paths of pretrained models start from"
    )
    parser.add_argument("--jobs", type=_count, help="train this many models at a time")
    parser.add_argument(
        "--executor", choices=EXECUTORS, help="where models are trained; ray: on a cluster"
    )
    parser.add_argument("--out", help="csv or parquet file; without it the first rows are printed")
    arguments = parser.parse_args()
    try:
        with terminable():
            _run(arguments, train, queries[arguments.query])
    except CausalcError as error:
        _exit(str(error), error.exit_code)
    except KeyboardInterrupt:
        _exit(stopped(), 3)
    except (MemoryError, OSError) as error:
        reason = (str(error).splitlines() or ["out of memory"])[0]
        _exit(f"{reason}; finished stages are kept, make room and the same command goes on", 3)


def _exit(line: str, code: int) -> None:
    sys.stderr.write(f"error: {line}\n")
    sys.exit(code)


def _count(text: str) -> int:
    n = int(text)
    if n < 1:
        raise argparse.ArgumentTypeError(f"{n}: at least one")
    return n


def _run(arguments: argparse.Namespace, train: Callable[..., Any], query: Query) -> None:
    values = _values(arguments.set, query)
    out = Path(arguments.out) if arguments.out else None
    if out is not None:
        writable(out)  # before anything is trained
    choice = {"jobs": arguments.jobs, "executor": arguments.executor}
    options = {"store": arguments.store, "seed": arguments.seed, "base": arguments.base}
    models = execute(train, Path(arguments.data), **choice, **options)
    from causalc.runtime.team import team

    if team().rank:
        return  # the first of several processes draws

    def draw(count: int, first: int) -> Any:
        return query.sample(models, count, seed=arguments.seed, first=first, **values)

    if out is None:
        sys.stdout.write(draw(arguments.n, 0).head(20).to_string() + "\n")
        return
    try:
        write_table(frames(draw, arguments.n), out)
    except OSError as error:
        raise CausalcError(f"{out}: cannot be written ({error.strerror or error})") from error


def writable(path: Path) -> None:
    """Raise CausalcError unless a file can be written at ``path``; nothing is written."""
    try:
        there, folder = path.is_dir(), path.parent.is_dir()
    except (OSError, ValueError) as error:
        raise CausalcError(f"--out {str(path)!r}: not a path ({error})") from None
    if there:
        raise CausalcError(f"--out {path}: this is a folder; name a file in it")
    if not folder:
        raise CausalcError(f"--out {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CausalcError(f"--out {path}: no permission to write there; name another file")


def _values(pairs: list[str], query: Query) -> dict[str, Any]:
    """The parameters set on the command line; every one without a default must be."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in query.parameters:
            known = ", ".join(query.parameters) or "none"
            raise CausalcError(f"--set {pair}: the inputs of this query are: {known}")
        found[query.parameters[name]] = _number(text)
    signature = inspect.signature(query.sample).parameters
    for name, parameter in query.parameters.items():
        if parameter not in found and signature[parameter].default is inspect.Parameter.empty:
            raise CausalcError(f"give a value for `{name}`: --set {name}=VALUE")
    return found


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
