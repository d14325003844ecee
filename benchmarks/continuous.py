"""How close trained samplers come to P(y | do(x)) on continuous and on discrete models with latents.

    python benchmarks/continuous.py [--families mixture diffusion] [--cases napkin ...]
        [--routes compiled ...] [--seeds 0 1 2]

Continuous: Wasserstein-1 distance of 10,000 samples to the truth, averaged over five x in the bulk;
`naive` is what a perfect model of P(y | x) would score, `floor` what 10,000 rows of the truth score.
Nothing confounds the bivariate case: its naive score is a floor as well.
The route `compiled` is what a user gets, `causalc.compile(query, graph, schema, models=...)`; the others are
every exact way to answer, written by hand. Seconds are CPU seconds of one thread, of all of the training
and of its longest stage.
Discrete (napkin, four categories): ½-L1 distance to the exact answer, against plug-in tables.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from worlds import Columns, w1

import causalc
from causalc.compiler.view import Spec
from causalc.runtime import specs
from causalc.runtime.draw import Draw
from causalc.runtime.run import Run
from causalc.runtime.schema import Kind, Schema, categorical, real
from causalc.runtime.specs import ModelSpec

Sampler = Callable[[float, int, int], np.ndarray]  # x, rows, seed -> y
PROBES = (0.15, 0.3, 0.5, 0.7, 0.85)
DRAWS = 400_000  # for each x of the discrete cases


def bivariate(rng: np.random.Generator, n: int, x: float | None = None) -> Columns:
    """X -> Y, two branches whose share depends on X."""
    cause = rng.normal(size=n) if x is None else np.full(n, x)
    upper = rng.random(n) < 1 / (1 + np.exp(-2 * cause))
    y = np.where(upper, 2 + np.sin(2 * cause), -1 + 0.5 * cause) + 0.3 * rng.normal(size=n)
    return {"X": cause, "Y": y}


def backdoor(rng: np.random.Generator, n: int, x: float | None = None) -> Columns:
    """Z -> X, Z -> Y, X -> Y, two modes of Y."""
    z = rng.normal(size=n)
    cause = z + 0.3 * z**2 + 0.8 * rng.normal(size=n) if x is None else np.full(n, x)
    side = np.where(rng.random(n) < 0.5, 0.9, -0.9)
    y = np.sin(1.5 * cause) + 1.2 * z + side + 0.25 * rng.normal(size=n)
    return {"Z": z, "X": cause, "Y": y}


def frontdoor(rng: np.random.Generator, n: int, x: float | None = None) -> Columns:
    """X -> M -> Y, X <-> Y, two modes of M."""
    u = rng.normal(size=n)
    cause = u + 0.6 * rng.normal(size=n) if x is None else np.full(n, x)
    side = np.where(rng.random(n) < 0.5, 0.8, -0.8)
    m = np.tanh(cause) + side + 0.4 * rng.normal(size=n)
    y = m + 0.3 * m**2 + 1.2 * u + 0.4 * rng.normal(size=n)
    return {"X": cause, "M": m, "Y": y}


def napkin(rng: np.random.Generator, n: int, x: float | None = None) -> Columns:
    """W1 -> W2 -> X -> Y, W1 <-> X, W1 <-> Y, two modes of Y."""
    u, v = rng.normal(size=n), rng.normal(size=n)
    w1_ = 0.7 * u + v + 0.4 * rng.normal(size=n)
    w2 = 0.8 * w1_ + 0.3 * np.sin(2 * w1_) + 0.9 * rng.normal(size=n)
    cause = w2 + 0.6 * u + 0.4 * rng.normal(size=n) if x is None else np.full(n, x)
    side = np.where(rng.random(n) < 0.5, 0.8, -0.8)
    y = np.sin(1.5 * cause) + 1.3 * v + side + 0.25 * rng.normal(size=n)
    return {"W1": w1_, "W2": w2, "X": cause, "Y": y}


def conditional(run: Run, spec: ModelSpec) -> Sampler:
    """Y | X: the whole answer where nothing confounds."""
    y = run.fit(["Y"], ["X"], run.observed(list(run.schema)), spec)
    models = run.finish({"Y": y})
    return lambda x, n, seed: _one(models, "Y", x, n, seed)


def _one(models: Any, name: str, x: float, n: int, seed: int) -> np.ndarray:
    draw = Draw(models, n, seed=seed)
    return draw.sample(models[name], {"X": draw.input("X", x)})[0]


def adjust(run: Run, spec: ModelSpec) -> Sampler:
    """Back-door: z from the rows, Y | X, Z."""
    rows = run.observed(["Z", "X", "Y"])
    z, y = run.bootstrap(["Z"], rows), run.fit(["Y"], ["X", "Z"], rows, spec)
    models = run.finish({"Z": z, "Y": y})

    def sample(x: float, n: int, seed: int) -> np.ndarray:
        draw = Draw(models, n, seed=seed)
        column = draw.input("X", x)
        (drawn,) = draw.sample(models["Z"], {})
        return draw.sample(models["Y"], {"X": column, "Z": drawn})[0]

    return sample


def adjust_weights(run: Run, spec: ModelSpec) -> Sampler:
    """Back-door by weights q(x) / P(x | z)."""
    rows = run.observed(["Z", "X", "Y"])
    x_ = run.fit(["X"], ["Z"], rows, purpose="propensity")
    models = run.finish({"Y": run.fit(["Y"], ["X"], run.reweight(rows, [x_]), spec)})
    return lambda x, n, seed: _one(models, "Y", x, n, seed)


def front_inline(run: Run, spec: ModelSpec) -> Sampler:
    """Front-door: x' from the rows, M | X, Y | x', M."""
    rows = run.observed(["X", "M", "Y"])
    m, y = run.fit(["M"], ["X"], rows, spec), run.fit(["Y"], ["X", "M"], rows, spec)
    models = run.finish({"X": run.bootstrap(["X"], rows), "M": m, "Y": y})

    def sample(x: float, n: int, seed: int) -> np.ndarray:
        draw = Draw(models, n, seed=seed)
        (mediator,) = draw.sample(models["M"], {"X": draw.input("X", x)})
        (hidden,) = draw.sample(models["X"], {})
        return draw.sample(models["Y"], {"X": hidden, "M": mediator})[0]

    return sample


def _mediated(run: Run, spec: ModelSpec, y: Any) -> Sampler:
    m = run.fit(["M"], ["X"], run.observed(["X", "M", "Y"]), spec)
    models = run.finish({"M": m, "Y": y})

    def sample(x: float, n: int, seed: int) -> np.ndarray:
        draw = Draw(models, n, seed=seed)
        (mediator,) = draw.sample(models["M"], {"X": draw.input("X", x)})
        return draw.sample(models["Y"], {"M": mediator})[0]

    return sample


def front_generate(run: Run, spec: ModelSpec) -> Sampler:
    """Front-door: Y | M distilled from generated rows."""
    rows = run.observed(["X", "M", "Y"])
    y, x, m = (
        run.fit(["Y"], ["X", "M"], rows, spec),
        run.bootstrap(["X"], rows),
        run.bootstrap(["M"], rows),
    )

    def kernel(draw: Any) -> Any:
        (mediator,), (hidden,) = draw.sample(m, {}), draw.sample(x, {})
        (drawn,) = draw.sample(y, {"X": hidden, "M": mediator})
        return {"M": mediator, "Y": drawn}

    return _mediated(
        run, spec, run.fit(["Y"], ["M"], run.generate(kernel, ["M", "Y"], [m, x, y]), spec)
    )


def front_weights(run: Run, spec: ModelSpec) -> Sampler:
    """Front-door by weights q(m) / P(m | x)."""
    rows = run.observed(["X", "M", "Y"])
    kernel = run.reweight(rows, [run.fit(["M"], ["X"], rows, purpose="propensity")])
    return _mediated(run, spec, run.fit(["Y"], ["M"], kernel, spec))


def napkin_generate(run: Run, spec: ModelSpec) -> Sampler:
    """Napkin: X | W1, W2 and Y | W1, W2, X, then Y | X on rows with W2 set."""
    rows = run.observed(["W1", "W2", "X", "Y"])
    w1_, w2 = run.bootstrap(["W1"], rows), run.bootstrap(["W2"], rows)
    x = run.fit(["X"], ["W1", "W2"], rows, spec)
    y = run.fit(["Y"], ["W1", "W2", "X"], rows, spec)

    def kernel(draw: Any) -> Any:
        (set_,), (first,) = draw.sample(w2, {}), draw.sample(w1_, {})
        (cause,) = draw.sample(x, {"W1": first, "W2": set_})
        (effect,) = draw.sample(y, {"W1": first, "W2": set_, "X": cause})
        return {"X": cause, "Y": effect}

    kernel1 = run.generate(kernel, ["X", "Y"], [w1_, w2, x, y])
    models = run.finish({"Y": run.fit(["Y"], ["X"], kernel1, spec)})
    return lambda at, n, seed: _one(models, "Y", at, n, seed)


def napkin_weights(run: Run, spec: ModelSpec) -> Sampler:
    """Napkin by weights q(w2) / P(w2 | w1)."""
    rows = run.observed(["W1", "W2", "X", "Y"])
    kernel = run.reweight(rows, [run.fit(["W2"], ["W1"], rows, purpose="propensity")])
    models = run.finish({"Y": run.fit(["Y"], ["X"], kernel, spec)})
    return lambda at, n, seed: _one(models, "Y", at, n, seed)


@dataclass(frozen=True)
class Case:
    """A model of the world, its graph, and ways to answer P(y | do(x)) in it."""

    simulate: Callable[..., Columns]
    graph: str
    routes: dict[str, Callable[[Run, ModelSpec], Sampler]]


NAPKIN = "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y"
CASES = {
    "bivariate": Case(bivariate, "X -> Y", {"conditional": conditional}),
    "back-door": Case(
        backdoor, "Z -> X; Z -> Y; X -> Y", {"inline": adjust, "reweight": adjust_weights}
    ),
    "front-door": Case(
        frontdoor,
        "X -> M -> Y; X <-> Y",
        {"inline": front_inline, "reweight": front_weights, "generate": front_generate},
    ),
    "napkin": Case(napkin, NAPKIN, {"reweight": napkin_weights, "generate": napkin_generate}),
}


def compiled(graph: str, schema: Schema, data: Columns, family: str, options: Any) -> Sampler:
    """Compile and train as a user would; ``options`` go to ``fit``."""
    models = {name: Spec(family) for name in schema}
    kinds = {name: str(kind) for name, kind in schema.items()}
    program = causalc.compile("P(Y | do(X))", graph, kinds, models=models)
    sampler = program.fit(data, progress=False, **options)

    def sample(x: float, n: int, seed: int) -> np.ndarray:
        return np.asarray(sampler.sample(n, X=x, seed=seed)["Y"].to_numpy())

    return sample


def probes(case: Case) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield x, two samples of the truth, and a sample of P(y | x)."""
    rng = np.random.default_rng(99)
    world = case.simulate(rng, 2_000_000)
    for x in np.quantile(world["X"], PROBES):
        near = np.abs(world["X"] - x) < 0.01 * world["X"].std()
        truths = [case.simulate(rng, m, float(x))["Y"] for m in (100_000, 10_000)]
        yield float(x), truths[0], truths[1], world["Y"][near]


@dataclass(frozen=True)
class Trained:
    """A sampler with what it took: CPU seconds in all, those of its longest stage, and findings."""

    sampler: Sampler
    seconds: float
    longest: float
    findings: tuple[str, ...]


def train(
    case: Case,
    route: str,
    family: str,
    data: Columns,
    kind: Kind,
    seed: int,
    budget: float | None = None,
) -> Trained:
    """Train one route on ``data``, all columns of one kind; ``budget`` is seconds a model."""
    schema = Schema(dict.fromkeys(data, kind))
    with tempfile.TemporaryDirectory() as store:
        options: dict[str, Any] = {"seed": seed, "store": store, "budget": budget}
        start = time.process_time()
        if route == "compiled":
            sampler = compiled(case.graph, schema, data, family, options)
        else:
            run = Run(schema, data, progress=False, **options)
            sampler = case.routes[route](run, specs.MAKERS[family]())
        took = time.process_time() - start
        stages = [json.loads(p.read_text()) for p in Path(store).rglob("meta.json")]
    longest = max((stage["cpu_seconds"] for stage in stages), default=0.0)
    findings = tuple(line for stage in stages for line in stage["findings"])
    return Trained(sampler, took, longest, findings)


def continuous(case_names: list[str], chosen: argparse.Namespace) -> None:
    """Print one line a case, route, family and seed."""
    print("case       route       family     seed   W1     naive  ratio  floor   CPU s  longest")
    for name in case_names:
        case = CASES[name]
        points = list(probes(case))
        naive = np.mean([w1(plain, truth) for _, truth, _, plain in points])
        floor = np.mean([w1(again, truth) for _, truth, again, _ in points])
        for route in ["compiled", *case.routes]:
            for family in chosen.families:
                for seed in chosen.seeds if route in (chosen.routes or [route]) else ():
                    data = case.simulate(np.random.default_rng(seed), chosen.rows)
                    got = train(case, route, family, data, real(), seed, chosen.budget)
                    score = np.mean(
                        [
                            w1(got.sampler(x, 10_000, i), truth)
                            for i, (x, truth, _, _) in enumerate(points)
                        ]
                    )
                    print(
                        f"{name:11}{route:12}{family:10}{seed:5}  {score:.4f} {naive:.4f} "
                        f"{score / naive:6.3f} {floor:.4f} {got.seconds:7.1f} {got.longest:7.1f}",
                        flush=True,
                    )
                    for line in got.findings:
                        print(f"    {line}", flush=True)


def discrete_world(k: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return P(w1, w2, x, y), P(y | do(x)) and P(y | x) of a random napkin with ``k`` categories."""
    rng = np.random.default_rng(seed)
    pu, pv = (rng.dirichlet(5 * np.ones(k)) for _ in range(2))
    same = np.eye(k)
    a = 0.7 * same[None] + 0.3 * rng.dirichlet(0.5 * np.ones(k), (k, k))  # w1 | u, v
    b = 0.6 * same + 0.4 * rng.dirichlet(np.ones(k), k)  # w2 | w1
    c = 0.6 * same[:, None] + 0.4 * rng.dirichlet(0.5 * np.ones(k), (k, k))  # x | w2, u
    d = 0.6 * same[None] + 0.4 * rng.dirichlet(0.3 * np.ones(k), (k, k))  # y | x, v
    joint = np.einsum("u,v,uvi,ij,jux,xvy->ijxy", pu, pv, a, b, c, d)
    pair = joint.sum((0, 1))
    return joint, np.einsum("v,xvy->xy", pv, d), pair / pair.sum(1, keepdims=True)


def plug_in(joint: np.ndarray) -> np.ndarray:
    """Return the napkin formula, pooled over w2 with its marginal, on a table of counts."""
    p = joint / joint.sum()
    p_w1, p_w2 = p.sum((1, 2, 3)), p.sum((0, 2, 3))
    given = p / np.maximum(p.sum((2, 3), keepdims=True), 1e-12)
    top = np.einsum("i,j,ijxy->xy", p_w1, p_w2, given)
    return top / top.sum(1, keepdims=True)


def discrete(chosen: argparse.Namespace, k: int = 4) -> None:
    """Print the mean ½-L1 distance of each family and route, and its ratio to plug-in tables."""
    print(
        "\ndiscrete   route       family     seed   TVD    plug-in ratio  naive    CPU s  longest"
    )
    case = CASES["napkin"]
    for seed in chosen.seeds:
        joint, truth, plain = discrete_world(k, seed)
        rng = np.random.default_rng(seed)
        cells = rng.choice(joint.size, chosen.rows, p=joint.ravel())
        names = ("W1", "W2", "X", "Y")
        data = dict(zip(names, np.unravel_index(cells, joint.shape), strict=True))
        counts = np.bincount(cells, minlength=joint.size).reshape(joint.shape)
        reference, naive = tvd(plug_in(counts), truth), tvd(plain, truth)
        for family in ("table", "softmax", "diffusion"):
            for route in ("compiled", *case.routes):
                if route not in (chosen.routes or [route]):
                    continue
                got = train(case, route, family, data, categorical(k), seed, chosen.budget)
                shares = [np.bincount(got.sampler(x, DRAWS, x), minlength=k) for x in range(k)]
                score = tvd(np.stack(shares) / DRAWS, truth)
                print(
                    f"{'napkin':11}{route:12}{family:10}{seed:5}  {score:.4f} {reference:.4f} "
                    f"{score / reference:6.2f}  {naive:.4f} {got.seconds:7.1f} {got.longest:7.1f}",
                    flush=True,
                )


def tvd(p: np.ndarray, q: np.ndarray) -> float:
    """Return the ½-L1 distance, averaged over x."""
    return float(0.5 * np.abs(p - q).sum(axis=1).mean())


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="+", default=["mixture", "diffusion"])
    parser.add_argument("--cases", nargs="*", default=[*CASES, "discrete"])
    parser.add_argument("--routes", nargs="*", help="compiled and those of a case; default all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--budget", type=float, help="most seconds of training for each model")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    continuous([name for name in chosen.cases if name in CASES], chosen)
    if "discrete" in chosen.cases:
        discrete(chosen)


if __name__ == "__main__":
    main()
