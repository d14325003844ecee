"""The messages about a script that can be read but not meant: one class a mistake."""

from __future__ import annotations

from dataclasses import dataclass

from causalc.grammar.diagnostic import Message, Note, did_you_mean, listed
from causalc.grammar.printer import name_text
from causalc.grammar.source import Span


def _meant(word: str, known: tuple[str, ...], otherwise: str) -> str:
    found = did_you_mean(word, known)
    return f"did you mean {_ticks(found)}?" if found else otherwise


def _ticks(name: str) -> str:
    written = name_text(name)
    return written if written.startswith("`") else f"`{written}`"


# ---- graph


@dataclass(frozen=True)
class NoGraph(Message):
    what = "the script has no graph"
    help = 'begin it with  graph {{ X -> Y }}  or  graph "file.dag"'


@dataclass(frozen=True)
class SecondGraph(Message):
    what = "a second graph"
    help = "a script has one graph: join the two, or write two scripts"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first graph is here", self.first),)


@dataclass(frozen=True)
class EmptyGraph(Message):
    what = "the graph has no variables"
    help = "write edges, X -> Y, or the bare names of variables without any"


@dataclass(frozen=True)
class CannotLoadGraph(Message):
    what = "the graph file `{path}` cannot be read from here"
    help = "write the edges into the script: graph {{ X -> Y }}"
    path: str


@dataclass(frozen=True)
class SelfLoop(Message):
    what = "`{name}` has an edge to itself"
    help = "remove it: a variable is neither a cause of itself nor confounded with itself"
    name: str


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class CaseClash(Message):
    what = "`{name}` and `{other}` differ only in case or in the form of their letters"
    help = "write both the same way if they are one variable; otherwise give one a clearer name"
    name: str
    other: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note(f"`{self.other}` is first named here", self.first),)


@dataclass(frozen=True)
class Selected(Message):
    what = "`{name}` is marked as selected, and selection bias is not handled"
    help = "remove the mark if every unit had a chance to enter the data whatever its `{name}`"
    name: str


# ---- names


@dataclass(frozen=True)
class UnknownVariable(Message):
    what = "`{name}` is not a variable of the graph"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        return _meant(self.name, self.known, f"the graph has {listed(map(name_text, self.known))}")


@dataclass(frozen=True)
class LatentInQuery(Message):
    what = "`{name}` is latent: it is never measured, so it cannot be {role}"
    help = "take it out of the query, or out of `latent` if the data have it"
    name: str
    role: str


@dataclass(frozen=True)
class LatentDeclared(Message):
    what = "`{name}` is latent, so it has no {what_it_has}"
    help = "remove it from this statement, or from `latent` if the data have it"
    name: str
    what_it_has: str
    declared: Span | None

    def notes(self) -> tuple[Note, ...]:
        return (Note("declared latent here", self.declared),) if self.declared else ()


@dataclass(frozen=True)
class Redeclared(Message):
    what = "{subject} `{name}` is declared twice"
    help = "keep one of the two"
    subject: str
    name: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("first declared here", self.first),)


@dataclass(frozen=True)
class SecondTrain(Message):
    what = "a second `train` block"
    help = "put all training options into one block"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first is here", self.first),)


@dataclass(frozen=True)
class UnknownQuery(Message):
    what = "there is no query called `{name}`"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if not self.known:
            return f"write  query {name_text(self.name)} = P(Y | do(X))"
        return _meant(self.name, self.known, f"the queries are {listed(self.known)}")


@dataclass(frozen=True)
class EstimateAsQuery(Message):
    what = "`{name}` is an estimate, not a query"
    help = "an estimate is computed by itself; only queries are checked and sampled"
    name: str
    declared: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("declared here", self.declared),)


@dataclass(frozen=True)
class OddQueryName(Message):
    what = "`{name}` cannot name {subject}"
    help = "it becomes the name of a function and of files: use letters, digits and _"
    name: str
    subject: str


# ---- kinds


@dataclass(frozen=True)
class UnknownKind(Message):
    what = "`{name}` is not a kind of variable"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        synonyms = {
            "bool": "binary",
            "boolean": "binary",
            "float": "real",
            "continuous": "real",
            "numeric": "real",
            "number": "real",
            "double": "real",
            "int": "integer",
            "count": "integer",
            "string": "text",
            "str": "text",
            "enum": "categorical",
            "factor": "categorical",
            "discrete": "categorical",
            "ordered": "ordinal",
            "array": "vector",
            "tensor": "vector",
            "picture": "image",
        }
        if self.name.lower() in synonyms:
            return f"did you mean `{synonyms[self.name.lower()]}`?"
        return _meant(self.name, self.known, f"the kinds are {listed(self.known)}")


@dataclass(frozen=True)
class KindArguments(Message):
    what = "`{kind}` {wants}"
    help = "write {usage}"
    kind: str
    wants: str
    usage: str


@dataclass(frozen=True)
class KindSize(Message):
    what = "the size of a `{kind}` is a whole number from 1 to {limit}"
    help = "write {usage}"
    kind: str
    limit: int
    usage: str


@dataclass(frozen=True)
class UnknownKindOption(Message):
    what = "`{kind}` has no option `{option}`"
    kind: str
    option: str
    meant: str
    known: tuple[str, ...]
    usage: str

    def remedy(self) -> str:
        return f"did you mean `{self.meant}`?" if self.meant else f"write {self.usage}"


@dataclass(frozen=True)
class BadKindOption(Message):
    what = "this is not a value of the option `{option}` of `{kind}`"
    help = "write {usage}"
    kind: str
    option: str
    usage: str


@dataclass(frozen=True)
class BareLevel(Message):
    what = "the level `{word}` stands without quotes"
    help = 'write "{word}"'
    word: str


@dataclass(frozen=True)
class BadLevel(Message):
    what = "the levels of a `{kind}` are strings or whole numbers"
    help = "write {usage}"
    kind: str
    usage: str


@dataclass(frozen=True)
class OneLevel(Message):
    what = "a `{kind}` variable has at least two levels"
    help = "write {usage}"
    kind: str
    usage: str


@dataclass(frozen=True)
class TooFewLevels(Message):
    what = "a `{kind}` variable has at least two levels, not {number}"
    help = "give the number of its levels, {kind}(2) or more, or name them"
    kind: str
    number: str


@dataclass(frozen=True)
class TooManyLevels(Message):
    what = "a variable cannot have more than {limit} levels"
    help = "declare it `integer`, or group its levels"
    limit: int


@dataclass(frozen=True)
class MixedLevels(Message):
    what = "the levels of this `{kind}` are of several types"
    help = "write all of them as strings, or all as whole numbers, as in the data"
    kind: str


@dataclass(frozen=True)
class RepeatedLevel(Message):
    what = "the level `{level}` is given twice"
    help = "keep one of them"
    level: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("first given here", self.first),)


# ---- values


@dataclass(frozen=True)
class BareWord(Message):
    what = "`{word}` stands without quotes where a value belongs"
    help = 'write "{word}" for the value, or ${word} for a parameter given when the program runs'
    word: str


@dataclass(frozen=True)
class NotALevel(Message):
    what = "{value} is not a level of `{name}`"
    value: str
    name: str
    levels: tuple[str, ...]

    def remedy(self) -> str:
        if did_you_mean(self.value.strip('"'), (level.strip('"') for level in self.levels)):
            bare = {level.strip('"'): level for level in self.levels}
            return f"did you mean {bare[did_you_mean(self.value.strip(chr(34)), bare) or '']}?"
        if len(self.levels) > 12:
            return f"its levels run from {self.levels[0]} to {self.levels[-1]}"
        return f"its levels are {listed(self.levels)}"


@dataclass(frozen=True)
class WrongValue(Message):
    what = "{value} is not a value of `{name}`, which is declared `{kind}`"
    help = "give {wanted}"
    value: str
    name: str
    kind: str
    wanted: str


@dataclass(frozen=True)
class ListForOne(Message):
    what = "a list is not one value of `{name}`"
    help = "leave it open and sample once for each value, or give one value"
    name: str


@dataclass(frozen=True)
class ParameterOutsideQuery(Message):
    what = "`${name}` cannot stand here: parameters belong to queries"
    help = "write the value itself; a query takes parameters, P(Y | do(X = $x)), and `sample` gives them"
    name: str


# ---- options


@dataclass(frozen=True)
class UnknownOption(Message):
    what = "{subject} has no option `{option}`"
    subject: str
    option: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if not self.known:
            return "it takes none: remove this one"
        return _meant(self.option, self.known, f"its options are {listed(self.known)}")


@dataclass(frozen=True)
class BadOption(Message):
    what = "{value} is not a value of the option `{option}`"
    help = "give {wanted}"
    value: str
    option: str
    wanted: str


@dataclass(frozen=True)
class Unnamed(Message):
    what = "`{callee}` takes its options by name"
    help = "write {callee}({example})"
    callee: str
    example: str


# ---- models


@dataclass(frozen=True)
class UnknownFamily(Message):
    what = "`{name}` is not a model family"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        return _meant(self.name, self.known, f"the families are {listed(self.known)}")


@dataclass(frozen=True)
class UnfitFamily(Message):
    what = "`{family}` cannot model `{name}`, which is declared `{kind}`"
    family: str
    name: str
    kind: str
    fitting: tuple[str, ...]

    def remedy(self) -> str:
        return f"use {listed((f'`{f}`' for f in self.fitting), 'or')}"


@dataclass(frozen=True)
class UnfitBackbone(Message):
    what = "the backbone `{backbone}` is for images, and `{name}` is declared `{kind}`"
    help = 'write backbone="mlp", or leave the option out'
    backbone: str
    name: str
    kind: str


# ---- data


@dataclass(frozen=True)
class UnknownSource(Message):
    what = "`{name}` is not a kind of data"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        return _meant(self.name, self.known, f"data are read by {listed(self.known, 'or')}")


@dataclass(frozen=True)
class SourcePath(Message):
    what = "`{source}` takes the path of the data, and nothing else without a name"
    help = 'write {source}("path")'
    source: str


@dataclass(frozen=True)
class UnknownDataOption(Message):
    what = "`{option}` is neither an option of the data nor a variable of the graph"
    option: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        advice = 'write  split = "train",  or  variable = "column"  for a column of another name'
        return _meant(self.option, self.known, advice)


@dataclass(frozen=True)
class NotAColumn(Message):
    what = "a column's name is a string"
    help = 'write  {name} = "column"'
    name: str


@dataclass(frozen=True)
class EmptyPath(Message):
    what = "this path is empty"
    help = "name a file or a folder"


# ---- estimates


@dataclass(frozen=True)
class FreeInEstimate(Message):
    what = "`{name}` has no value, and an estimate is one number"
    help = "write {name} = ..., or ask a query, whose sampler takes {name} as its input"
    name: str


@dataclass(frozen=True)
class NothingEstimated(Message):
    what = "this expression holds no E(...), Var(...) or Pr(...)"
    help = "write for example  E(Y | do(X = 1)) - E(Y | do(X = 0))"


@dataclass(frozen=True)
class NoMean(Message):
    what = "`{function}` needs numbers, and `{name}` is declared `{kind}`"
    help = "ask for the probability of a value, Pr({name} == ... | ...)"
    function: str
    name: str
    kind: str


@dataclass(frozen=True)
class NotComparable(Message):
    what = "the values of `{name}`, declared `{kind}`, are not compared with `{comparison}`"
    name: str
    kind: str
    comparison: str

    def remedy(self) -> str:
        if self.kind.startswith("real"):
            return f"a real number equals no value exactly: write {name_text(self.name)} >= ..."
        if self.kind.startswith(("binary", "categorical")):
            return f"its levels have no order: write == or !=, or declare `{self.name}` ordinal"
        return "sample the query and measure the samples instead"


# ---- checks and samples


@dataclass(frozen=True)
class UnknownCheck(Message):
    what = "`{name}` is not a check"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        return _meant(self.name, self.known, f"the checks are {listed(self.known)}")


@dataclass(frozen=True)
class RowsMissing(Message):
    what = "this `sample` does not say how many rows to draw"
    help = "write  sample {query}, n = 1000 to ..."
    query: str


@dataclass(frozen=True)
class InputMissing(Message):
    what = "`{written}` has no value in this `sample`"
    help = "add  {name} = ...  before `to`"
    written: str
    name: str
    query: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the query leaves it open here", self.query),)


@dataclass(frozen=True)
class InputTaken(Message):
    what = "the query `{query}` sets `{name}` already"
    help = "remove it here, or leave the variable open in the query"
    query: str
    name: str
    declared: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("set here", self.declared),)


@dataclass(frozen=True)
class UnknownInput(Message):
    what = "the query `{query}` has no input `{name}`"
    query: str
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        return _meant(self.name, self.known, f"`sample` takes {listed(self.known)} here")


@dataclass(frozen=True)
class InputClash(Message):
    what = "`{name}` would be two inputs of this query: the parameter and the open variable"
    help = "give the parameter another name"
    name: str


@dataclass(frozen=True)
class InputNamedLikeOption(Message):
    what = "the input `{name}` of this query has the name of an option of `sample`"
    help = "give it its value in the query, or rename it"
    name: str


@dataclass(frozen=True)
class SameOutput(Message):
    what = "two samples are written to the same path"
    help = "give each a path of its own"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the other is here", self.first),)
