"""Estimands read back from their text: what ``write`` prints in plain characters, as expressions again.

    formula = product [", where" q "(" names ")" "=" product {";" q "(" names ")" "=" product}]
    product = factor {factor}
    factor  = "P(" names ["|" names] ")" | "sum_{" names "}" product | "[" product "] / [" product "]"
            | "(" product ")" | q "(" names ")" | "1"

A sum reaches to the end of its product. A bound variable has as many primes as tell it from what is in scope, and
means the variable of its name without them; names that are not words stand in backticks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from causalc.compiler.algebra import Builder
from causalc.compiler.estimand import Node
from causalc.compiler.graph import Graph
from causalc.errors import CausalcError
from causalc.grammar.printer import name_text

TOKEN = re.compile(r"\s*((?:`[^`]*`)+'*|sum_\{|, where\b|[\w.]+'*|[()\[\]{}|,/=;])")


class ReadingError(CausalcError):
    """A text that is no estimand of the graph."""


def read(text: str, graph: Graph, builder: Builder | None = None) -> Node:
    """The expression that a text says, made and simplified by ``builder``; raises ``ReadingError``.

    Formulas under policies cannot be read: the text names a policy and does not say what it does.
    """
    text, tokens, at = text.strip(), list[str](), 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ReadingError(f"no estimand: `{text[at : at + 20]}` was not expected")
        tokens.append(found[1])
        at = found.end()
    names = {name_text(name): 1 << v for v, name in enumerate(graph.order)}
    return _Reader(names, builder or Builder(), tokens).formula()


@dataclass(slots=True)
class _Reader:
    """Recursive descent; texts nest less deep than ``write`` lets them."""

    variables: dict[str, int]
    builder: Builder
    tokens: list[str]
    at: int = 0
    named: dict[str, Node] = field(default_factory=dict)

    def formula(self) -> Node:
        """A product after its definitions, which the text has behind it."""
        if ", where" in self.tokens:
            split = self.tokens.index(", where")
            main, self.tokens = self.tokens[:split], self.tokens[split + 1 :]
            while True:
                name = self._next()
                self._expect("(")
                self._names(")")
                self._expect("=")
                self.named[name] = self._product()
                if self.at == len(self.tokens):
                    break
                self._expect(";")
            self.tokens, self.at = main, 0
        node = self._product()
        if self.at < len(self.tokens):
            raise self._error()
        return node

    def _product(self) -> Node:
        factors = [self._factor()]
        while self.at < len(self.tokens) and self.tokens[self.at] not in (")", "]", ";"):
            factors.append(self._factor())
        return self.builder.product(factors)

    def _factor(self) -> Node:
        token = self._next()
        if token == "sum_{":
            bound, _ = self._names("}")
            return self.builder.sum(bound, self._product())
        if token == "(":
            node = self._product()
            self._expect(")")
            return node
        if token == "[":
            top = self._product()
            for sign in "]/[":
                self._expect(sign)
            bottom = self._product()
            self._expect("]")
            return self.builder.ratio(top, bottom)
        if token == "1":
            return self.builder.product(())
        if token != "P" and token not in self.named:
            self.at -= 1
            raise self._error()
        self._expect("(")
        children, last = self._names(")", "|")
        if token != "P":
            return self.named[token]
        return self.builder.prob(children, self._names(")")[0] if last == "|" else 0)

    def _names(self, *ends: str) -> tuple[int, str]:
        """A list of variables and what ended it."""
        found = 0
        while True:
            token = self._next()
            if token.rstrip("'") not in self.variables:
                self.at -= 1
                raise self._error()
            found |= self.variables[token.rstrip("'")]
            token = self._next()
            if token != ",":
                if token in ends:
                    return found, token
                self.at -= 1
                raise self._error()

    def _next(self) -> str:
        if self.at == len(self.tokens):
            raise ReadingError("no estimand: the text ends too soon")
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            self.at -= 1
            raise self._error()

    def _error(self) -> ReadingError:
        before = " ".join(self.tokens[max(0, self.at - 3) : self.at])
        return ReadingError(
            f"no estimand: `{self.tokens[self.at]}` after `{before}` was not expected"
        )
