"""The messages about declarations: kinds, values, options, models and data."""

from __future__ import annotations

import re

from causalc.grammar.diagnostic import Message, Note, did_you_mean, listed, suggest
from causalc.grammar.source import Span

# ---- kinds


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
            "object": "categorical",
            "char": "text",
            "normal": "real",
            "gaussian": "real",
            "bernoulli": "binary",
            "poisson": "integer",
        }
        if self.name.lower() in ("date", "datetime", "time", "timestamp"):
            return "a date is no kind of its own: count its days or seconds, as integer or real"
        if re.fullmatch(r"u?int\d+|float\d+", self.name.lower()):
            return f"did you mean `{'real' if 'float' in self.name.lower() else 'integer'}`?"
        if self.name.lower() in synonyms:
            return f"did you mean `{synonyms[self.name.lower()]}`?"
        return suggest(self.name, self.known, f"the kinds are {listed(self.known)}")


class KindArguments(Message):
    what = "`{kind}` {wants}"
    help = "write {usage}"
    kind: str
    wants: str
    usage: str


class KindSize(Message):
    what = "a size of `{kind}` is a whole number from 1 to {limit}"
    help = "write {usage}"
    kind: str
    limit: int
    usage: str


class UnknownKindOption(Message):
    what = "`{kind}` has no option `{option}`"
    kind: str
    option: str
    meant: str
    known: tuple[str, ...]
    usage: str

    def remedy(self) -> str:
        return f"did you mean `{self.meant}`?" if self.meant else f"write {self.usage}"


class BadKindOption(Message):
    what = "this is not a value of the option `{option}` of `{kind}`"
    help = "write {usage}"
    kind: str
    option: str
    usage: str


class BareLevel(Message):
    what = "the level `{word}` stands without quotes"
    help = 'write "{word}"'
    word: str


class BadLevel(Message):
    what = "the levels of a `{kind}` are strings or whole numbers"
    help = "write {usage}"
    kind: str
    usage: str


class OneLevel(Message):
    what = "a `{kind}` variable has at least two levels"
    help = "write {usage}"
    kind: str
    usage: str


class TooFewLevels(Message):
    what = "a `{kind}` variable has at least two levels, not {number}"
    help = "give the number of its levels, {kind}(2) or more, or name them"
    kind: str
    number: str


class TooManyLevels(Message):
    what = "a variable cannot have more than {limit} levels"
    help = "declare it `integer`, or group its levels"
    limit: int


class MixedLevels(Message):
    what = "the levels of this `{kind}` are of several types"
    help = "write all of them as strings, or all as whole numbers, as in the data"
    kind: str


class RepeatedLevel(Message):
    what = "the level `{level}` is given twice"
    help = "keep one of them"
    level: str
    first: Span

    def notes(self) -> tuple[Note, ...]:
        return (Note("first given here", self.first),)


# ---- values


class BareWord(Message):
    what = "`{word}` stands without quotes where a value belongs"
    word: str

    def remedy(self) -> str:
        if self.word.lower() in ("true", "false", "yes", "no"):
            plain = "true" if self.word.lower() in ("true", "yes") else "false"
            return f'write {plain}, or "{self.word}" for a level of that name'
        if self.word.lower() in ("none", "null", "nan", "na"):
            return "a variable is set to a value it takes; leave it open by writing its name alone"
        return f'write "{self.word}" for the value, or ${self.word} for a parameter given when the program runs'


class NotALevel(Message):
    what = "`{value}` is not a level of `{name}`"
    value: str
    name: str
    levels: tuple[str, ...]

    def remedy(self) -> str:
        if self.value.startswith('"') and self.value[1:-1] in self.levels:
            return f"write {self.value[1:-1]}, without quotes"
        if f'"{self.value}"' in self.levels:
            return f'write "{self.value}", in quotes'
        meant = did_you_mean(self.value, (v for v in self.levels if v.startswith('"')))
        if meant:
            return f"did you mean {meant}?"
        if len(self.levels) > 12:
            return f"its levels run from {self.levels[0]} to {self.levels[-1]}"
        return f"its levels are {listed(self.levels)}"


class WrongValue(Message):
    what = "`{value}` is not a value of `{name}`, which is declared `{kind}`"
    help = "give {wanted}"
    value: str
    name: str
    kind: str
    wanted: str


class ListForOne(Message):
    what = "a list is not one value of `{name}`"
    help = "leave it open and sample once for each value, or give one value"
    name: str


class ParameterOutsideQuery(Message):
    what = "`${name}` cannot stand here: parameters belong to queries"
    help = "write the value itself; a query takes parameters, P(Y | do(X = $x)), and `sample` gives them"
    name: str


# ---- options


_A_MODEL_S = "models have it: model Y = diffusion({} = ...)"
CSV = {
    **dict.fromkeys(("sep", "delimiter"), "the file's columns are separated by commas: save it so"),
    **dict.fromkeys(("header", "names"), "the first line of the file names its columns"),
    **dict.fromkeys(("na_values", "na"), "a missing value is an empty cell: save the file so"),
}
TRAIN = {
    **dict.fromkeys(("lr", "learning_rate"), _A_MODEL_S.format("lr")),
    **dict.fromkeys(("epochs", "steps", "iterations"), _A_MODEL_S.format("steps")),
    **dict.fromkeys(("batch", "batch_size"), _A_MODEL_S.format("batch")),
    **dict.fromkeys(("gpu", "cuda"), 'write  device = "cuda"'),
    **dict.fromkeys(
        ("jobs", "workers", "n_jobs"), "say it on the command line: causalc run --jobs 4"
    ),
}
OPTIONS = {
    "epochs": "steps",
    "iterations": "steps",
    "learning_rate": "lr",
    "hidden": "width",
    "layers": "depth",
    "num_layers": "depth",
    "n_components": "components",
}


class UnknownOption(Message):
    what = "{subject} has no option `{option}`"
    subject: str
    option: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if self.option in CSV and self.subject == "`csv`":
            return CSV[self.option]
        if not self.known:
            return "it takes none: remove this one"
        if self.subject == "`train`" and self.option in TRAIN:
            return TRAIN[self.option]
        meant = OPTIONS.get(self.option)
        if meant in self.known:
            return f"did you mean `{meant}`?"
        return suggest(self.option, self.known, f"it takes {listed(self.known)}")


class BadOption(Message):
    what = "`{value}` is not a value of the option `{option}`"
    help = "give {wanted}"
    value: str
    option: str
    wanted: str


class Unnamed(Message):
    what = "`{callee}` takes its options by name"
    help = "write {callee}({example})"
    callee: str
    example: str


# ---- models


OTHER_FAMILIES = frozenset(
    {
        *("classifier", "forest", "gaussian", "gbm", "linear", "linearregression", "logistic"),
        *("logisticregression", "mlp", "network", "neural", "normal", "randomforest"),
        *("regression", "svm", "tree", "xgboost"),
    }
)


class UnknownFamily(Message):
    what = "`{name}` is not a model family"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if self.name.casefold().replace("_", "") in OTHER_FAMILIES:
            return "write `softmax` for labels, `mixture` for numbers, or leave the statement out"
        return suggest(self.name, self.known, f"the families are {listed(self.known)}")


class UnfitFamily(Message):
    what = "`{family}` cannot model `{name}`, which is declared `{kind}`"
    family: str
    name: str
    kind: str
    fitting: tuple[str, ...]

    def remedy(self) -> str:
        return f"use {listed((f'`{f}`' for f in self.fitting), 'or')}"


class UnfitBackbone(Message):
    what = "the backbone `{backbone}` is for images, and `{name}` is declared `{kind}`"
    help = 'write backbone="mlp", or leave the option out'
    backbone: str
    name: str
    kind: str


# ---- data


_AS_CSV = 'save the sheet as CSV and write csv("rows.csv")'
_FROM_PYTHON = "a data frame is given from Python: causalc.compile(...).fit(frame)"
SOURCES = {
    **dict.fromkeys(("excel", "xls", "xlsx", "ods", "sheet", "read_excel"), _AS_CSV),
    **dict.fromkeys(("df", "frame", "dataframe", "pandas", "polars"), _FROM_PYTHON),
    **dict.fromkeys(
        ("sql", "table", "database", "sqlite"), "write the rows to a CSV or Parquet file"
    ),
    **dict.fromkeys(("tsv", "txt", "tab"), "save it with commas and write csv(...)"),
    **dict.fromkeys(("json", "jsonl", "npz", "npy", "pickle", "rds"), "save it as CSV or Parquet"),
}


class UnknownSource(Message):
    what = "`{name}` is not a kind of data"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        name = self.name.rpartition(".")[2].lower()
        read = name.removeprefix("read_")
        if read in self.known:
            return f"did you mean `{read}`?"
        return SOURCES.get(name) or suggest(
            self.name, self.known, f"data are read by {listed(self.known, 'or')}"
        )


class SourcePath(Message):
    what = "`{source}` takes one path, and options by name"
    help = 'write {source}("{path}")'
    source: str
    path: str


class UnknownDataOption(Message):
    what = "`{option}` is neither an option of the data nor a variable of the graph"
    option: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        advice = 'write  split = "train",  or  variable = "column"  for a column of another name'
        return suggest(self.option, self.known, advice)


class NotAColumn(Message):
    what = "a column's name is a string"
    help = 'write  {name} = "column"'
    name: str


class EmptyPath(Message):
    what = "this path is empty"
    help = "name a file or a folder"


class PathCharacter(Message):
    what = "this path holds an invisible character, {point}"
    help = (
        'in a string \\n is a line end and \\t a tab: write "/" in paths, or each backslash twice'
    )
    point: str


class NotAFile(Message):
    what = "this is an address on a network, and nothing is fetched"
    help = "download the file and name that"
