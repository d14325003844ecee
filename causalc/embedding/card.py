"""The model card of a saved sampler: a README with YAML front matter, and the index of its parts.

Everything in both comes from the sampler. Text of a script (names, queries, estimands) stands in quoted YAML scalars
and in code blocks that it cannot close.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from causalc import __version__
from causalc.program import Sampler

TAGS = ("causal-inference", "interventional-sampling", "diffusers-layout")

_USE = """\
import causalc

sampler = causalc.load("path/to/this/folder")  # nothing in the folder is executed
"""


def model_card(sampler: Sampler) -> str:
    """The card of ``sampler`` as Markdown, with YAML front matter that a model hub reads.

    It names the queries, the graph, the estimands, the fingerprint of the training data, the families of the models
    and what training measured.
    """
    parts = ["---", *_front(_facts(sampler)), "---", "", "# A causal sampler", ""]
    parts += [
        "Draws from interventional distributions that were identified from observational data on a graph with"
        " unmeasured confounders, by models trained on those data.",
        "",
    ]
    for name, estimand in sampler.program.estimands.items():
        parts += [_heading("Query", name), "", _fenced(estimand.text, "text"), ""]
    compiled = sampler.program.compiled
    edges = [f"{a} -> {b}" for a, b in compiled.graph.directed]
    edges += [f"{a} <-> {b}" for a, b in compiled.graph.bidirected]
    parts += [
        "## Graph",
        "",
        _fenced("\n".join(edges) or ", ".join(compiled.graph.nodes), "text"),
        "",
    ]
    parts += [
        "Every arrow and every `<->` that is not there is a claim that the answers rest on.",
        "",
    ]
    parts += ["## Use", "", _fenced(_USE + _example(sampler), "python"), ""]
    parts += ["## Models", "", *_table(sampler), ""]
    if sampler.models.findings:
        parts += [
            "## What training noticed",
            "",
            _fenced("\n".join(sampler.models.findings), "text"),
            "",
        ]
    return "\n".join(parts)


def model_index(sampler: Sampler, places: Mapping[str, str]) -> dict[str, Any]:
    """``model_index.json``: the parts of the folder, as diffusers lists those of a pipeline.

    ``places`` are the folders of the models below ``models/``. Each denoiser and scheduler below them is a folder
    that its diffusers class reads.
    """
    from importlib.metadata import version

    found: dict[str, Any] = {
        "_class_name": "Sampler",
        "_library": "causalc",
        "_causalc_version": __version__,
        "_diffusers_version": version("diffusers"),
    }
    for name, place in places.items():
        found[name] = [
            "causalc.runtime.fitted",
            type(sampler.models[name]).__name__,
            f"models/{place}",
        ]
    return found


def _facts(sampler: Sampler) -> dict[str, Any]:
    compiled, models = sampler.program.compiled, sampler.models
    return {
        "library_name": "causalc",
        "tags": list(TAGS),
        "causalc": {
            "version": __version__,
            "queries": {n: e.question.text for n, e in compiled.estimands.items()},
            "estimands": {n: e.text for n, e in compiled.estimands.items()},
            "graph": {
                "nodes": list(compiled.graph.nodes),
                "directed": [f"{a} -> {b}" for a, b in compiled.graph.directed],
                "bidirected": [f"{a} <-> {b}" for a, b in compiled.graph.bidirected],
            },
            "variables": {name: str(kind) for name, kind in models.schema.items()},
            "data_fingerprint": models.data,
            "seed": models.seed,
            "families": {n: families(m) for n, m in models.items()},
            "metrics": [dict(summary) for summary in models.trained],
        },
    }


def families(model: Any) -> list[str]:
    """The families of a model's links; real rows are ``rows``."""
    links = getattr(model, "links", None)
    return list(dict.fromkeys(name for name, _ in links)) if links else ["rows"]


def _front(value: Any, indent: int = 0) -> list[str]:
    """YAML in block style; every scalar and key is a JSON text, which YAML reads as it stands."""
    pad, lines = "  " * indent, []
    items: Iterable[tuple[str, Any]]
    items = value.items() if isinstance(value, Mapping) else (("-", item) for item in value)
    for key, item in items:
        head = "- " if not isinstance(value, Mapping) else f"{_key(key)}: "
        if isinstance(item, Mapping | list | tuple) and item and isinstance(value, Mapping):
            lines += [f"{pad}{head.rstrip()}", *_front(item, indent + 1)]
        else:  # scalars, what is empty, and mappings inside lists: in flow style
            lines.append(f"{pad}{head}{json.dumps(item)}")
    return lines


def _key(name: str) -> str:
    return name if re.fullmatch(r"[a-z][a-z_]*", name) and name not in _WORDS else json.dumps(name)


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _heading(what: str, name: str) -> str:
    return f"## {what} {_inline(name)}"


def _inline(text: str) -> str:
    """A code span that the text cannot end, and that fits a cell of a table."""
    flat = " ".join(text.split()).replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    return f"{ticks} {flat} {ticks}" if "`" in flat else f"`{flat}`"


def _fenced(text: str, language: str) -> str:
    """A code block that the text cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _example(sampler: Sampler) -> str:
    name, estimand = next(iter(sampler.program.estimands.items()))
    free = "".join(f", {v!r}: ..." for v in estimand.question.free).removeprefix(", ")
    inputs = f", **{{{free}}}" if free else ""
    return f"frame = sampler.sample(1000, {name!r}, seed=0{inputs})  # a pandas data frame"


def _table(sampler: Sampler) -> list[str]:
    rows = ["| model | family | draws | given |", "|---|---|---|---|"]
    for name, model in sampler.models.items():
        cells = [
            name,
            ", ".join(families(model)),
            ", ".join(model.targets),
            ", ".join(model.inputs) or "nothing",
        ]
        rows.append("| " + " | ".join(map(_inline, cells)) + " |")
    trained = sampler.models.trained
    if trained:
        rows += ["", "| trained | rows | seconds | held-out loss |", "|---|---|---|---|"]
    for one in trained:
        losses = ", ".join(f"{loss:.4g}" for loss in one["held_out"]) or "counted"
        size, seconds = int(one["rows"]), float(one["seconds"])
        rows.append(f"| {_inline(str(one['label']))} | {size:,} | {seconds:.0f} | {losses} |")
    return rows
