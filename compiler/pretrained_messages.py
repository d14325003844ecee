"""The messages about models that somebody else trained: what they may stand for, and why not."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message


class PretrainedSource(Message):
    what = "`pretrained` takes one model: the path of its folder, or a function of the host program by name"
    help = 'write pretrained("folder"), or pretrained(callable = "name")'


class OwnInput(Message):
    what = "`{name}` cannot be an input of the model that draws it"
    help = "leave it out of the list"
    name: str


class RepeatedInput(Message):
    what = "the input `{name}` is given twice"
    help = "keep one of them; a model reads its inputs in this order"
    name: str


class NoSuchFactor(Message):
    what = "no factor of this program draws `{name}`"
    help = "it is set, not needed, or drawn as real rows of the data: leave the statement out"
    name: str


class OtherFactor(Message):
    what = "this model cannot stand for {factor}: {reason}"
    factor: str
    reason: str
    legal: str

    def remedy(self) -> str:
        if not self.legal:
            return "leave the statement out: this factor has to be trained here"
        return (
            f"{self.legal} is the factor that a model may stand for: list its inputs, and no others"
        )


class UnusableModel(Message):
    what = "this model cannot be used: {reason}"
    help = "nothing of it was loaded or run; the model can be saved again, or another one named"
    reason: str


class MisfitModel(Message):
    what = "this model cannot stand for {factor}: {reason}"
    help = "name a model made for this factor, or declare the variables as the model has them"
    factor: str
    reason: str
