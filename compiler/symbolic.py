"""``P(...)`` as a SymPy class: inert, so that SymPy's rewriting never changes what an estimand means."""

from __future__ import annotations

from typing import Any

import sympy


class P(sympy.Expr):
    """The observed conditional P(children | given), two tuples of symbols."""

    is_commutative = True

    def __new__(cls, children: sympy.Tuple, given: sympy.Tuple | None = None) -> P:
        made: P = sympy.Expr.__new__(cls, sympy.Tuple(*children), sympy.Tuple(*(given or ())))
        return made

    def _text(self, show: Any, bar: str, comma: str) -> str:
        children, given = (comma.join(show(s) for s in part) for part in self.args)
        return f"P({children}{bar + given if given else ''})"

    def _sympystr(self, printer: Any) -> str:
        return self._text(printer._print, " | ", ", ")

    def _latex(self, printer: Any) -> str:
        return self._text(printer._print, r" \mid ", ", ")
