"""``%load_ext causalc``: the cell magic ``%%causal`` for IPython and Jupyter. IPython itself is not imported."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.script import Job

USAGE = """\
%%causal [NAME]
  The cell is a .causal script; files it names lie beside the notebook. It is checked and shown. With NAME the compiled
  Program is bound to that variable: NAME.fit(frame).sample(1000, X=1)."""


class Shown:
    """A checked script, as a notebook shows it: verdicts as text, graphs and formulas as HTML."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __str__(self) -> str:
        said = [f"{e.question.text} = {e.text}" for e in self.job.estimands.values()]
        said += [f"{name}: not identifiable" for name in self.job.refused]
        return "\n".join(said)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from causalc.advice import advice
        from causalc.compiler.page import page

        refused = {n: r for n, r in self.job.refused.items() if n in self.queries()}
        diagram, count = self.job.diagram(), len(self.job.refused)
        helps = {n: str(advice(r, diagram, count)) for n, r in refused.items()}
        text = page("causal", self.estimands(), refused, self.job.graph, helps)
        # a page of its own: its styles and its policy (it runs no script) stay inside
        return (
            f'<iframe title="queries" sandbox srcdoc="{escape(text)}" '
            'style="width:100%;height:34em;border:0"></iframe>'
        )

    def queries(self) -> set[str]:
        """The names of the script's queries; what only estimates ask is left out."""
        return {s.name.text for s in self.job.script.queries}

    def estimands(self) -> dict[str, Any]:
        """The estimands of the script's queries."""
        return {n: e for n, e in self.job.estimands.items() if n in self.queries()}


def causal(ipython: Any, line: str, cell: str) -> Shown | None:
    """Check the script in a cell and bind its program; a mistake is printed with its place, and nothing is bound."""
    from causalc.script import compile_script

    name = line.strip()
    if name and not name.isidentifier():
        print(USAGE)  # noqa: T201
        return None
    try:
        job = compile_script(Path("cell"), text=cell)
    except CausalcError as error:
        print(error)  # noqa: T201
        return None
    if name and job.program is not None:
        ipython.push({name: job.program})
    return Shown(job)


def load_ipython_extension(ipython: Any) -> None:
    """Register the magic; IPython calls this for ``%load_ext causalc``."""

    def magic(line: str, cell: str) -> Shown | None:
        return causal(ipython, line, cell)

    magic.__doc__ = USAGE
    ipython.register_magic_function(magic, "cell", "causal")
