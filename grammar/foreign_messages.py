"""The messages about what is right in another language: one class a habit."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message


class Lookalike(Message):
    what = "`{character}` only looks like `{plain}`"
    help = "write {plain}"
    character: str
    plain: str


class NotANumber(Message):
    what = "`{text}` is not a number"
    help = "write plain digits, such as 10000 or 0.5; several numbers are separated by commas"
    text: str


class CommaInNumber(Message):
    what = "`{text}` is two numbers with a comma between them"
    text: str
    before: str
    after: str

    def remedy(self) -> str:
        thousands = len(self.after) == 3 and not self.before.startswith("0")
        return f"write {self.before}{'' if thousands else '.'}{self.after}"


class ForeignComment(Message):
    what = "`{marker}` does not start a comment"
    help = "write # or // before each line of it"
    marker: str


class ParameterHere(Message):
    what = "`${name}` cannot stand here: a parameter is a value in a query"
    help = "write {name} for the variable; a query takes the parameter, P(Y | do({name} = ${name}))"
    name: str


class MomentBrackets(Message):
    what = "`{name}{bracket}` is not how a moment is written"
    name: str
    bracket: str

    def remedy(self) -> str:
        event = {"Pr": "Y == 1", "Quantile": "Y, 0.9"}.get(self.name, "Y")
        return f"use parentheses: {self.name}({event} | do(X = 1))"


class SignedMoment(Message):
    what = "a minus sign stands before a number only"
    help = "write  0 - E(...)  or  -1 * E(...)"


class RangeEvent(Message):
    what = "an event compares one variable with one value"
    help = "write a range as two events: Pr(Y >= 0, Y <= 1 | ...)"


class OverInQuery(Message):
    what = "a query is not swept over values: it takes them when it is sampled"
    help = "write an estimate:  estimate dose = E(Y | do(X)) over X = [0, 1]"


class QueryInGraph(Message):
    what = "a query does not name its graph"
    help = (
        "every question is answered under each graph; `--in {name}` on the command line picks one"
    )
    name: str


class ConditionOutside(Message):
    what = "`estimate` has no clause for conditions"
    help = "write them after the bar: E(Y | do(X = 1), Z = 1)"


class SweepShape(Message):
    what = "this is not how values to go through are written"
    help = (
        "write  over X = [0, 0.5, 1]  or  over X = grid(0, 1, 11); several with commas between them"
    )


class IncludeAs(Message):
    what = "an included file has no name of its own"
    help = "leave this out: its statements count as if they stood here"


class GraphNamedByString(Message):
    what = "a string after `graph` is the path of a file"
    help = "write the name of a graph without quotes: graph {name} {{ X -> Y }}"
    name: str


class DoInSample(Message):
    what = "`do(...)` is part of the query, not of its `sample`"
    help = 'set what the query leaves open by name:  sample effect, X = 1, n = 100 to "out.parquet"'


class QuotedQuestion(Message):
    what = "a question stands without quotes"
    help = "write {text}"
    text: str


class LevelsWithoutKind(Message):
    what = "levels alone are not a kind of variable"
    help = 'write categorical("a", "b"), ordinal("low", "high") or binary("no", "yes")'


class KindFirst(Message):
    what = "the kind stands before the variable"
    help = "write  var {name} : {kind}"
    name: str
    kind: str


class VarListComma(Message):
    what = "a comma is missing before {found}"
    help = "write  var {first}, {second} : kind"
    found: str
    first: str
    second: str


class FunctionAsValue(Message):
    what = "an intervention or a condition is a value, not a function: `{name}(...)`"
    help = "leave the variable open, do(X), and give the sampler one value a row when it runs"
    name: str
