"""The messages about what the language can say and this version cannot do: nothing is ignored silently."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message, Note
from causalc.grammar.source import Span


class ExperimentalData(Message):
    what = (
        "`{name}` holds data from an experiment, and models are trained on observational data alone"
    )
    help = "remove this statement; its rows are not to be mixed with observed ones either"
    name: str


class SecondData(Message):
    what = "a second data set: models are trained on one"
    help = (
        "put files with the same columns into one folder and name that, join them if their columns differ, "
        "or keep one statement and name the other file with --data"
    )
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("the first is here", self.first),)


class SplitOption(Message):
    what = "splits of a data set are not chosen by name"
    help = "name the file or the folder of the split `{split}` itself"
    split: str


class OneRefit(Message):
    what = "one refit shows no spread"
    help = "write  bootstrap = 20,  or leave it out"


class OutputSuffix(Message):
    what = "samples are not written as `{suffix}`"
    help = (
        "end the path in .csv, .parquet or .npz; in .png for one picture of many images; "
        'or name a folder, "out/", for a table and one file an image'
    )
    suffix: str


class NoImage(Message):
    what = "`{query}` has no image to put into a picture"
    help = "end the path in .csv, .parquet or .npz"
    query: str


class SeldomRepeats(Message):
    what = "`{family}` looks up rows with the same inputs, and `{name}` in {factor} is `{kind}`"
    help = "use a family that learns, such as `softmax` or `diffusion`, or leave the statement out"
    family: str
    factor: str
    name: str
    kind: str
