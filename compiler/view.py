"""Plan to the few things the template needs: names, literals, statements. All text from users is quoted here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache

from causalc.compiler.names import Namespace
from causalc.compiler.plan import (
    Bootstrap,
    Draw,
    Fit,
    Follow,
    Generate,
    Network,
    Observed,
    Operation,
    Plan,
    Reweight,
)

WIDTH = 96


@dataclass(frozen=True, slots=True)
class Spec:
    """A call by name with literal arguments: a kind or a model family."""

    name: str
    args: tuple[object, ...] = ()
    options: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        parts = [literal(a) for a in self.args] + [f"{k}={literal(v)}" for k, v in self.options]
        return f"runtime.{self.name}({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Query:
    """One sampling function."""

    name: str
    function: str
    text: str
    estimand: tuple[str, ...]
    parameters: tuple[str, ...]
    names: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What the template prints."""

    title: str
    graph: tuple[str, ...]
    version: str
    schema: tuple[str, ...]
    policies: tuple[str, ...]
    train: tuple[str, ...]
    queries: tuple[Query, ...]


def literal(value: object) -> str:
    """A Python literal with double quotes; only plain values can be written."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(v) for v in value)}]"
    raise AssertionError(f"not a plain value: {value!r}")


@lru_cache(4096)
def _quoted(text: str) -> str:
    """A string literal; names recur in every conditional."""
    return f'"{"".join(map(_escape, text))}"'


def _escape(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c.isprintable():
        return c
    return c.encode("unicode_escape").decode("ascii")


def construct(part: object) -> str:
    """The call that makes a rule or a part of one; a plain value is its literal."""
    if isinstance(part, tuple):
        inner = ", ".join(map(construct, part))
        return f"({inner},)" if len(part) == 1 else f"({inner})"
    if not is_dataclass(part):
        return "None" if part is None else literal(part)
    values = ", ".join(construct(getattr(part, field.name)) for field in fields(part))
    return f"runtime.policy.{type(part).__name__}({values})"


def comment(text: str) -> str:
    """Text that is safe in a comment or a docstring line."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text.replace("\\", "/").replace('"""', "'''")


class Writer:
    """Writes the statements of one program; every model and column gets one identifier."""

    def __init__(self, plan: Plan, models: Mapping[int, Spec]) -> None:
        self.plan = plan
        self.specs = models
        self.names = Namespace()
        self.scope = Namespace()

    def of(self, number: int) -> str:
        """The identifier of an operation's result."""
        op = self.plan.operations[number]
        match op:
            case Observed():
                stem = "observed"
            case Fit(targets, inputs, _, propensity):
                given = "_given_" + "_".join(inputs) if inputs else ""
                stem = ("propensity_" if propensity else "") + "_".join(targets) + given
            case Bootstrap(columns):
                stem = "rows_of_" + "_".join(columns)
            case Follow(policy):
                stem = f"policy_of_{policy.variable}"
            case Reweight():
                stem = "weighted"
            case Generate():
                stem = "generated"
        if len(stem) > 60:
            stem = f"{stem[:50]}_etc"
        return self.names.fresh(stem, number)

    def train(self) -> list[str]:
        """The statements of ``train``, without indentation."""
        lines: list[str] = []
        for number, op in enumerate(self.plan.operations):
            if isinstance(op, Follow):
                continue
            lines += [*self._statement(number, op), ""]
        used = self._models(draw for net in self.plan.networks for draw in net.draws)
        items = [f"{literal(self.of(i))}: {self.of(i)}," for i in used]
        return [*lines, *_wrapped("return run.finish({", items, "})")]

    def _models(self, draws: Iterable[Draw]) -> list[int]:
        """The operations that ``draws`` draw from, each once; policies are no models."""
        used = dict.fromkeys(draw.model for draw in draws)
        return [i for i in used if not isinstance(self.plan.operations[i], Follow)]

    def policies(self) -> list[str]:
        """One constant a policy."""
        lines: list[str] = []
        for number, op in enumerate(self.plan.operations):
            if isinstance(op, Follow):
                items = [f"{literal(op.policy.variable)},", f"{construct(op.policy.rule)},"]
                items.append(f"{literal(op.policy.text)},")
                lines += _wrapped(f"{self.of(number)} = runtime.policy.Policy(", items, ")")
        return lines

    def _statement(self, number: int, op: Operation) -> list[str]:
        name = self.of(number)
        match op:
            case Observed(columns):
                return _wrapped(f"{name} = run.observed([", _items(columns), "])")
            case Fit(targets, inputs, data, propensity):
                parts = [f"{_list(targets)},", f"given={_list(inputs)},", f"on={self.of(data)},"]
                spec = self.specs.get(number)
                if spec is not None:
                    parts.append(f"model={spec},")
                if propensity:
                    parts.append('purpose="propensity",')
                note = f"# {comment(str(op))}{self._where(data)}"
                return [note, *_wrapped(f"{name} = run.fit(", parts, ")")]
            case Bootstrap(columns, data):
                note = f"# {comment(', '.join(columns))}: real rows, no model"
                return [note, f"{name} = run.bootstrap({_list(columns)}, on={self.of(data)})"]
            case Follow():
                return []
            case Reweight(base, by):
                fixed = [t for i in by for t in self.plan.operations[i].targets]  # type: ignore[union-attr]
                note = (
                    f"# Rows as if {comment(', '.join(fixed))} had been set: weights q / propensity"
                )
                call = f"{name} = run.reweight({self.of(base)}, by=["
                return [note, *_wrapped(call, [f"{self.of(i)}," for i in by], "])")]
            case Generate(draws, columns):
                return self._generate(name, draws, columns)

    def _generate(self, name: str, draws: Sequence[Draw], columns: Sequence[str]) -> list[str]:
        # The function reads these models from the scope around it: no column may hide one.
        local = Namespace({self.of(draw.model) for draw in draws})
        body = [line for draw in draws for line in self.draw(draw, self.of, local)]
        items = [f"{literal(c)}: {local[c]}," for c in columns]
        parents = [f"{self.of(i)}," for i in self._models(draws)]
        function = self.names[f"draw_{name}"]
        call = [
            f"{function},",
            f"columns={_list(columns)},",
            f"parents=[{' '.join(parents)[:-1]}],",
        ]
        return [
            f"def {function}(draw: runtime.Draw) -> runtime.Row:",
            *(f"    {line}" for line in body),
            *(f"    {line}" for line in _wrapped("return {", items, "}")),
            "",
            *_wrapped(f"{name} = run.generate(", call, ")"),
        ]

    def _where(self, data: int) -> str:
        match self.plan.operations[data]:
            case Reweight():
                return ", on the weighted rows"
            case Generate():
                return ", on the generated rows"
        return ""

    def draw(self, draw: Draw, model: object, local: Namespace) -> list[str]:
        """One line a draw."""
        assert callable(model)
        inputs = ", ".join(f"{literal(v)}: {local[slot]}" for v, slot in draw.inputs)
        if isinstance(self.plan.operations[draw.model], Follow):
            (slot,) = draw.slots
            return _wrapped(
                f"{local[slot]} = draw.policy(", [f"{self.of(draw.model)},", f"{{{inputs}}},"], ")"
            )
        targets = ", ".join(local[slot] for slot in draw.slots) + (
            "," if len(draw.slots) == 1 else ""
        )
        targets = f"({targets})" if len(draw.slots) == 1 else targets
        return [f"{targets} = draw.sample({model(draw.model)}, {{{inputs}}})"]

    def query(self, network: Network, estimand: str, single: bool) -> Query:
        """The sampling function of a network."""
        # The function reads the policies from the module around it: no column may hide one.
        rules = (i for i, op in enumerate(self.plan.operations) if isinstance(op, Follow))
        local = Namespace({self.of(i) for i in rules})
        question = network.question
        parameters, lines = [], []
        for variable, value in (*question.do, *question.given):
            name = local[variable]
            default = "" if value is None else f" = {literal(value)}"
            parameters.append(f"{name}: runtime.Input{default}")
        handles = _Handles(local, {variable for variable, _ in (*question.do, *question.given)})
        for variable, _ in (*question.do, *question.given):
            lines.append(
                f"{handles[variable]} = draw.input({literal(variable)}, {local[variable]})"
            )
        for draw in network.draws:
            lines += self.draw(draw, lambda i: f"models[{literal(self.of(i))}]", handles)
        items = [f"{literal(y)}: {handles[y]}," for y in question.outcomes]
        lines += _wrapped("return draw.table({", items, "})")
        function = "sample" if single else self.scope[f"sample_{network.name}"]
        names = ", ".join(
            f"{literal(v)}: {literal(local[v])}" for v, _ in (*question.do, *question.given)
        )
        return Query(
            literal(network.name),
            function,
            comment(question.text),
            tuple(_fold(comment(estimand))),
            tuple(parameters),
            f"{{{names}}}",
            tuple(lines),
        )


class _Handles(Namespace):
    """Columns inside ``sample``: an input's column is apart from the parameter that sets it."""

    def __init__(self, local: Namespace, inputs: set[str]) -> None:
        super().__init__()
        self._local, self._inputs = local, inputs

    def __getitem__(self, text: str) -> str:
        return (
            self._local.fresh(f"{text}_set", "column")
            if text in self._inputs
            else self._local[text]
        )


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(literal(n) for n in names)}]"


def _items(names: Iterable[str]) -> list[str]:
    return [f"{literal(n)}," for n in names]


def _wrapped(head: str, items: Sequence[str], tail: str) -> list[str]:
    """One line where it fits, else one item a line."""
    line = head + " ".join(items).removesuffix(",") + tail
    if len(line) <= WIDTH:
        return [line]
    return [head, *(f"    {item}" for item in items), tail]


def _fold(text: str) -> list[str]:
    """Lines of words; a word that is longer than a line has one of its own."""
    lines: list[str] = []
    line: list[str] = []
    length = -1
    for word in text.split():
        if line and length + 1 + len(word) > WIDTH - 4:
            lines.append(" ".join(line))
            line, length = [], -1
        line.append(word)
        length += 1 + len(word)
    return [*lines, " ".join(line)] if line else lines


def make(
    plan: Plan,
    schema: Mapping[str, Spec | None],
    models: Mapping[int, Spec],
    estimands: Sequence[str],
    title: str,
    graph: str,
    version: str,
) -> View:
    """The view of a whole program; ``models`` are those that the user chose, by operation."""
    writer = Writer(plan, models)
    used = next((op.columns for op in plan.operations if isinstance(op, Observed)), ())
    inputs = [v for network in plan.networks for v in network.inputs]
    outcomes = [y for network in plan.networks for y in network.question.outcomes]
    names = dict.fromkeys((*used, *inputs, *outcomes))
    entries = [f"{literal(v)}: {schema.get(v) or 'runtime.inferred()'}," for v in names]
    train = tuple(writer.train())
    single = len(plan.networks) == 1
    queries = tuple(
        writer.query(network, estimand, single)
        for network, estimand in zip(plan.networks, estimands, strict=True)
    )
    return View(
        comment(title),
        tuple(_fold(comment(graph))),
        version,
        tuple(entries),
        tuple(writer.policies()),
        train,
        queries,
    )
