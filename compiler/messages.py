"""The messages about a script that can be read but not meant: one class a mistake."""

from __future__ import annotations

import unicodedata

from causalc.grammar.diagnostic import Message, Note, listed, suggest
from causalc.grammar.printer import name_text
from causalc.grammar.source import Span

LOOKALIKES = dict(
    zip("АВЕКМНОРСТХаеорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTXaeopcyxABEZHIKMNOPTYXo", strict=True)
)
"""Cyrillic and Greek letters that print as Latin ones do."""

# ---- graph


class NoGraph(Message):
    what = "the script has no graph"
    help = 'begin it with  graph {{ X -> Y }}  or  graph "file.dag"'


class SecondGraph(Message):
    what = "a second graph, and the two are not both named"
    help = "name each to compare them, graph before {{ ... }}; or join the two"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first graph is here", self.first),)


class EmptyGraph(Message):
    what = "the graph has no variables"
    help = "write edges, X -> Y, or the bare names of variables without any"


class NotIncluded(Message):
    what = "`{path}` cannot be included from here: this text has no folder"
    help = "put its statements into this text, or read the script from a file"
    path: str


class CannotLoadGraph(Message):
    what = "the graph file `{path}` cannot be read from here"
    help = "write the edges into the script: graph {{ X -> Y }}"
    path: str


class SelfLoop(Message):
    what = "`{name}` has an edge to itself"
    help = "remove it: a variable is neither a cause of itself nor confounded with itself"
    name: str


class Cycle(Message):
    what = "the graph has a cycle: {path}"
    help = (
        "remove or turn round one of these edges, or write <-> if a latent common cause is meant; "
        "for feedback over time name each time step: X1 -> Y1 -> X2"
    )
    path: str
    others: tuple[tuple[str, Span], ...]

    def notes(self) -> tuple[Note, ...]:
        return tuple(Note(f"{edge} is here", span) for edge, span in self.others)


class CaseClash(Message):
    what = "`{name}` and `{other}` differ only in case or in the form of their letters"
    help = "write both the same way if they are one variable; otherwise give one a clearer name"
    name: str
    other: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note(f"`{self.other}` is first named here", self.first),)


class Selected(Message):
    what = "`{name}` is marked as selected, and selection bias is not handled"
    help = "remove the mark if every unit had a chance to enter the data whatever its `{name}`"
    name: str


# ---- names


class UnknownVariable(Message):
    what = "`{name}` is not a variable of {graph}"
    name: str
    known: tuple[str, ...]
    graph: str

    def remedy(self) -> str:
        foreign = next((c for c in self.name if c in LOOKALIKES), None)
        plain = "".join(LOOKALIKES.get(c, c) for c in self.name)
        if foreign and plain in self.known:
            letter = unicodedata.name(foreign).lower()
            return f"did you mean `{plain}`? The {foreign} here is {letter}, another letter"
        return suggest(
            self.name, self.known, f"{self.graph} has {listed(map(name_text, self.known))}"
        )


class QuestionAsVariable(Message):
    what = "`{name}` is {kind}, and a variable belongs here"
    help = "name the variable itself, and what is set: E(Y | do(X = 1))"
    name: str
    kind: str


class LatentInQuery(Message):
    what = "`{name}` is latent: it is never measured, so it cannot be {role}"
    help = "take it out of the query, or out of `latent` if the data have it"
    name: str
    role: str


class LatentDeclared(Message):
    what = "`{name}` is latent, so it has no {what_it_has}"
    help = "remove it from this statement, or from `latent` if the data have it"
    name: str
    what_it_has: str
    declared: Span | None

    def notes(self) -> tuple[Note, ...]:
        return (Note("declared latent here", self.declared),) if self.declared else ()


class Redeclared(Message):
    what = "{subject} `{name}` is {verb} twice"
    help = "keep one of the two"
    subject: str
    name: str
    verb: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note(f"first {self.verb} here", self.first),)


class SecondTrain(Message):
    what = "a second `train` block"
    help = "put all training options into one block"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first is here", self.first),)


class UnknownQuery(Message):
    what = "there is no query called `{name}`"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if not self.known:
            return f"write  query {name_text(self.name)} = P(Y | do(X))"
        return suggest(self.name, self.known, f"queries of this script: {listed(self.known)}")


class EstimateAsQuery(Message):
    what = "`{name}` is an estimate, not a query"
    help = (
        "an estimate is computed by itself: it is not sampled, and its one check is `sensitivity`"
    )
    name: str
    declared: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("declared here", self.declared),)


class OddQueryName(Message):
    what = "`{name}` cannot name {subject}"
    help = "it becomes the name of a function and of files: use letters, digits and _"
    name: str
    subject: str


# ---- checks and samples


OTHER_NAMES = {
    **dict.fromkeys(("hidden", "evalue", "e_value", "confounding", "robustness"), "sensitivity"),
    **dict.fromkeys(("overlap", "support", "common_support", "propensity"), "positivity"),
    **dict.fromkeys(("dont_care", "dont_cares", "dontcare", "dontcares"), "spread"),
    **dict.fromkeys(("graph", "assumptions", "implications", "falsify"), "independences"),
    **dict.fromkeys(("calibration", "goodness", "energy"), "fit"),
}
"""What a check is called elsewhere."""


class UnknownCheck(Message):
    what = "`{name}` is not a check"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        meant = OTHER_NAMES.get(self.name.lower().replace("-", "_"))
        if meant:
            return f"did you mean `{meant}`?"
        return suggest(self.name, self.known, f"the checks are {listed(self.known)}")


class CheckReversed(Message):
    what = "`{check}` is a check, and the query stands first"
    help = "write  check {query} : {check}"
    check: str
    query: str


class RowsMissing(Message):
    what = "this `sample` does not say how many rows to draw"
    help = "write  sample {query}, n = 1000 to ..."
    query: str


class InputMissing(Message):
    what = "`{written}` has no value in this `sample`"
    help = "add  {name} = ...  before `to`"
    written: str
    name: str
    query: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the query leaves it open here", self.query),)


class InputTaken(Message):
    what = "the query `{query}` sets `{name}` already"
    help = "remove it here, or leave the variable open in the query"
    query: str
    name: str
    declared: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("set here", self.declared),)


class UnknownInput(Message):
    what = "the query `{query}` has no input `{name}`"
    query: str
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if self.name.lower() in ("size", "rows", "count", "samples", "num", "n"):
            return "did you mean `n`?"
        return suggest(self.name, self.known, f"`sample` takes {listed(self.known)} here")


class InputClash(Message):
    what = "`{name}` would be two inputs of this query: the parameter and the open variable"
    help = "give the parameter another name"
    name: str


class InputNamedLikeOption(Message):
    what = "the input `{name}` of this query has the name of an option of `sample`"
    help = "give it its value in the query, or rename it"
    name: str


class SameOutput(Message):
    what = "two samples are written to the same path"
    help = "give each a path of its own"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the other is here", self.first),)
