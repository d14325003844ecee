"""Plan to program text. Deterministic: nothing here depends on the order of a set."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from causalc.compiler.view import View

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("causalc.compiler"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # the output is Python: every name was quoted in the view
    )
    return environment.get_template("program.py.j2")


def emit(view: View) -> str:
    """The text of the program."""
    return _template().render(view=view)
