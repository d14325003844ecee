"""``causalc lsp``: the language server, over standard input and output. Needs the extra ``lsp`` (pygls)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from causalc import __version__
from causalc.editing import Finding, Reading
from causalc.errors import CausalcError
from causalc.grammar import Source, Span, format_script, parse

SEVERITY = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}
BREATH = 0.003  # seconds: the next key may be on its way already
IDLE = 0.3  # seconds without a key
ITEM = {
    "variable": lsp.CompletionItemKind.Variable,
    "query": lsp.CompletionItemKind.Function,
    "keyword": lsp.CompletionItemKind.Keyword,
    "kind": lsp.CompletionItemKind.Class,
}
SYMBOL = {
    "graph": lsp.SymbolKind.Namespace,
    "query": lsp.SymbolKind.Function,
    "estimate": lsp.SymbolKind.Number,
    "data": lsp.SymbolKind.Array,
    "model": lsp.SymbolKind.Class,
}


class Server(LanguageServer):
    """Keeps the reading of each open text until the text changes.

    Keys that come in one breath are answered once. What would help queries that are not identifiable is
    found beside, while nobody types, and told when it is there.
    """

    def __init__(self) -> None:
        super().__init__("causalc", __version__)
        self.readings: dict[str, Reading] = {}
        self.pending: dict[str, asyncio.TimerHandle] = {}

    def reading(self, uri: str) -> Reading:
        """The reading of an open text as it is now."""
        text = self.workspace.get_text_document(uri).source
        known = self.readings.get(uri)
        if known is None or known.source.text != text:
            before = known.known if known else None
            known = self.readings[uri] = Reading.of(text, _folder(uri), before)
        return known

    def later(self, uri: str, seconds: float, act: Callable[[str], object]) -> None:
        """Do something about an open text in a while, unless it changes before."""
        self.drop(uri)
        loop = asyncio.get_running_loop()
        self.pending[uri] = loop.call_later(seconds, self._now, uri, act)

    def _now(self, uri: str, act: Callable[[str], object]) -> None:
        self.pending.pop(uri, None)
        act(uri)

    def drop(self, uri: str) -> None:
        """Do not do what was to be done later."""
        if uri in self.pending:
            self.pending.pop(uri).cancel()

    def publish(self, uri: str) -> None:
        """Send what is wrong with an open text, as far as that is known at once."""
        reading = self.reading(uri)
        self._send(uri, reading)
        if any(a.verdict.refusal and a.verdict.help is None for a in reading.asked):
            self.later(uri, IDLE, self._help)

    def _help(self, uri: str) -> None:
        reading = self.reading(uri)

        def stale() -> bool:
            return uri in self.pending or self.readings.get(uri) is not reading

        found = asyncio.get_running_loop().run_in_executor(None, reading.find_help, stale)

        def told(done: asyncio.Future[bool]) -> None:
            if not done.exception() and done.result() and not stale():
                self._send(uri, reading)

        found.add_done_callback(told)

    def _send(self, uri: str, reading: Reading) -> None:
        version = self.workspace.get_text_document(uri).version
        found = [_diagnostic(f, reading.source) for f in reading.findings(wait=False)]
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri, found, version=version)
        )


def _folder(uri: str) -> Path:
    """The folder of a file; graph files of texts that are no files are looked for nowhere."""
    parts = urlparse(uri)
    if parts.scheme != "file":
        return Path()
    return Path(url2pathname(unquote(parts.path))).parent


def _position(source: Source, offset: int) -> lsp.Position:
    """A place as the protocol counts: lines and UTF-16 units, from 0."""
    line, column = source.line_column(min(offset, len(source.text)))
    before = source.text[source.line_starts[line - 1] :][: column - 1]
    return lsp.Position(line - 1, len(before.encode("utf-16-le")) // 2)


def _offset(source: Source, place: lsp.Position) -> int:
    if place.line >= len(source.line_starts):
        return len(source.text)
    units = source.line(place.line + 1).encode("utf-16-le")[: 2 * place.character]
    return source.line_starts[place.line] + len(units.decode("utf-16-le", "ignore"))


def _range(source: Source, span: Span) -> lsp.Range:
    return lsp.Range(_position(source, span.start), _position(source, span.end))


def _diagnostic(found: Finding, source: Source) -> lsp.Diagnostic:
    return lsp.Diagnostic(
        _range(source, found.span), found.text, severity=SEVERITY[found.severity], source="causalc"
    )


def server() -> Server:
    """A server with every feature, not yet started."""
    made = Server()

    @made.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
        ls.publish(params.text_document.uri)

    @made.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
        ls.later(params.text_document.uri, BREATH, ls.publish)

    @made.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
        ls.drop(params.text_document.uri)
        ls.readings.pop(params.text_document.uri, None)

    @made.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hover(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
        reading = ls.reading(params.text_document.uri)
        found = reading.hover(_offset(reading.source, params.position))
        if found is None:
            return None
        text = lsp.MarkupContent(lsp.MarkupKind.Markdown, found[1])
        return lsp.Hover(text, _range(reading.source, found[0]))

    @made.feature(
        lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["(", "|", ":", "="])
    )
    def complete(ls: Server, params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        reading = ls.reading(params.text_document.uri)
        words = reading.completions(_offset(reading.source, params.position))
        return [lsp.CompletionItem(w, kind=ITEM.get(sort), detail=sort) for w, sort in words]

    @made.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def define(ls: Server, params: lsp.DefinitionParams) -> lsp.Location | None:
        reading = ls.reading(params.text_document.uri)
        span = reading.definition(_offset(reading.source, params.position))
        uri = params.text_document.uri
        return None if span is None else lsp.Location(uri, _range(reading.source, span))

    @made.feature(lsp.TEXT_DOCUMENT_RENAME)
    def rename(ls: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        reading = ls.reading(params.text_document.uri)
        try:
            found = reading.renamed(_offset(reading.source, params.position), params.new_name)
        except CausalcError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        edits = [lsp.TextEdit(_range(reading.source, span), text) for span, text in found]
        return lsp.WorkspaceEdit(changes={params.text_document.uri: edits})

    @made.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def layout(ls: Server, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        source = ls.reading(params.text_document.uri).source
        try:
            text = format_script(parse(source.text))
        except CausalcError:  # the diagnostics say what is wrong
            return []
        return [lsp.TextEdit(_range(source, Span(0, len(source.text))), text)]

    @made.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def outline(ls: Server, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        reading = ls.reading(params.text_document.uri)
        return [
            lsp.DocumentSymbol(name, SYMBOL.get(sort, lsp.SymbolKind.Variable), place, place, sort)
            for name, sort, span in reading.symbols()
            for place in (_range(reading.source, span),)
        ]

    return made
