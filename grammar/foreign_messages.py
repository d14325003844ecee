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
    help = (
        "write a range as two events, Pr(Y >= 0, Y <= 1 | ...), and several values as a sum, "
        "Pr(Y == 1 | ...) + Pr(Y == 2 | ...)"
    )


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
    help = "write  var {first}, {second} : kind;  one name of several words stands in backticks"
    found: str
    first: str
    second: str


class FunctionAsValue(Message):
    what = "an intervention or a condition is a value, not a function: `{name}(...)`"
    help = "leave the variable open, do(X), and give the sampler one value a row when it runs"
    name: str


# ---- formulas


class Latex(Message):
    what = "`{command}` is LaTeX"
    help = "write it in plain characters: {plain}"
    command: str
    plain: str


class LineContinued(Message):
    what = "a line needs no `\\` at its end"
    help = "leave it out: newlines mean nothing"


class Power(Message):
    what = "powers are not computed"
    help = "multiply, E(...) * E(...), or sample the query and compute it from the rows"


class ValueArithmetic(Message):
    what = "a value is not computed in its place"
    help = "write the number itself; what depends on other variables is a rule, do(X = linear(1, Z = 2))"


class PlusSign(Message):
    what = "a `+` stands before a number"
    help = "write {number}"
    number: str


class PercentSign(Message):
    what = "`{text}` is not a number"
    help = "write {share}"
    text: str
    share: str


class DoValueOutside(Message):
    what = "the value of an intervention stands inside `do(...)`"
    help = "write do({name} = {value})"
    name: str
    value: str


class ValueFirst(Message):
    what = "a number stands where a variable belongs"
    help = "name the variable first: {example}"
    example: str


class NumberAsName(Message):
    what = "`{number}` is read as a number, not as the name of a variable"
    help = "put the name in backticks: `{number}`"
    number: str


class SetInDo(Message):
    what = "an intervention sets a variable to one value"
    help = "leave it open, do({name}); an estimate goes through values: E(Y | do({name})) over {name} = [0, 1]"
    name: str


class OrEvent(Message):
    what = "events are joined by commas, which mean and; there is no `{word}`"
    help = "add up what cannot happen together: Pr(Y == 1 | ...) + Pr(Y == 2 | ...)"
    word: str


class QueryAsNumber(Message):
    what = "`{name}` is a query, a whole distribution, and no number"
    help = "write the number you want of it:  E(Y | do(X = 1)) - E(Y | do(X = 0))"
    name: str


class NoClause(Message):
    what = "`estimate` has no clause `{word}`"
    help = "what may follow is `over`; intervals come with  train {{ bootstrap = 20 }}"
    word: str


class TrailingMark(Message):
    what = "a statement does not end in `{mark}`"
    help = "remove it"
    mark: str


class Formula(Message):
    what = "`{text}` is a formula of R; here the graph says what depends on what"
    help = "write {example}"
    text: str
    example: str


class Assignment(Message):
    what = "nothing is assigned here: every statement starts with its keyword"
    help = "write  {example}"
    example: str


class CallInside(Message):
    what = "`{name}(...)` is called in another language"
    help = "write the values themselves, with commas between them"
    name: str


class BackticksAroundValue(Message):
    what = "backticks hold names, and a string belongs here"
    help = 'write "{text}"'
    text: str


class RowsNotChosen(Message):
    what = "rows are not chosen in a script"
    help = "write those you want to a file of their own, and name that"


class ColumnsInBraces(Message):
    what = "columns of other names stand in braces"
    help = 'write  {{ X = "column" }}'


class ColumnFirst(Message):
    what = "the variable stands first, then its column"
    help = 'write  {variable} = "{column}"'
    variable: str
    column: str


class RowsUnnamed(Message):
    what = "`{number}` does not say what it is"
    help = 'write  sample effect, n = {number} to "out.parquet"'
    number: str


class OneEach(Message):
    what = "a `{keyword}` is of one {thing}"
    help = "write a statement for each"
    keyword: str
    thing: str


class CallForm(Message):
    what = "`{keyword}` is no function"
    help = "write  {example}"
    keyword: str
    example: str


# ---- graphs and names


class HyphenInName(Message):
    what = "`{text}` is not one plain word"
    help = "write {written}"
    text: str
    written: str


class DigitFirst(Message):
    what = "a name does not begin with a digit"
    help = "write for example  {example}"
    example: str


class EquationInGraph(Message):
    what = "a graph holds edges, not equations"
    help = "write X -> Y for each X that Y is computed from; how, is learnt from the data"


class EdgeWeight(Message):
    what = "an edge has no weight here"
    help = "leave it out: how strong an effect is, is learnt from the data"


class EdgeAsPair(Message):
    what = "an edge is not written as a pair"
    help = "write X -> Y"


class PlusInGraph(Message):
    what = "variables are not added up in a graph"
    help = "list several in braces: {{X Z}} -> Y"


class ArrowAfterBrackets(Message):
    what = "brackets end an edge: this arrow has nothing on its left"
    help = "if they are part of the name, put it in backticks: `{name}`"
    name: str


class GraphInGraph(Message):
    what = "a graph stands inside another"
    help = "leave `{word} {{` and its `}}` out: graph {{ X -> Y }}"
    word: str
