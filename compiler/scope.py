"""What the checks of a script share: the variables seen so far, and the mistakes found so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from causalc.compiler import declaration_messages as d
from causalc.compiler import messages as m
from causalc.compiler.families import Rules, accepts, describe
from causalc.compiler.kinds import Kind, parameter_in
from causalc.grammar.diagnostic import LanguageError, Message
from causalc.grammar.printer import value_text
from causalc.grammar.source import NOWHERE, Source, Span
from causalc.grammar.tree import EstimateStatement, Name, Options, QueryStatement, Value


@dataclass(slots=True)
class Scope:
    """The state of one check; the only mutable object of it."""

    source: Source
    found: list[tuple[Message, Source]] = field(default_factory=list)
    observed: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    latent: dict[str, Span | None] = field(default_factory=dict)
    graph_known: bool = True
    graph_name: str = "the graph"
    kinds: dict[str, Kind] = field(default_factory=dict)
    queries: dict[str, QueryStatement] = field(default_factory=dict)
    estimates: dict[str, EstimateStatement] = field(default_factory=dict)

    def say(self, message: Message, source: Source | None = None) -> None:
        """Note a mistake; ``source`` is the graph's own text where it is not the script's."""
        self.found.append((message, source or self.source))

    def raise_if_any(self) -> None:
        """Raise ``LanguageError`` if a mistake was noted."""
        if self.found:
            raise LanguageError(self.found)

    def is_variable(self, name: Name, what_it_has: str) -> bool:
        """Whether a name is an observed variable; notes what is wrong where it is not."""
        if name.text in self.latent:
            declared = self.latent[name.text]
            self.say(m.LatentDeclared(name.span, name.text, what_it_has, declared))
            return False
        return self.is_known(name)

    def is_known(self, name: Name) -> bool:
        """Whether a name is in the graph; notes what is wrong where it is not."""
        if not self.graph_known or name.text in self.observed or name.text in self.latent:
            return True
        if name.text in self.queries or name.text in self.estimates:
            kind = "a query" if name.text in self.queries else "an estimate"
            self.say(m.QuestionAsVariable(name.span, name.text, kind))
        else:
            self.say(m.UnknownVariable(name.span, name.text, self.observed, self.graph_name))
        return False

    def is_parameter(self, value: Value) -> bool:
        """Note a ``$parameter`` in a value where none can stand."""
        parameter = parameter_in(value)
        if parameter:
            self.say(d.ParameterOutsideQuery(parameter.span, parameter.name))
        return parameter is not None

    def check_options(
        self, subject: str, options: Options, spans: tuple[Span, ...], rules: Rules
    ) -> None:
        """Note options that do not exist and values that they do not take."""
        for i, (name, value) in enumerate(options):
            span = spans[i] if i < len(spans) else NOWHERE
            if name not in rules:
                self.say(d.UnknownOption(span, subject, name, tuple(rules)))
            elif self.is_parameter(value):
                pass
            elif not accepts(rules[name], value):
                wanted = describe(rules[name])
                self.say(d.BadOption(value.span, value_text(value), name, wanted))

    def once(self, subject: str, names: Iterable[Name], verb: str = "declared") -> None:
        """Note names that are declared, or whatever ``verb`` says, a second time."""
        first: dict[str, Span] = {}
        for name in names:
            if name.text in first:
                self.say(m.Redeclared(name.span, subject, name.text, verb, first[name.text]))
            first.setdefault(name.text, name.span)
