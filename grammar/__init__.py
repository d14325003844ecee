"""The query language: text to tree and back."""

from causalc.grammar.diagnostic import LanguageError
from causalc.grammar.format import format_script
from causalc.grammar.parser import parse, parse_file, parse_graph, parse_kind, parse_query
from causalc.grammar.source import Source, Span

__all__ = [
    "LanguageError",
    "Source",
    "Span",
    "format_script",
    "parse",
    "parse_file",
    "parse_graph",
    "parse_kind",
    "parse_query",
]
