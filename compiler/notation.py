"""Views of an estimand: text, LaTeX and SymPy, with bound variables renamed apart by primes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalc.compiler.estimand import (
    Follow,
    Node,
    Prob,
    Product,
    Ratio,
    Sum,
    children_of,
    postorder,
)
from causalc.compiler.graph import bits

if TYPE_CHECKING:
    import sympy


LONGEST = 400  # nodes of the written tree, beyond which what is shared gets a name
DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Style:
    """How one notation writes each kind of node."""

    probability: Callable[[list[str], list[str]], str]
    policy: Callable[[list[str], list[str]], str]
    total: Callable[[list[str], str], str]
    ratio: Callable[[str, str], str]
    call: Callable[[int, list[str]], str]
    times: str
    where: str


TEXT = Style(
    lambda y, x: f"P({', '.join(y)}{' | ' + ', '.join(x) if x else ''})",
    lambda x, z: f"policy({', '.join(x)}{' | ' + ', '.join(z) if z else ''})",
    lambda bound, body: f"sum_{{{', '.join(bound)}}} {body}",
    lambda top, bottom: f"[{top}] / [{bottom}]",
    lambda number, names: f"q{number}({', '.join(names)})",
    " ",
    ", where ",
)
LATEX = Style(
    lambda y, x: f"P({','.join(y)}{'|' + ','.join(x) if x else ''})",
    lambda x, z: f"\\pi({','.join(x)}{'|' + ','.join(z) if z else ''})",
    lambda bound, body: f"\\sum_{{{','.join(bound)}}}{body}",
    lambda top, bottom: f"\\frac{{{top}}}{{{bottom}}}",
    lambda number, names: f"q_{{{number}}}({','.join(names)})",
    "",
    r",\ \text{where } ",
)


def write(node: Node, names: Sequence[str], style: Style) -> str:
    """Write an expression; ``names`` are the written names of the variables.

    A bound variable whose name is in scope already gets primes. Where the tree would be long, what is
    shared is written once, as q1, q2, ... of its free variables, each defined before it is used.
    """
    named = _named(node)
    parts = []
    for part, number in named.items():
        scope = Scope.outside(names, part.free)
        head = style.call(number, scope.written(part.free))
        parts.append(f"{head} = {_Writer(style, named, part).write(part, scope)}")
    text = _Writer(style, named, None).write(node, Scope.outside(names, node.free))
    return text + (style.where + "; ".join(parts) if parts else "")


def _named(root: Node) -> dict[Node, int]:
    """The subexpressions to give names to, in an order in which each comes after those it uses."""
    order = postorder(root)
    uses = Counter(child for node in order for child in children_of(node))
    size: dict[Node, int] = {}
    depth: dict[Node, int] = {}
    for node in order:
        below = children_of(node)
        size[node] = min(1 + sum(size[child] for child in below), 10**9)
        depth[node] = 1 + max((depth[child] for child in below), default=0)
    if size[root] <= LONGEST and depth[root] <= DEEPEST:
        return {}
    named: dict[Node, int] = {}
    for node in order:
        level = 1 + max((depth[child] for child in children_of(node)), default=0)
        shared = uses[node] > 1 and isinstance(node, Sum | Ratio)
        if node is not root and (shared or level > DEEPEST):
            named[node] = len(named) + 1
            level = 0
        depth[node] = level
    return named


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one expression, the named ones inside it by name; ``top`` is the one being defined."""

    style: Style
    named: Mapping[Node, int]
    top: Node | None

    def write(self, node: Node, names: Scope) -> str:
        style = self.style
        if node in self.named and node is not self.top:
            return style.call(self.named[node], names.written(node.free))
        if isinstance(node, Prob):
            return style.probability(names.written(node.children), names.written(node.given))
        if isinstance(node, Follow):
            return style.policy(names.written(node.children), names.written(node.given))
        if isinstance(node, Product):
            return self._times(node.factors, names)
        if isinstance(node, Sum):
            inner, bound = names.bind(node.bound)
            return style.total(bound, self.write(node.body, inner))
        assert isinstance(node, Ratio)
        front, top = self._front(node.numerator)
        ratio = style.ratio(self._times(top, names), self.write(node.denominator, names))
        return style.times.join([*(self.write(f, names) for f in front), ratio])

    def _front(self, numerator: Node) -> tuple[list[Node], list[Node]]:
        """What to write before a ratio and what on top of it: sums over the line, plain factors before."""
        split = isinstance(numerator, Product) and numerator not in self.named
        factors = list(children_of(numerator)) if split else [numerator]
        plain = [f for f in factors if not isinstance(f, Sum)]
        if len(plain) == len(factors):
            return [], plain
        return plain, [f for f in factors if isinstance(f, Sum)]

    def _times(self, factors: Sequence[Node], names: Scope) -> str:
        """A product; sums go last, so that what they bind is plain without brackets."""
        ordered = sorted(factors, key=lambda f: isinstance(f, Sum) and f not in self.named)
        last = len(ordered) - 1
        parts = (self._bracket(f, names, i < last) for i, f in enumerate(ordered))
        return self.style.times.join(parts) or "1"

    def _bracket(self, node: Node, names: Scope, followed: bool) -> str:
        text = self.write(node, names)
        open_ended = followed and isinstance(node, Sum) and node not in self.named
        return f"({text})" if open_ended else text


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
    """A variable as LaTeX: ``W1`` is ``w_1``, longer names are upright."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    if len(stem) == 1 and stem.isascii() and stem.isalpha():
        index = digits if len(digits) < 2 else f"{{{digits}}}"
        return (stem.lower() if lower else stem) + (f"_{index}" if digits else "")
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
    if isinstance(node, Follow):
        arguments = names.written(node.children | node.given)
        head = sympy.Function(f"policy_{'_'.join(names.written(node.children))}")
        return head(*(symbol(s) for s in arguments))
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
