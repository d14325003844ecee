"""What an editor asks about a script: what is wrong, what stands at a place, what may stand there.

Plain functions of a text; ``causalc.language_server`` speaks the protocol. Places are offsets in characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal as OneOf

from causalc.compiler.check import check_each
from causalc.compiler.check_support import check_support
from causalc.compiler.families import CHECKS, FAMILIES, SOURCES
from causalc.compiler.graph import Graph, bits
from causalc.compiler.kinds import KINDS
from causalc.errors import CausalcError
from causalc.grammar import LanguageError, Source, Span
from causalc.grammar.parser import parse_source
from causalc.grammar.printer import call_text, name_text
from causalc.grammar.shape import MOMENTS
from causalc.grammar.source import NOWHERE
from causalc.grammar.tree import (
    DataStatement,
    EstimateStatement,
    GraphSpec,
    Moment,
    Name,
    Query,
    QueryStatement,
    SampleStatement,
    Script,
    Statement,
)
from causalc.reading import included, load_graph
from causalc.verdicts import Asked, Under, verdict

KEYWORDS = {
    "graph": '`graph { X -> Y; X <-> Y }` or `graph "file"`: causes `->`, latent common causes `<->`.',
    "include": '`include "file.causal"`: the statements of another file, in the folder of this one or below.',
    "latent": "`latent U`: a variable that is never measured.",
    "var": "`var X, Y : kind`: what values a variable takes.",
    "data": '`data rows = csv("rows.csv")`: the table to train on.',
    "model": "`model Y = diffusion(steps=4000)`: the family that models a variable.",
    "train": "`train { seed = 0 }`: how to train.",
    "query": "`query name = P(Y | do(X = 1), Z)`: a distribution to sample from.",
    "estimate": "`estimate name = E(Y | do(X = 1)) - E(Y | do(X = 0))`: a number.",
    "over": "`over X = [0, 1]`, `over X = grid(0, 1, 11)`: the values of what an estimate leaves open.",
    "check": "`check name : positivity, fit`: diagnostics to run.",
    "sample": '`sample name, n = 1000 to "rows.csv"`: rows to draw.',
    "do": "`do(X = 1)`: X is set, whatever would have caused it; `do(X)` leaves the value open.",
    "to": '`to "path"`: where the samples go.',
}
WORD = re.compile(r"`(?:[^`\n\r]|``)*`|\$?[^\W\d][\w.]*")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to underline."""

    span: Span
    text: str
    severity: OneOf["error", "warning"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where a variable, or a query by its name, is written."""

    text: str
    span: Span
    sort: OneOf["variable", "query"]


@dataclass(frozen=True)
class Reading:
    """A text as far as it can be read; ``folder`` is where the files it names lie.

    ``before`` is what the text was like before it changed: it saves work.
    """

    source: Source
    folder: Path = Path()
    before: Script | None = field(default=None, repr=False)

    @classmethod
    def of(cls, text: str, folder: Path = Path(), before: Script | None = None) -> Reading:
        """Read a text; never raises."""
        return cls(Source(text), folder, before)

    @cached_property
    def _parsed(self) -> Script | CausalcError:
        try:
            return parse_source(self.source, self.before)
        except CausalcError as error:
            return error

    @property
    def script(self) -> Script | None:
        """The script, where the text is one."""
        return self._parsed if isinstance(self._parsed, Script) else None

    @property
    def known(self) -> Script | None:
        """The script, or where the text is none the last one that was."""
        return self.script or self.before

    @cached_property
    def _checked(self) -> list[Under] | CausalcError:
        """What the checks make of the script with what it includes, under each of its graphs."""

        @cache
        def load(name: str) -> GraphSpec:
            return load_graph(self.folder / name)

        if not isinstance(self._parsed, Script):
            return self._parsed
        try:
            script = included(self._parsed, self.folder)
            found = check_each(script, load)
            for checked in found.values():
                check_support(script, checked)
        except CausalcError as error:
            return error
        specs = (g.spec or load(g.path or "") for g in script.graphs)
        pairs = zip(found.items(), specs, strict=False)
        return [Under.of(name, checked, spec) for (name, checked), spec in pairs]

    @cached_property
    def graph(self) -> Graph | None:
        """The (first) graph over the observed variables, where the script makes sense."""
        return None if isinstance(self._checked, CausalcError) else self._checked[0].checked.graph

    @cached_property
    def asked(self) -> tuple[Asked, ...]:
        """Each query of the script under each of its graphs, with its verdict."""
        script, found = self.script, self._checked
        if script is None or isinstance(found, CausalcError):
            return ()
        return tuple(
            Asked(s, q, under, verdict(q, str(q), under.diagram))
            for s in script.statements
            for q in _queries(s)
            for under in found
        )

    # ---- what is wrong

    def find_help(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Find what would help the queries that need it, until ``stop()``; whether anything new was found."""
        waiting = [a.verdict for a in self.asked if a.verdict.refusal and a.verdict.help is None]
        for one in waiting:
            one.find_help(len(self.asked), stop)
        return any(one.help is not None for one in waiting)

    def findings(self, wait: bool = True) -> tuple[Finding, ...]:
        """Every mistake, and every query that is not identifiable.

        With ``wait`` what would help such a query is found first; else it is told where it is known.
        """
        if isinstance(self._checked, CausalcError):
            return tuple(self._mistakes(self._checked))
        if wait:
            self.find_help()
        refused = (a for a in self.asked if a.verdict.refusal)
        return tuple(Finding(a.query.span, a.text, "warning") for a in refused)

    def _mistakes(self, error: CausalcError) -> Iterator[Finding]:
        start = self.script.graph if self.script else None
        top = start.span if start else Span(0, min(1, len(self.source.text)))
        if not isinstance(error, LanguageError):
            yield Finding(top, str(error), "error")
            return
        for message, source in error.found:
            text = "\n".join(filter(None, (message.headline(), message.remedy())))
            file, _ = source.local(message.span)
            if file.text != self.source.text:
                yield Finding(top, f"{source.place(message.span)}: {text}", "error")
            else:
                yield Finding(message.span, text, "error")

    # ---- what stands where

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Every name of a variable or a query, where the text is a script."""
        if self.script is None:
            return ()
        found = {m.span: m for s in self.script.statements for m in _mentions(s)}
        variables = {m.text for m in found.values() if m.sort == "variable"}
        for s in self.script.statements:
            if not isinstance(s, DataStatement | SampleStatement):
                continue
            for (name, _), span in zip(s.options, s.option_spans, strict=False):
                if name in variables and name not in ("n", "seed", "split"):
                    found[span] = Mention(name, span, "variable")
        return tuple(sorted(found.values(), key=lambda m: m.span.start))

    def at(self, offset: int) -> Mention | None:
        """The name that stands at a place."""
        return next((m for m in self.mentions if m.span.start <= offset <= m.span.end), None)

    def definition(self, offset: int) -> Span | None:
        """Where the name at a place is introduced: in the graph, or by its ``query``."""
        here = self.at(offset)
        if here is None or self.script is None:
            return None
        if here.sort == "query":
            names = [s.name for s in self.script.queries]
            names += [s.name for s in self.script.estimates]
            return next((name.span for name in names if name.text == here.text), None)
        return next(m.span for m in self.mentions if (m.text, m.sort) == (here.text, here.sort))

    def renamed(self, offset: int, new: str) -> tuple[tuple[Span, str], ...]:
        """The replacements that rename what stands at a place; raises ``CausalcError`` where they clash."""
        here = self.at(offset)
        if here is None:
            raise CausalcError("there is no variable or query here to rename")
        if not new.strip() or any(not c.isprintable() for c in new):
            raise CausalcError("the new name is empty or has invisible characters")
        if any(m.text == new and m.sort == here.sort for m in self.mentions):
            raise CausalcError(f"`{new}` is taken; choose another name")
        same = [m for m in self.mentions if (m.text, m.sort) == (here.text, here.sort)]
        return tuple((m.span, name_text(new)) for m in same)

    def hover(self, offset: int) -> tuple[Span, str] | None:
        """What there is to say, in Markdown, about a query, a variable or a keyword at a place."""
        here = self.at(offset)
        if here is not None and here.sort == "variable" and not self._query_at(offset, True):
            return here.span, self._about(here.text)
        asked = self._query_at(offset, False)
        if asked:
            return asked[0].statement.span, "\n\n".join(map(_markdown, asked))
        if here is not None and here.sort == "variable":
            return here.span, self._about(here.text)
        found = next(
            (w for w in WORD.finditer(self.source.text) if w.start() <= offset < w.end()), None
        )
        if found and found[0] in KEYWORDS:
            return Span(*found.span()), KEYWORDS[found[0]]
        return None

    def _query_at(self, offset: int, inside: bool) -> list[Asked]:
        """The queries of the statement at a place; ``inside`` asks for the place to be in P(...) itself."""
        return [
            a
            for a in self.asked
            if (span := (a.query if inside else a.statement).span).start <= offset < span.end
        ]

    def _about(self, name: str) -> str:
        assert self.script is not None
        kind = next(
            (call_text(s.kind) for s in self.script.variables if name in map(str, s.names)), None
        )
        lines = [f"**{name}**" + (f" : `{kind}`" if kind else "")]
        graph = self.graph
        if graph is not None and name in graph.index:
            v = graph.index[name]
            for label, mask in (
                ("caused by", graph.parents[v]),
                ("causes", graph.children[v]),
                ("confounded with", graph.siblings[v]),
            ):
                if mask:
                    lines.append(f"{label} " + ", ".join(graph.order[w] for w in bits(mask)))
        elif graph is not None:
            lines.append("never measured")
        return "  \n".join(lines)

    def symbols(self) -> tuple[tuple[str, str, Span], ...]:
        """Name, sort and place of each statement that has a name; and the graph."""
        if self.script is None:
            return ()
        found = []
        for s in self.script.statements:
            sort = type(s).__name__.removesuffix("Statement").lower()
            names = [
                getattr(s, "name", None),
                *getattr(s, "names", ()),
                getattr(s, "variable", None),
            ]
            labels = [str(n) for n in names if n is not None]
            if labels or sort in ("graph", "train"):
                found.append((", ".join(labels) or sort, sort, s.span))
        return tuple(found)

    # ---- what may stand there

    def completions(self, offset: int) -> tuple[tuple[str, str], ...]:
        """Words that may be meant at a place, each with its sort, also in a text that is not finished."""
        text = self.source.text
        start = offset
        while start and (text[start - 1].isalnum() or text[start - 1] in "_."):
            start -= 1
        before = text[:start].rstrip(" \t")
        statement = next(
            (
                w[0]
                for w in reversed(list(WORD.finditer(before)))
                if w[0] in KEYWORDS and w[0] not in ("do", "to", "over")
            ),
            "",
        )
        match statement, before[-1:]:
            case "var", ":":
                return tuple((k, "kind") for k in KINDS)
            case "check", ":":
                return tuple((k, "check") for k in CHECKS)
            case "model", "=":
                return tuple((k, "family") for k in FAMILIES)
            case "data", "=":
                return tuple((k, "source") for k in SOURCES)
            case "query", "=":
                return (("P", "distribution"),)
            case "estimate", "=" | "-" | "+" | "*" | "/":
                return tuple((k, "moment") for k in MOMENTS)
        names, queries = self._names(start)
        if statement in ("check", "sample") and before.endswith(statement):
            return tuple((q, "query") for q in queries)
        words: list[tuple[str, str]] = [(name_text(v), "variable") for v in names]
        inside = before.count("(") > before.count(")") or before.count("{") > before.count("}")
        words += [("do", "keyword")] if inside else [(k, "keyword") for k in KEYWORDS]
        return tuple(words)

    def _names(self, offset: int) -> tuple[list[str], list[str]]:
        """The variables and the queries, read off the tokens where the text is no script."""
        if self.script is not None:
            return (
                list(dict.fromkeys(m.text for m in self.mentions if m.sort == "variable")),
                [s.name.text for s in self.script.queries],
            )
        text = self.source.text
        block = re.search(r"\bgraph\b[^{]*\{([^}]*)", text)
        names = [w for w in WORD.finditer(block[1]) if w[0] not in KEYWORDS] if block else []
        queries = [m[1] for m in re.finditer(r"\bquery\s+([^\W\d]\w*)", text)]
        plain = (w[0].strip("`").replace("``", "`") for w in names)
        return list(dict.fromkeys(plain)), list(dict.fromkeys(queries))


def _markdown(asked: Asked) -> str:
    asked.verdict.find_help()
    if asked.verdict.refusal is None:
        return f"`{asked.query}` is identifiable\n```\n= {asked.text}\n```"
    return f"`{asked.query}` is not identifiable\n```\n{asked.text}\n```"


def _queries(statement: Statement) -> Iterator[Query]:
    if isinstance(statement, QueryStatement):
        yield statement.query
    elif isinstance(statement, EstimateStatement):
        yield from (node.query for node in _walk(statement) if isinstance(node, Moment))


def _mentions(statement: Statement) -> Iterator[Mention]:
    """The names in a statement; those of data sets and diagnostics are neither variables nor queries."""
    sort = type(statement).__name__
    own: Name | None = None
    if sort in ("QueryStatement", "EstimateStatement", "DataStatement", "GraphStatement"):
        own = statement.name  # type: ignore[union-attr]
    elif sort in ("CheckStatement", "SampleStatement"):
        own = statement.query  # type: ignore[union-attr, assignment]
    for node in _walk(statement):
        if isinstance(node, Name) and node.span != NOWHERE:
            if node is own:
                if sort not in ("DataStatement", "GraphStatement"):
                    yield Mention(node.text, node.span, "query")
            elif sort != "CheckStatement":
                yield Mention(node.text, node.span, "variable")


def _walk(node: object) -> Iterator[object]:
    """A node of the syntax tree and all below it, in order."""
    if isinstance(node, tuple):
        for item in node:
            yield from _walk(item)
    elif is_dataclass(node) and not isinstance(node, Source):
        yield node
        for part in fields(node):
            yield from _walk(getattr(node, part.name))
