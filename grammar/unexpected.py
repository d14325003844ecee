"""The messages about a text in which the parser cannot go on: one class a mistake."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message, Note, did_you_mean, listed
from causalc.grammar.source import Span

STATEMENTS = (
    "graph",
    "include",
    "latent",
    "var",
    "data",
    "model",
    "train",
    "query",
    "estimate",
    "check",
    "sample",
)
SYNONYMS = {
    "variable": "var",
    "variables": "var",
    "hidden": "latent",
    "unobserved": "latent",
    "unmeasured": "latent",
    "dataset": "data",
    "load": "data",
    "ask": "query",
    "let": "query",
    "estimand": "query",
    "network": "graph",
    "dataframe": "data",
    "fit": "train",
}
_NO_FLOW = "leave it out: a script says what to ask, and its statements stand in any order"
_SHOWN = (
    "leave it out: `causalc run` prints estimates, `causalc show` formulas, `causalc report` draws"
)
_NO_PACKAGES = "leave it out: a script loads no packages"
_ASKED = "write  query effect = P(Y | do(X)): `causalc check` decides it, `causalc show` derives it"
ELSEWHERE = {  # what starts a statement elsewhere
    "```": "leave the fences of Markdown out",
    **dict.fromkeys(("print", "plot", "show", "draw", "summary"), _SHOWN),
    **dict.fromkeys(("import", "from", "library", "using", "require", "source"), _NO_PACKAGES),
    **dict.fromkeys(("if", "for", "while", "def", "function", "class", "return"), _NO_FLOW),
    **dict.fromkeys(("identify", "identify_effect", "adjustmentSets", "dosearch", "find"), _ASKED),
}
CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Unexpected(Message):
    what = "{found} cannot stand here"
    found: str
    expected: tuple[str, ...]

    def remedy(self) -> str:
        return f"expected {listed(self.expected, 'or')}" if self.expected else ""


class UnexpectedEnd(Message):
    what = "the text ends in the middle of {whole}"
    help = "write for example  {example}"
    whole: str
    example: str


class Unfinished(Message):
    what = "this `{keyword}` is not finished: nothing follows `{last}`"
    help = "write for example  {example}"
    keyword: str
    last: str
    example: str


class Extra(Message):
    what = "{found} follows the end of the {whole}"
    help = "remove it"
    found: str
    whole: str


# ---- whole texts


class TooLong(Message):
    what = "this text is longer than {limit} {unit}"
    help = "a graph that large belongs in a file of its own, and data never belong in a script"
    limit: int
    unit: str


class Binary(Message):
    what = "this is not text: it holds a NUL character"
    help = "give the path of a .causal script; data files are named in a `data` statement"


class Empty(Message):
    what = "there is nothing here"
    help = "write for example  {example}"
    example: str


# ---- characters


class UnclosedString(Message):
    what = "this string is never closed"
    help = (
        'end it with a " on the same line; inside it write \\" for a quote and \\n for a new line'
    )


class UnclosedName(Message):
    what = "this name in backticks is never closed"
    help = "end it with a ` on the same line; a name cannot go over a line end"


class WrongQuotes(Message):
    what = "`{quote}` does not start a string here"
    help = 'strings stand in straight double quotes, "...", and odd names in backticks, `...`'
    quote: str


class StrangeCharacter(Message):
    what = "the character {character} has no meaning here"
    help = "if it is part of a name, put the name in backticks: `{word}`"
    character: str
    word: str


class InvisibleCharacter(Message):
    what = "an invisible character, {point}, stands here"
    help = "delete it; it often comes with text copied from a web page or a PDF"
    point: str


class BareDollar(Message):
    what = "`$` starts a parameter, and no name follows it"
    help = "write a plain word after it: $age"


# ---- brackets


class Unclosed(Message):
    what = "this `{opener}` is never closed"
    opener: str
    found: str
    found_at: Span

    def remedy(self) -> str:
        return f"add the `{CLOSERS[self.opener]}` before {self.found}"

    def notes(self) -> tuple[Note, ...]:
        return (Note("it should be closed before this", self.found_at),)


class Mismatched(Message):
    what = "`{closer}` does not close the `{opener}`"
    closer: str
    opener: str
    opened: Span

    def remedy(self) -> str:
        return f"write `{CLOSERS[self.opener]}`"

    def notes(self) -> tuple[Note, ...]:
        return (Note("opened here", self.opened),)


class ClosesNothing(Message):
    what = "`{closer}` closes nothing"
    help = "remove it, or add what it should close"
    closer: str


# ---- statements


class UnknownStatement(Message):
    what = "`{word}` does not start a statement"
    word: str

    def remedy(self) -> str:
        known = ELSEWHERE.get(self.word) or ELSEWHERE.get(self.word.lower())
        if known:
            return known
        meant = SYNONYMS.get(self.word.lower()) or did_you_mean(self.word, STATEMENTS)
        if meant:
            return f"did you mean `{meant}`?"
        return f"a statement starts with {listed(STATEMENTS, 'or')}"


class GraphNotScript(Message):
    what = "this is a graph, not a script"
    help = (
        'put the edges in  graph {{ ... }}  or name the file:  graph "file.dag"; '
        "without a script:  causalc show QUERY --graph FILE"
    )


class EdgeOutsideGraph(Message):
    what = "an edge stands outside `graph {{ ... }}`"
    help = "put it in braces: graph {{ X -> Y }}"


class QueryWithoutKeyword(Message):
    what = "a query needs a keyword and a name"
    help = "write  query effect = {word}(...)"
    word: str


class DoWithoutQuery(Message):
    what = "`do(...)` is part of a query"
    help = "write  query effect = P(Y | do(X))"


class NameMissing(Message):
    help = "write  {example}"
    keyword: str
    example: str

    def headline(self) -> str:
        named = self.keyword in ("query", "estimate", "data")
        if self.keyword == "include":
            return "this `include` does not say which file, in double quotes"
        return f"this `{self.keyword}` {'has no name' if named else 'does not say of what'}"


class CommaMissing(Message):
    what = "a comma is missing before {found}"
    help = "separate one from the next by `,`"
    found: str
    phrase: str

    def remedy(self) -> str:
        if self.phrase:
            return f"{self.help}; one name of several words stands in backticks: `{self.phrase}`"
        return self.help


class CommaNeeded(Message):
    what = "`;` stands where `,` belongs"
    help = "semicolons separate statements; inside brackets write commas"


class TrailingComma(Message):
    what = "nothing follows this comma"
    help = "remove it, or add what is missing"


class QuotedVariable(Message):
    what = "a string stands where a name belongs"
    help = "names stand without quotes, or in backticks where they are not plain words: {plain}"
    plain: str


class BareVariable(Message):
    what = "`{name}` alone is not a number"
    help = "write E({name} | ...) for its mean or Pr({name} == ... | ...) for a probability"
    name: str


class BareSource(Message):
    what = "a path alone does not say how to read the data"
    help = "write {reader}({path})"
    path: str
    reader: str


class OperatorMissing(Message):
    what = "an operator is missing before {found}"
    help = "join the two by +, -, * or /"
    found: str


class NotAQuery(Message):
    what = "a query is written as a distribution"
    help = "write  P(Y | do(X), Z)"


class SymbolMissing(Message):
    what = "`{symbol}` is missing before {found}"
    help = "write  {example}"
    symbol: str
    found: str
    example: str


class WrongSymbol(Message):
    what = "`{found}` stands where `{symbol}` belongs"
    help = "write  {example}"
    found: str
    symbol: str
    example: str


class ValueMissing(Message):
    what = "no value follows the `=`"
    help = 'write a number, a "string", true, false, or a list such as [1, 2]{parameter}'
    parameter: str


class UnquotedPath(Message):
    what = "a path stands in double quotes"
    help = "write  {example}"
    example: str


class GraphWithoutBraces(Message):
    what = "`graph` is followed by braces or by the path of a file"
    help = 'write  graph {{ X -> Y }},  graph name {{ X -> Y }}  or  graph "file.dag"'


# ---- graphs


class DanglingArrow(Message):
    what = "this `{arrow}` leads to nothing"
    help = "name a variable on both sides, X {arrow} Y, or several in braces, X {arrow} {{Y Z}}"
    arrow: str


class ArrowFromNothing(Message):
    what = "this `{arrow}` starts from nothing"
    help = "name a variable on both sides: X {arrow} Y"
    arrow: str


class EdgeInSet(Message):
    what = "an edge stands inside a set of variables"
    help = "list only names in the braces, A -> {{B C}}, and write the other edge apart: B -> C"


class EmptySet(Message):
    what = "this set of variables is empty"
    help = "list names in the braces: A -> {{B C}}"


class BrokenArrow(Message):
    what = "`{found}` is not an edge"
    help = "write -> for a direct cause, <- for the other way round, <-> for a latent common cause"
    found: str


class CommaInGraph(Message):
    what = "a comma stands between two statements of the graph"
    help = "separate them by a semicolon or a new line; for several variables write A -> {{B C}}"


# ---- queries


class MissingBar(Message):
    what = "the bar before `do` is missing"
    help = "write P(Y | do(X))"


class SecondBar(Message):
    what = "a second bar"
    help = "one bar separates outcomes from all the rest, by commas: P(Y | do(X), Z)"


class Counterfactual(Message):
    what = "`{notation}` asks for a counterfactual"
    help = (
        "write P(Y | do(X), Z), which says what happens if X is set; what would have happened in "
        "another world (rung 3) is not answered by ID and IDC"
    )
    notation: str


class MeantDo(Message):
    what = "`{word}(...)` is not an intervention"
    help = "write do(...)"
    word: str


class BracketAfterP(Message):
    what = "`P{bracket}` is not how an intervention is written"
    help = "write P(Y | do(X))"
    bracket: str


class StochasticDo(Message):
    what = "`~` gives a variable a distribution, and that is done inside `do(...)` alone"
    help = "write do({name} ~ bernoulli(0.3)), or categorical(...), normal(mean, sd), uniform(low, high)"
    name: str


class RuleNeeded(Message):
    what = "a rule belongs after `~`"
    help = (
        "write bernoulli(0.3), categorical({{0: 0.2, 1: 0.8}}), normal(mean, sd), uniform(low, high), "
        "or X = 0.5 for one value"
    )


class RuleWithoutParts(Message):
    what = "the rule `{name}` has no parentheses"
    help = "write its parts in parentheses, as in bernoulli(0.3), normal(0, 1), uniform()"
    name: str


class ArithmeticInQuery(Message):
    what = "a query is one distribution; it cannot be added, divided or compared"
    help = "write an estimate:  estimate effect = E(Y | do(X = 1)) - E(Y | do(X = 0))"
