"""When one model of a program is worse, how much worse is the answer, and is that told beforehand by the model alone?

    python benchmarks/propagation.py [--cases napkin ...] [--kinds binary ten real] [--seeds 0 1] [--rows 20000]
        [--json out.json] [--markdown] [--plot docs/propagation.svg]

A program is trained; then one model at a time is made worse (`benchmarks/degrade.py`), and what was trained on rows
that it generated or weighted is trained again. Errors are those of `benchmarks/accuracy.py`. Two figures foretell
how much the error grows, from rows and models alone, without the truth:

`told`: nats that the model loses against the one it replaces, on as many held-out rows (weighted, or generated, as
those it was trained on are; a propensity's are its rows, out of fold), as the bound of `degrade.bound`.
`asked`: nats that it loses where the program asks it, at targets that the replaced one draws there. Of a propensity,
the KL divergence of the rows as weighted now from the rows as weighted before.

`shift` is the distance of the answers drawn with either model, `noise` the standard deviation of the difference
between the errors of two draws of one program. `benchmarks/foretold.py` makes tables and the plot of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from types import ModuleType

import numpy as np
import torch
from degrade import CHANGES, Made, Spied, Spy, Trained, bound, divergence, gap
from foretold import HEADER, Line, markdown, plot
from kept import keep, read
from worlds import CASES, Probe, World, distance

import causalc
from causalc.compiler.plan import Fit, Generate, Plan, Reweight, references
from causalc.compiler.view import Spec

ASKED = ("front-door", "napkin", "back-door", "verma", "chain", "given a cause")
SCHEMES = ("binary", "ten", "real")
DRAWS = 20_000
REDRAWN = 4


# ---- one program


@dataclass(frozen=True)
class Answer:
    """The outcomes drawn at each probe, and the draws."""

    drawn: list[np.ndarray]
    spies: list[Spy]


def answer(
    module: ModuleType, trained: Trained, outcome: str, probes: Sequence[Probe], seed: int = 0
) -> Answer:
    """Draw for every probe."""
    ((_, query),) = module.QUERIES.items()
    spies: list[Spy] = []
    drawn = []
    for i, probe in enumerate(probes):
        given = {query.parameters[name]: value for name, value in probe.at.items()}
        spied = Spied(trained.models, spies)
        frame = query.sample(spied, DRAWS, seed=1000 * seed + i, **given)
        drawn.append(frame[outcome].to_numpy())
    return Answer(drawn, spies)


def upstream(plan: Plan) -> set[str]:
    """The models that make or weigh rows that others are trained on."""
    ops = [op for op in plan.operations if isinstance(op, Generate | Reweight)]
    used = {plan.operations[i] for op in ops for i in references(op)}
    return {str(op) for op in used if isinstance(op, Fit)}


def lost(spies: Sequence[Spy], base: Made, worse: Made) -> float:
    """Nats lost at what some draws asked of a model."""
    visits = [visit for spy in spies for visit in spy.visits if visit.key == base.key]
    return sum(gap(base, worse, visit.columns) for visit in visits)


def lines(name: str, scheme: str, seed: int, rows: int) -> Iterator[Line]:
    """Train a program, then each of its models worse in every way."""
    case = CASES[name]
    world = World.random(case, scheme, seed)
    probes, levels = list(world.probes()), world.levels(case.outcome)
    data, fresh = (world.simulate(np.random.default_rng([seed, rows, i]), rows) for i in (0, 1))
    families = {v: Spec("softmax" if world.levels(v) else "mixture") for v in world.kinds}
    program = causalc.compile(case.query, case.graph, dict(world.kinds), models=families)
    module, shared = program.module, upstream(program.plan)

    def error(drawn: Sequence[np.ndarray]) -> float:
        pairs = zip(drawn, probes, strict=True)
        return mean(distance(one, probe.truth, levels) for one, probe in pairs)

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        base = Trained.of(module, data, store=store, seed=seed)
        made = {label: stage.made for label, stage in base.run.stages.items()}
        rest = {label: one for label, one in made.items() if label not in shared}
        held = Trained.of(module, fresh, store=store, seed=seed, skip=rest).run
        before = answer(module, base, case.outcome, probes)
        again = [answer(module, base, case.outcome, probes, 1 + i) for i in range(REDRAWN)]
        noise = 2**0.5 * stdev(error(one.drawn) for one in (before, *again))
        making = [_spied(network) for network in base.run.networks]
        for label, change in ((label, change) for label in made for change in CHANGES):
            now = Trained.of(module, data, store=store, seed=seed, worse=label, change=change)
            old, new, stage = made[label], now.run.stages[label].made, held.stages[label]
            after = answer(module, now, case.outcome, probes)
            told = gap(old, new, stage.columns, stage.weights)
            first = lost(making, old, new)
            if label in base.run.weights:
                first += divergence(base.run.weights[label], now.run.weights[label])
            asked = [first + lost([spy], old, new) for spy in before.spies]
            moved = zip(after.drawn, before.drawn, strict=True)
            yield Line(
                case=name,
                kinds=scheme,
                seed=seed,
                model=label,
                change=change.name,
                nats_told=told,
                nats_asked=mean(asked),
                told=bound(told, levels),
                asked=mean(bound(one, levels) for one in asked),
                before=error(before.drawn),
                after=error(after.drawn),
                shift=mean(distance(a, b, levels) for a, b in moved),
                noise=noise,
            )


def _spied(network: Callable[[Spy], Mapping[str, object]]) -> Spy:
    spy = Spy(None, DRAWS, seed=0)
    network(spy)
    return spy


def main() -> None:
    """Print a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=[*ASKED], choices=ASKED)
    parser.add_argument("--kinds", nargs="+", default=[*SCHEMES], choices=SCHEMES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="add the lines to this file")
    parser.add_argument("--markdown", action="store_true", help="print what the file holds")
    parser.add_argument("--plot", type=Path, help="draw what the file holds")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = read(chosen.json, Line)
    if chosen.plot:
        plot(found, chosen.plot)
    if chosen.markdown:
        print(markdown(found))
    if chosen.plot or chosen.markdown:
        return
    print(HEADER)
    for scheme in chosen.kinds:
        for name in chosen.cases:
            for seed in chosen.seeds:
                for line in lines(name, scheme, seed, chosen.rows):
                    print(line, flush=True)
                    found.append(line)
                keep(chosen.json, found)


if __name__ == "__main__":
    main()
