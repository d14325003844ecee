"""Views of an estimand: text, LaTeX and SymPy, with bound variables renamed apart by primes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalc.compiler.estimand import Node, Prob, Product, Ratio, Sum
from causalc.compiler.graph import bits

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, slots=True)
class Style:
    """How one notation writes each kind of node."""

    probability: Callable[[list[str], list[str]], str]
    total: Callable[[list[str], str], str]
    ratio: Callable[[str, str], str]
    times: str


TEXT = Style(
    lambda y, x: f"P({', '.join(y)}{' | ' + ', '.join(x) if x else ''})",
    lambda bound, body: f"sum_{{{', '.join(bound)}}} {body}",
    lambda top, bottom: f"[{top}] / [{bottom}]",
    " ",
)
LATEX = Style(
    lambda y, x: f"P({','.join(y)}{'|' + ','.join(x) if x else ''})",
    lambda bound, body: f"\\sum_{{{','.join(bound)}}}{body}",
    lambda top, bottom: f"\\frac{{{top}}}{{{bottom}}}",
    "",
)


def write(node: Node, names: Scope, style: Style) -> str:
    """Write ``node``; a bound variable whose name is already in scope gets a prime."""
    if isinstance(node, Prob):
        return style.probability(names.written(node.children), names.written(node.given))
    if isinstance(node, Product):
        return _all(node.factors, names, style)
    if isinstance(node, Sum):
        inner, bound = names.bind(node.bound)
        return style.total(bound, write(node.body, inner, style))
    assert isinstance(node, Ratio)
    front, top = _front(node.numerator)
    ratio = style.ratio(_all(top, names, style), write(node.denominator, names, style))
    return style.times.join([*(write(f, names, style) for f in front), ratio])


def _front(numerator: Node) -> tuple[list[Node], list[Node]]:
    """What to write before a ratio and what on top of it: sums over the line, plain factors before."""
    factors = numerator.factors if isinstance(numerator, Product) else (numerator,)
    sums = [f for f in factors if isinstance(f, Sum)]
    return ([f for f in factors if not isinstance(f, Sum)], sums) if sums else ([], list(factors))


def _all(factors: Sequence[Node], names: Scope, style: Style) -> str:
    """A product; sums go last, so that what they bind is plain without brackets."""
    ordered = sorted(factors, key=lambda f: isinstance(f, Sum))
    last = len(ordered) - 1
    parts = (_bracket(f, names, style, i < last) for i, f in enumerate(ordered))
    return style.times.join(parts) or "1"


def _bracket(node: Node, names: Scope, style: Style, followed: bool) -> str:
    text = write(node, names, style)
    return f"({text})" if isinstance(node, Sum) and followed else text


@dataclass(frozen=True, slots=True)
class Scope:
    """The written names of variables: ``base`` as declared, ``now`` inside the enclosing sums."""

    base: tuple[str, ...]
    now: tuple[str, ...]
    used: frozenset[str]

    @classmethod
    def outside(cls, names: Sequence[str], free: int) -> Scope:
        """The scope around an estimand with these free variables."""
        return cls(tuple(names), tuple(names), frozenset(names[v] for v in bits(free)))

    def written(self, mask: int) -> list[str]:
        """The written names of a set."""
        return [self.now[v] for v in bits(mask)]

    def bind(self, mask: int) -> tuple[Scope, list[str]]:
        """The scope inside a sum over ``mask`` and the names it binds, primed until they are new."""
        now, bound = list(self.now), []
        for v in bits(mask):
            name = self.base[v]
            while name in self.used:
                name += "'"
            now[v] = name
            bound.append(name)
        return Scope(self.base, tuple(now), self.used | set(bound)), bound


def latex_name(name: str, lower: bool) -> str:
    """A variable as LaTeX: ``W1`` is ``w_{1}``, longer names are upright."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    if len(stem) == 1 and stem.isascii() and stem.isalpha():
        return (stem.lower() if lower else stem) + (f"_{{{digits}}}" if digits else "")
    special = {
        "_": r"\_",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "&": r"\&",
        "{": r"\{",
        "}": r"\}",
        "\\": r"\backslash ",
        "^": r"\hat{}",
        "~": r"\sim ",
    }
    return "\\mathrm{" + "".join(special.get(c, c) for c in name) + "}"


def to_sympy(node: Node, names: Scope) -> sympy.Expr:
    """SymPy: ``P`` nodes are inert; a sum over V runs over its levels 0 .. n_V - 1."""
    import sympy

    from causalc.compiler.symbolic import P

    def symbol(name: str) -> sympy.Symbol:
        return sympy.Symbol(name)

    if isinstance(node, Prob):
        children = [symbol(s) for s in names.written(node.children)]
        return P(
            sympy.Tuple(*children), sympy.Tuple(*(symbol(s) for s in names.written(node.given)))
        )
    if isinstance(node, Product):
        return sympy.Mul(*(to_sympy(f, names) for f in node.factors), evaluate=False)
    if isinstance(node, Sum):
        inner, bound = names.bind(node.bound)
        sizes = [symbol(f"n_{names.base[v]}") for v in bits(node.bound)]
        limits = [(symbol(b), 0, size - 1) for b, size in zip(bound, sizes, strict=True)]
        return sympy.Sum(to_sympy(node.body, inner), *limits)
    assert isinstance(node, Ratio)
    bottom = sympy.Pow(to_sympy(node.denominator, names), -1, evaluate=False)
    return sympy.Mul(to_sympy(node.numerator, names), bottom, evaluate=False)
