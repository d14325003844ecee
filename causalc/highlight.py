"""Colours for ``.causal`` scripts in Sphinx, Jupyter and wherever else Pygments is."""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    Token,
)

STATEMENTS = (
    "graph",
    "include",
    "latent",
    "var",
    "data",
    "under",
    "model",
    "train",
    "query",
    "estimate",
    "over",
    "check",
    "sample",
    "to",
)


class CausalLexer(RegexLexer):
    """The query language of causalc."""

    name = "causalc"
    aliases = ("causal", "causalc")
    filenames = ("*.causal",)
    mimetypes = ("text/x-causal",)
    url = ""
    version_added = ""

    tokens = {  # noqa: RUF012 (the form that Pygments reads)
        "root": [
            (r"\s+", Text.Whitespace),
            (r"(#|//)[^\n\r]*", Comment.Single),
            (r'"(?:[^"\\\n\r]|\\.)*"', String.Double),
            (r"`(?:[^`\n\r]|``)*`", Name.Variable),
            (r"\$[^\W\d]\w*", Name.Variable.Magic),
            (words(STATEMENTS, prefix=r"(?<![\w.])", suffix=r"(?![\w.])(?!\s*=)"), Keyword),
            (r"(?<![\w.])do(?=\s*\()", Keyword.Reserved),
            (
                r"(?<![\w.])(P|E|Var|Pr|Median|Quantile)(\s*)(\()",
                bygroups(Name.Function, Text.Whitespace, Punctuation),
            ),
            (r"(?<![\w.])(true|false)(?![\w.])", Keyword.Constant),
            (r"<->|<-|->|--|[→←↔]", Operator.Word),
            (r"==|!=|<=|>=|[-<>=+*/|]", Operator),
            (r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w)", Number),
            (r"[\w.]+", Name),
            (r"[{}()\[\],:;]", Punctuation),
            (r".", Token.Error),
        ]
    }
