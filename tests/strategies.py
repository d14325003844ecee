"""Hypothesis strategies: syntax trees of every shape that the parser can give."""

from __future__ import annotations

from hypothesis import strategies as st

from causalc.grammar import tree as t

NASTY = (
    'x"""+__import__("os").system("id")+"""',
    "{{7*7}}",
    "class",
    "__init__",
    "do",
    "to",
    "latent",
    "dag",
    "P",
    "true",
    "graph",
    "a b",
    "`",
    "``",
    "1",
    "-1",
    ".",
    "a.b",
    "σ",
    "治疗",
    "# no comment",
    "// neither",
    '"',
    "a\\",
    "$x",
    "e\u0301",
)
words = st.from_regex(r"[A-Za-zσé_][A-Za-z0-9_]{0,6}", fullmatch=True)
odd = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=8
).filter(str.strip)
texts = st.one_of(words, st.sampled_from(NASTY), odd)
names = texts.map(t.Name)
strings = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)


def few(items: st.SearchStrategy, least: int = 1, most: int = 3) -> st.SearchStrategy:
    """Short tuples."""
    return st.lists(items, min_size=least, max_size=most).map(tuple)


numbers = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False)
).map(t.Literal)
scalars = st.one_of(
    numbers,
    strings.map(t.Literal),
    st.booleans().map(t.Literal),
    words.map(t.Parameter),
    words.filter(lambda w: w not in ("true", "false")).map(t.Symbol),
)
values = st.recursive(scalars, lambda inner: few(inner, 0).map(t.Sequence), max_leaves=4).filter(
    lambda value: repr(value).count("Sequence") <= 3
)


def options(keys: st.SearchStrategy) -> st.SearchStrategy:
    """``name = value`` pairs without a repeated name."""
    return st.lists(st.tuples(keys, values), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)


calls = st.builds(t.Call, words, few(values, 0, 2), options(words))

# ---- graphs

node_sets = st.one_of(
    names.filter(lambda n: n.text != "latent").map(lambda n: t.NodeSet((n,))),
    few(names).map(lambda n: t.NodeSet(n, braced=True)),
)
attributes = st.builds(t.Attribute, texts, st.none() | strings)
arrows = st.sampled_from(("->", "<-", "<->"))
chains = st.integers(0, 3).flatmap(
    lambda n: st.builds(
        t.Chain,
        few(node_sets, n + 1, n + 1),
        few(arrows, n, n),
        few(attributes, 0, 2),
    )
)
properties = st.builds(t.Property, st.from_regex(r"[\w.]{1,4}", fullmatch=True), strings)
graph_specs = few(st.one_of(chains, few(names).map(t.Latent), properties), 0, 4).map(t.GraphSpec)

# ---- questions


@st.composite
def conditions(draw: st.DrawFn, taken: int) -> tuple:
    """Outcomes, interventions and conditions that share no name."""
    used = draw(st.lists(texts, min_size=taken, max_size=taken + 3, unique=True))
    left, rest = used[:taken], used[taken:]
    cut = draw(st.integers(0, len(rest)))
    made = [t.Assignment(t.Name(name), draw(st.none() | values)) for name in rest]
    return tuple(map(t.Name, left)), tuple(made[:cut]), tuple(made[cut:])


queries = st.integers(1, 2).flatmap(conditions).map(lambda parts: t.Query(*parts))


@st.composite
def moments(draw: st.DrawFn) -> t.Moment:
    """One ``E``, ``Var`` or ``Pr``."""
    function = draw(st.sampled_from(("E", "Var", "Pr")))
    outcomes, do, given = draw(conditions(draw(st.integers(1, 2)) if function == "Pr" else 1))
    if function != "Pr":
        return t.Moment(function, (t.Predicate(outcomes[0]),), do, given)
    signs = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    events = tuple(t.Predicate(name, draw(signs), draw(values)) for name in outcomes)
    return t.Moment("Pr", events, do, given)


expressions = st.recursive(
    st.one_of(numbers, moments()),
    lambda inner: st.builds(t.Arithmetic, st.sampled_from("+-*/"), inner, inner),
    max_leaves=5,
)

# ---- scripts

statements = st.one_of(
    graph_specs.map(t.GraphStatement),
    strings.map(lambda path: t.GraphStatement(None, path)),
    few(names).map(t.LatentStatement),
    st.builds(t.VarStatement, few(names), calls),
    st.builds(
        t.DataStatement,
        names,
        calls,
        conditions(0).map(lambda parts: parts[1]),
        options(texts),
    ),
    st.builds(t.ModelStatement, names, calls),
    options(texts).map(t.TrainStatement),
    st.builds(t.QueryStatement, names, queries),
    st.builds(t.EstimateStatement, names, expressions),
    st.builds(t.CheckStatement, names, few(names)),
    st.builds(t.SampleStatement, names, options(texts), strings),
)
scripts = few(statements, 1, 5).map(t.Script)
