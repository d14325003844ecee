"""The messages about a text that cannot be read: one class a mistake, its prose in the class."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message, Note, did_you_mean
from causalc.grammar.source import Span

# ---- characters, names and values


class NumberTooLarge(Message):
    what = "this number is too large"
    help = "numbers are 64-bit floats: stay below 1.8e308"


class ListTooDeep(Message):
    what = "lists are nested more than {limit} deep"
    help = "write a flat list, for example [16, 32]"
    limit: int


class ExpressionTooLong(Message):
    what = "this expression has more than {limit} operators"
    help = "split it into several `estimate` statements"
    limit: int


class EmptyName(Message):
    what = "this name is empty"
    help = "put the name of a variable between the backticks"


class ControlCharacter(Message):
    what = "a name cannot hold the invisible character {point}"
    help = "remove it; if the column of your data really holds it, rename the column"
    point: str


class BadEscape(Message):
    what = "this string holds an escape that does not exist"
    help = (
        'write a backslash as \\\\, or a path with "/"; the other escapes are \\" \\n \\t \\u0041'
    )


class RepeatedOption(Message):
    what = "`{name}` is given twice"
    help = "keep one of them"
    name: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("first given here", self.first),)


class PositionalAfterOption(Message):
    what = "an argument without a name follows the option `{option}`"
    help = "put the arguments first and the `name=value` options after them"
    option: str


# ---- files


class CannotInclude(Message):
    what = "`{path}` cannot be included: {reason}"
    help = "name a .causal file in the folder of this script or below it"
    path: str
    reason: str


class IncludedTwice(Message):
    what = "`{path}` is a part of this script already"
    help = "include each file once, and none from within itself"
    path: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("it is first read here", self.first),)


class TooManyIncludes(Message):
    what = "more than {limit} files are included"
    help = "put what belongs together into one file"
    limit: int


# ---- graphs


class UnknownArrow(Message):
    what = "`{arrow}` is not an edge of a causal graph"
    arrow: str

    def remedy(self) -> str:
        plain = {
            "→": "->",
            "-->": "->",
            "=>": "->",
            "←": "<-",
            "<--": "<-",
            "↔": "<->",
            "<=>": "<->",
            "<-->": "<->",
            "<==>": "<->",
            "--->": "->",
        }
        if self.arrow in plain:
            return f"write {plain[self.arrow]}"
        return "write X -> Y for a direct cause and X <-> Y for a latent common cause"


class NotADag(Message):
    what = "a `{header}` is not a graph that can be read here"
    header: str

    def remedy(self) -> str:
        if self.header.lower() == "digraph":
            return "DOT is read from a file that ends in .dot; here write dag { X -> Y }"
        return "write dag { X -> Y; X <-> Y }: `<->` stands for a latent common cause"


class NotAProperty(Message):
    what = "`{key} = {value}` is not an edge"
    help = "write {value} -> {key} if {value} is a cause of {key}"
    key: str
    value: str


class LatentWithoutComma(Message):
    what = "`{name}` follows a latent variable without a comma"
    help = "write `latent U, {name}` if it is latent too; otherwise put it on a line of its own"
    name: str


class StrayName(Message):
    what = "`{name}` stands beside another statement and in no edge"
    name: str
    phrase: str

    def remedy(self) -> str:
        if self.name.endswith((".causal", ".dag", ".dot", ".gml", ".txt")):
            return 'a graph in braces reads no file: write  graph "file.dag"'
        if self.name.lower() in ("hidden", "unobserved", "unmeasured", "latents"):
            return "did you mean `latent`?"
        if self.phrase:
            return f"one name of several words stands in backticks: `{self.phrase}`; else put `;` between"
        return (
            f"write an edge, X -> Y; or `; {self.name};` if it is a variable without edges, "
            "or give it a line of its own"
        )


class EdgeWithDirection(Message):
    what = "`dir` turns an edge round in DOT; here an arrow says where it points"
    help = "write X -> Y, or X <-> Y for a latent common cause, without `dir`"


class LatentWithoutName(Message):
    what = "`latent` names no variable"
    help = "name one, latent U; a variable that is called latent stands in backticks"


# ---- queries


class NakedDo(Message):
    what = "`do` needs parentheses"
    help = "write do({name})"
    name: str


class EmptyDo(Message):
    what = "`do()` sets nothing"
    help = (
        "name a variable, do(X) or do(X = 1), or leave out `do()` to ask an observational question"
    )


class NestedDo(Message):
    what = "`do` inside `do`"
    help = "write all interventions in one do: do(X = 1, W = 0)"


class UnequalDo(Message):
    what = "an intervention sets a variable; `{name} {comparison} ...` does not say to what"
    help = "write do({name} = value), or do({name}) to leave the value open until the program runs"
    name: str
    comparison: str


class PolicyOutsideDo(Message):
    what = "a rule for a variable stands outside `do(...)`"
    help = "write it inside: P(Y | do(X ~ bernoulli(0.3)), Z)"


class PolicyInData(Message):
    what = "an experiment's rows say which variables were set, not how"
    help = "name the variable alone: under do(X)"


class UnquotedLevel(Message):
    what = "`{text}` stands where a level belongs"
    help = 'write a level as it is in the data: 0, 1.5, true, or "{text}" in quotes'
    text: str


class RuleTooDeep(Message):
    what = "a rule nested more than {most} deep"
    help = "simplify it: table, threshold and linear nest to say what depends on what"
    most: int


class SeveralDos(Message):
    what = "a query has one `do`"
    help = "write all interventions in it: do(X = 1, W = 0)"
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first `do` is here", self.first),)


class NumberAsOutcome(Message):
    what = "a number stands where `{function}` takes a variable"
    function: str

    def remedy(self) -> str:
        if self.function == "Median":
            return "write Median(Y | ...), which is Quantile(Y, 0.5 | ...)"
        return f"name the variable: {self.function}(Y | ...)"


class OneShare(Message):
    what = "a quantile has one share"
    help = "write an estimate for each: Quantile(Y, 0.1 | ...), then Quantile(Y, 0.9 | ...)"


class ShareMissing(Message):
    what = "this `Quantile` does not say which one"
    help = "write the share below it after the variable, Quantile({name}, 0.9 | ...), or Median({name} | ...)"
    name: str


class ShareRange(Message):
    what = "the share of a quantile lies between 0 and 1, and {value:g} does not"
    value: float

    def remedy(self) -> str:
        if 1 < self.value < 100:
            return f"write {self.value / 100:g} for the {self.value:g} % quantile"
        return "write 0.9 for the value that 90 % lie below"


class UnequalCondition(Message):
    what = "a condition is a value; `{name} {comparison} ...` is not"
    name: str
    comparison: str

    def remedy(self) -> str:
        if self.comparison == "==":
            return f"write {self.name} = value, with one `=`"
        return f"condition on a value, {self.name} = ..., or leave it open with {self.name} alone"


class NothingAfterBar(Message):
    what = "nothing follows the bar"
    help = "write an intervention or a condition, P(Y | do(X), Z), or leave out the bar"


class NoOutcome(Message):
    what = "no outcome stands before the bar"
    help = "name what you want to know about: P(Y | do(X))"


class ValueOnOutcome(Message):
    what = "a query asks for the whole distribution of `{name}`, not for one value"
    help = (
        "write P({name} | ...) here; for the probability of that value, "
        "`estimate p = Pr({name} {comparison} ... | ...)`"
    )
    name: str
    comparison: str


class DoBeforeBar(Message):
    what = "`do(...)` stands before the bar, or the bar is missing"
    help = "separate outcome and intervention by a bar: P(Y | do(X))"


class DoAsOutcome(Message):
    what = "`do(...)` stands where the outcome belongs"
    help = "name the outcome before the bar and the intervention after it: P(Y | do(X))"


class MomentAsQuery(Message):
    what = "a query asks for a distribution, and `{function}(...)` is a number"
    help = "write `estimate name = {function}(...)`, or ask for P(...)"
    function: str


class SubscriptedP(Message):
    what = "`{head}(...)` is not how an intervention is written"
    help = "write P(y | do(x))"
    head: str


class NotADistribution(Message):
    what = "a query starts with `P(`, not with `{head}(`"
    help = "write P(Y | do(X), Z)"
    head: str


_SAMPLED = "sample the query and compute it from the rows"
MOMENTS = (
    (("p", "prob", "probability"), "write Pr(Y == 1 | ...) for the probability of an event"),
    (
        ("ate", "effect", "difference", "contrast", "rd"),
        "write E(Y | do(X = 1)) - E(Y | do(X = 0))",
    ),
    (("rr", "ratio", "risk_ratio"), "write E(Y | do(X = 1)) / E(Y | do(X = 0))"),
    (
        ("or", "odds", "odds_ratio"),
        "write Pr(Y == 1 | do(X = 1)) / Pr(Y == 0 | do(X = 1)) for the odds of Y; their ratio is that of two such",
    ),
    (
        ("quantile", "q", "percentile", "perc", "pctl"),
        "write Quantile(Y, 0.9 | ...), with the share from 0 to 1",
    ),
    (
        ("sd", "std", "stdev", "stddev"),
        "write Var(Y | ...): its root is the standard deviation",
    ),
    (
        ("cate", "hte", "ite"),
        "write E(Y | do(X = 1), Z) - E(Y | do(X = 0), Z): a line for each Z",
    ),
    (
        ("att", "atc", "atu", "ett"),
        "what the treated would have had is a counterfactual, which is not answered; "
        "E(Y | do(X = 1)) - E(Y | do(X = 0)) is the effect in all",
    ),
    (
        ("nde", "nie", "cde", "direct", "indirect"),
        "natural effects are counterfactual; the controlled one is "
        "E(Y | do(X = 1, M = 0)) - E(Y | do(X = 0, M = 0))",
    ),
    (("log", "exp", "sqrt", "abs", "max", "min"), _SAMPLED),
    (("cov", "corr", "cor", "correlation", "covariance", "entropy", "kl"), _SAMPLED),
    (("mean", "avg", "average", "expectation", "expected"), "write E(Y | ...)"),
)


class UnknownMoment(Message):
    what = "`{function}` cannot be estimated"
    function: str

    def remedy(self) -> str:
        known = next((hint for names, hint in MOMENTS if self.function.lower() in names), None)
        if known:
            return known
        meant = did_you_mean(self.function, ("E", "Var", "Pr", "Median", "Quantile"))
        hint = f"did you mean `{meant}`? " if meant else ""
        return f"{hint}use E(Y | ...), Var(Y | ...), Median(Y | ...) or Pr(Y == 1 | ...)"


class OneOutcomeOnly(Message):
    what = "`{function}` is of one variable"
    help = "write one {function}(...) for each"
    function: str


class ComparisonInMoment(Message):
    what = "`{function}` is of a variable, not of an event"
    function: str
    name: str

    def remedy(self) -> str:
        share = ", 0.9" if self.function == "Quantile" else ""
        moment = f"{self.function}({self.name}{share} | ...)"
        return f"write {moment}, or Pr({self.name} ... | ...) for the probability of the event"


class SingleEqual(Message):
    what = "an event is written with `==`"
    help = "write {name} == ..."
    name: str


class EventNeeded(Message):
    what = "`Pr` is the probability of an event, and `{name}` alone is none"
    help = "write Pr({name} == ... | ...), or E({name} | ...) for its mean"
    name: str


class TwoRoles(Message):
    what = "`{name}` is in the query twice"
    name: str
    role: str
    first_role: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note(f"it is already {_article(self.first_role)} here", self.first),)

    def remedy(self) -> str:
        if self.role == self.first_role:
            return "name it once"
        return "a variable is an outcome, an intervention or a condition: keep one of the two"


def _article(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"
