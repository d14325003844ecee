"""The messages about policies, the rules by which ``do`` sets a variable."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message


class UnknownRule(Message):
    what = "there is no rule `{name}`"
    name: str
    hint: str

    def remedy(self) -> str:
        return self.hint


class WrongPolicy(Message):
    what = "{reason}"
    help = "{hint}"
    reason: str
    hint: str


class PolicyReadsEffect(Message):
    what = "the policy of `{variable}` reads `{name}`, which setting `{variable}` moves"
    help = "let it read what comes before `{variable}`: no cause can wait for its own effect"
    variable: str
    name: str


class PolicyReadsLatent(Message):
    what = "`{name}` is latent, and the policy of `{variable}` reads it"
    help = "let the policy read measured variables: what is not measured cannot be acted on"
    name: str
    variable: str


class TableOfNumbers(Message):
    what = "`{name}` is {kind}: a table cannot list its values"
    help = "write threshold({name}, at) or linear(intercept, {name} = slope)"
    name: str
    kind: str


class CaseMissing(Message):
    what = "the table says nothing for {name} = {level}"
    help = "add a case for it: {{{level}: ...}}"
    name: str
    level: str


class RuleNeedsNumber(Message):
    what = "`{name}` is {kind}, and this rule needs numbers"
    help = "write table({name}, {{level: value, ...}}), which lists its levels"
    name: str
    kind: str


class RuleDoesNotFit(Message):
    what = "`{rule}` gives no values that `{name}` can take: it is {kind}"
    rule: str
    name: str
    kind: str

    def remedy(self) -> str:
        if self.kind.startswith("real"):
            return "for a number write normal(mean, sd), uniform(low, high), linear(...) or threshold(...)"
        if self.kind.startswith("integer"):
            return "for a whole number write uniform(low, high), table(...) or threshold(...)"
        if self.kind.startswith(("binary", "categorical", "ordinal")):
            return "for levels write categorical({level: probability, ...}), uniform(), table(...) or threshold(...)"
        return f"leave it open, do({self.name}), and give the sampler a value when it runs"
