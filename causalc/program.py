"""``Program`` and ``Sampler``: a compiled query as a Python object."""

from __future__ import annotations

import linecache
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.compiler.answer import Estimand
from causalc.compiler.pipeline import Compiled
from causalc.compiler.plan import Plan
from causalc.errors import CausalcError

if TYPE_CHECKING:
    from pandas import DataFrame

    from causalc.table import Fill, Table


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled query: ``plan``, ``source`` and ``estimand``; ``fit`` trains it, ``exact`` computes with it.

    ``causalc.compile`` makes it. ``base`` is the folder that paths of pretrained models are relative to.
    """

    compiled: Compiled = field(repr=False)
    base: Path | None = None
    _module: list[types.ModuleType] = field(default_factory=list, repr=False)

    @property
    def plan(self) -> Plan:
        """What is fitted on which rows, and the networks."""
        return self.compiled.plan

    @property
    def source(self) -> str:
        """The generated Python program."""
        return self.compiled.source

    @property
    def estimands(self) -> Mapping[str, Estimand]:
        """One estimand a query."""
        return self.compiled.estimands

    @property
    def estimand(self) -> Estimand:
        """The estimand of the first query."""
        return next(iter(self.compiled.estimands.values()))

    @property
    def module(self) -> types.ModuleType:
        """The program, imported: our own emitted text, in which every name was quoted."""
        if not self._module:
            name = f"<causalc {id(self):x}>"
            source = self.source
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            module = types.ModuleType("causalc_program")
            exec(compile(source, name, "exec"), module.__dict__)
            self._module.append(module)
        return self._module[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (self.compiled, self.base)  # the module is made again from our own text

    def write(self, path: str | Path) -> Path:
        """Write the program's text to ``path``; returns it. Raises OSError where it cannot be written."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.source, encoding="utf-8")
        return target

    def exact(self, joint: Table, query: str | None = None) -> Table:
        """Run the program on an exact joint table over all observed variables.

        Returns a table over the free do and condition variables, then the outcomes; each slice sums to 1 (float64,
        one axis a variable). ``query`` is the first of the program by default. Raises ``CausalcError`` for an unknown
        query, and where the joint does not determine the answer: a condition that it needs has no mass.
        """
        from causalc.runtime import FREE
        from causalc.table import Table, determined, needed

        needed(joint)
        name = query or next(iter(self.estimands))
        if name not in self.estimands:
            known = ", ".join(self.estimands)
            raise CausalcError(f"there is no query `{name}`; the program has {known}")
        entry = self.module.QUERIES[name]
        fixed = self.estimands[name].question.fixed
        values = {p: fixed.get(v, FREE) for v, p in entry.parameters.items()}

        def compute(fill: Fill) -> Table:
            result = entry.sample(self.module.train(joint, fill=fill), 0, **values)
            assert isinstance(result, Table)
            return result

        return determined(joint, compute)

    def fit(self, data: Any, **options: Any) -> Sampler:
        """Train on ``data`` (pandas or pyarrow table, mapping of arrays, or a path); resumes from ``store``.

        Options: ``store`` (folder), ``seed``, ``device``, ``budget`` (seconds), ``progress``; ``callables``, the
        functions that ``pretrained(callable = ...)`` names; ``jobs`` (stages at a time, on processes of this machine)
        or ``executor`` ("ray": on a cluster).

        Raises ``CausalcError`` for data that do not fit the program's kinds and for options out of range.
        """
        from causalc.runtime.executors import execute

        if self.base is not None:
            options = {"base": self.base, **options}
        return Sampler(self, execute(self.module.train, data, **options))

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """A trained ``program`` with its ``models``; ``folder`` is where it was loaded from, if it was.

    ``Program.fit`` and ``causalc.load`` make it.
    """

    program: Program
    models: Any = field(repr=False)
    folder: Path | None = None

    def sample(self, n: int, query: str | None = None, seed: int = 0, **values: Any) -> DataFrame:
        """Draw ``n`` rows as a data frame; ``values`` set do and condition variables by name (scalar or length n).

        One column an outcome: labels for codes, numbers, and one array a row for vectors ``(d,)`` and images
        ``(h, w, channels)``. ``query`` is the first of the program by default. A row depends on ``seed`` and its
        number alone. Raises ``CausalcError`` for a variable that is missing, unknown or out of range.
        """
        options = {k: values.pop(k) for k in self._options(query) if k in values}
        return self.drawn(n, values, query=query, seed=seed, **options)

    def _options(self, query: str | None) -> tuple[str, ...]:
        """What ``sample`` takes beside inputs, where no input has that name."""
        parameters = self.program.module.QUERIES[self.query_name(query)].parameters
        return tuple(k for k in ("batch_size", "first") if k not in parameters)

    def drawn(
        self,
        n: int,
        values: Mapping[str, Any],
        *,
        query: str | None = None,
        seed: int = 0,
        **options: Any,
    ) -> DataFrame:
        """``sample`` of ``n`` rows with the inputs as a mapping ``values``, whatever their names.

        ``query`` and ``seed`` are those of ``sample``. ``options``: ``batch_size``, and ``first``, the number of the
        first row: a large draw is the draws of its parts. Raises ``CausalcError`` as ``sample`` does.
        """
        queries = self.program.module.QUERIES
        name = self.query_name(query)
        parameters = queries[name].parameters
        question = self.program.estimands[name].question
        for variable in values:
            if variable not in parameters:
                known = ", ".join(f"`{p}`" for p in parameters) or "none"
                raise CausalcError(
                    f"{question.text} has no input `{variable}`; its inputs: {known}"
                )
        for variable in question.free:
            if variable not in values:
                raise CausalcError(
                    f"{question.text} needs a value for `{variable}`: sample(n, {variable}=...)"
                )
        given = {parameters[v]: value for v, value in values.items()}
        try:
            frame: DataFrame = queries[name].sample(self.models, n, seed=seed, **given, **options)
            return frame
        except CausalcError:
            raise
        except Exception as error:
            if self.folder is None:
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise CausalcError(
                f"{self.folder}: its models do not fit its query ({reason}); save the sampler again"
            ) from error

    def compiled(self) -> Sampler:
        """Have torch compile the networks of diffusion models on an accelerator, in place; returns the sampler.

        The first draw then takes some ten seconds longer for each network, later ones are faster: worth it for
        many millions of rows. Elsewhere nothing changes.
        """
        for model in self.models.values():
            if hasattr(model, "compile"):
                model.compile()
        return self

    def query_name(self, query: str | None = None) -> str:
        """The query itself, or the first one of the program; raises ``CausalcError`` for an unknown one."""
        queries = self.program.module.QUERIES
        name = query or next(iter(queries))
        if not isinstance(name, str) or name not in queries:
            raise CausalcError(f"there is no query `{name}`; the program has {', '.join(queries)}")
        return name

    def save(self, folder: str | Path) -> Path:
        """Write models, program and model card to ``folder``; ``causalc.load`` reads it back. Returns the folder.

        The layout is that of a diffusers repository: ``README.md`` with YAML front matter, ``model_index.json``,
        safetensors. A README that somebody else wrote is left as it is. Raises ``CausalcError`` where the folder
        holds other files in the place of the models, and OSError where it cannot be written.
        """
        import json

        from causalc.embedding.card import model_card, model_index

        target = Path(folder)
        mine = (target / "query.json").is_file() or not (target / "README.md").exists()
        index = model_index(self, self.models.save(target / "models"))
        (target / "model_index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
        if mine:
            (target / "README.md").write_text(model_card(self), encoding="utf-8")
        self.program.write(target / "program.py")
        (target / "query.json").write_text(json.dumps(self._recipe(), indent=1), encoding="utf-8")
        return target

    def _recipe(self) -> dict[str, Any]:
        """What ``load`` compiles again: the text of a stranger's folder is never executed."""
        compiled = self.program.compiled
        graph = compiled.graph
        return {
            "format": 1,
            "graph": {
                "nodes": graph.nodes,
                "directed": graph.directed,
                "bidirected": graph.bidirected,
            },
            "queries": {k: e.question.text for k, e in compiled.estimands.items()},
            "schema": {
                k: None if s is None else [s.name, s.args, s.options]
                for k, s in compiled.schema.items()
            },
            "strategy": compiled.strategy,
        }
