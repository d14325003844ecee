"""What a script may say and this version cannot do: refused with a remedy before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from causalc.compiler import support_messages as s
from causalc.compiler.checked import CheckedScript
from causalc.grammar.diagnostic import LanguageError, Message
from causalc.grammar.source import NOWHERE, Span
from causalc.grammar.tree import DataStatement, Options, Script, TrainStatement

OUTPUTS = ("", ".csv", ".parquet", ".npz", ".png")


def check_support(script: Script, checked: CheckedScript) -> None:
    """Raise ``LanguageError`` with every statement of a checked script that would have to be ignored."""
    found = [*_data(script), *_train(script), *_outputs(script, checked)]
    if found:
        assert script.source is not None
        raise LanguageError([(message, script.source) for message in found])


def _data(script: Script) -> Iterator[Message]:
    observed = [d for d in script.data if not d.under]
    for statement in script.data:
        if statement.under:
            yield s.ExperimentalData(statement.span, statement.name.text)
        elif statement is not observed[0]:
            yield s.SecondData(statement.span, observed[0].span)
        yield from _data_options(statement)


def _data_options(statement: DataStatement) -> Iterator[Message]:
    for name, span in _spans(statement.options, statement.option_spans):
        if name == "split":
            split = dict(statement.options)[name]
            yield s.SplitOption(span, str(getattr(split, "value", "")))


def _train(script: Script) -> Iterator[Message]:
    for statement in script.statements:
        if isinstance(statement, TrainStatement):
            for name, span in _spans(statement.options, statement.option_spans):
                value = getattr(dict(statement.options)[name], "value", None)
                if name == "bootstrap" and value == 1:
                    yield s.OneRefit(span)


def _outputs(script: Script, checked: CheckedScript) -> Iterator[Message]:
    outcomes = {q.name: [n.text for n in q.query.outcomes] for q in checked.queries}
    for sample in checked.samples:
        suffix = PurePosixPath(sample.path).suffix.lower()
        if suffix not in OUTPUTS:
            yield s.OutputSuffix(sample.span, suffix)
        kinds = [checked.schema.get(name) for name in outcomes[sample.query]]
        if suffix == ".png" and all(kind and kind.name != "image" for kind in kinds):
            yield s.NoImage(sample.span, sample.query)


def _spans(options: Options, spans: tuple[Span, ...]) -> Iterator[tuple[str, Span]]:
    for i, (name, _) in enumerate(options):
        yield name, spans[i] if i < len(spans) else NOWHERE
