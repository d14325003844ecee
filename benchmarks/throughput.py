"""How fast trained samplers draw, as a share of this machine's fp32 matmul peak.

    python benchmarks/throughput.py [--rows 16384] [--repeats 3] [--device cuda] [--matmul high] [--compile]

Networks are untrained: their speed does not depend on their weights. FLOPs are those of the linear
layers (2 for a weight and a row); what else there is to do counts as time alone. The peak is that of a
square product of 1024, measured before and after each figure, because other work on the machine slows
both. Seconds are CPU seconds of one thread. On an accelerator they are those of a clock, from inputs and
noise on the CPU to samples there, and the product is of 8192; `--matmul high` lets float32 products round as
TF32, `--compile` has torch compile the networks of diffusion models first.
`diffusers` is the same network in the loop that its documentation shows:
FlowMatchEulerDiscreteScheduler.step after each evaluation, inputs embedded each time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from causalc.runtime.families.diffusion import FittedDiffusion, Preconditioned, denoiser_for
from causalc.runtime.families.diffusion import _class as denoiser_class
from causalc.runtime.families.flow import FittedFlow, Flow
from causalc.runtime.families.gan import Adversaries, FittedAdversaries
from causalc.runtime.families.mixture import FittedMixture, Mixture
from causalc.runtime.families.neural import device_of, move
from causalc.runtime.families.protocol import Shape
from causalc.runtime.families.vae import Autoencoder, FittedAutoencoder
from causalc.runtime.noise import Noise
from causalc.runtime.precondition import denoise
from causalc.runtime.schema import real, vector
from causalc.runtime.specs import ModelSpec

ONE = Shape((("y", real()),), (("a", real()), ("b", real())))
WIDE = Shape((("y", vector(16)),), (("a", real()), ("b", vector(16))))
_PEAK = {"cpu": 1024, "cuda": 8192}


def seconds(work: Callable[[], Any], device: str) -> float:
    """Return the seconds of a call: of the CPU, or of a clock until an accelerator is done."""
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(device: str) -> float:
    """Return the FLOP/s of a square product."""
    size = _PEAK[device]
    a = torch.randn(size, size, device=device)
    return 5 * 2 * size**3 / seconds(lambda: [a @ a for _ in range(5)], device)


def flops(module: nn.Module, run: Callable[[], Any]) -> float:
    """Return the FLOPs of the matrix products that ``run`` makes."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return float(counter.get_total_flops())


@dataclass(frozen=True)
class Line:
    """A sampler to be timed: ``run(n)`` draws ``n`` rows."""

    name: str
    evaluations: int
    module: nn.Module
    run: Callable[[int], Any]


def inputs_of(shape: Shape, n: int) -> dict[str, torch.Tensor]:
    """Return random inputs."""
    rng = np.random.default_rng(0)
    draw = {name: rng.standard_normal((n, kind.width)) for name, kind in shape.inputs}
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in draw.items()}


def sampler(name: str, evaluations: int, fitted: Any) -> Line:
    """Return the line of a fitted family."""

    def run(n: int) -> Any:
        return fitted.sample(n, inputs_of(fitted.shape, n), Noise(0, "k", 0, n))

    return Line(name, evaluations, fitted.module, run)


def diffusion(shape: Shape, evaluations: int, **options: int) -> FittedDiffusion:
    """Return an untrained diffusion model of ``shape``."""
    spec = ModelSpec("diffusion", tuple(sorted(options.items())))
    name, config = denoiser_for(shape, spec)
    torch.manual_seed(0)
    network = denoiser_class(name)(**config)
    nn.init.normal_(network.last.weight, std=0.02)
    d = sum(kind.width for _, kind in shape.targets)
    module = Preconditioned(shape, network, torch.ones(d)).eval()
    return FittedDiffusion(shape, module, name, "flow", evaluations)


def by_diffusers(fitted: FittedDiffusion, steps: int) -> Line:
    """Return the loop that a user of diffusers writes around the same network."""
    module, d = fitted.module, fitted.module.slots[-1][1]

    @torch.no_grad()
    def run(n: int) -> torch.Tensor:
        device = device_of(module)
        given = move(inputs_of(fitted.shape, n), device)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
        scheduler.set_timesteps(steps)
        x = torch.randn(n, d, generator=torch.Generator().manual_seed(0)).to(device)
        for t in scheduler.timesteps:
            time_ = (t / 1000).clamp(max=0.9875).to(device).expand(n, 1)
            sigma = time_ / (1 - time_)
            scaled = x * (1 + sigma)
            raw = module.raw(scaled, sigma, given)
            clean = denoise(raw, scaled, sigma, module.data, module.slots)
            x = scheduler.step((x - clean) / time_, t, x).prev_sample
        return x.cpu()

    return Line("  by diffusers", steps, module, run)


def lines() -> list[Line]:
    """Return what is timed."""
    wide = [diffusion(WIDE, 10), diffusion(WIDE, 10, width=256, depth=3)]
    wide.append(diffusion(WIDE, 10, width=512, depth=4))
    found = [
        sampler("mixture", 1, FittedMixture(ONE, Mixture(ONE, 10, 128, 2).eval(), (10, 128, 2))),
        sampler("flow", 1, FittedFlow(ONE, Flow(ONE, 8, 128, 2).eval(), (8, 128, 2))),
        sampler("vae", 1, FittedAutoencoder(ONE, Autoencoder(ONE, 2, 128, 2).eval(), (2, 128, 2))),
        sampler("gan", 1, FittedAdversaries(ONE, Adversaries(ONE, 4, 128, 2).eval(), (4, 128, 2))),
        sampler("diffusion, a number", 10, diffusion(ONE, 10)),
        sampler("diffusion, a number", 20, diffusion(ONE, 20)),
    ]
    for fitted in wide:
        first = fitted.module.network.first
        size = f"diffusion, 16 wide, {first.out_features} × {len(fitted.module.network.blocks)}"  # type: ignore[arg-type]
        found += [sampler(size, 10, fitted), by_diffusers(fitted, 10)]
    return found


def main() -> None:
    """Print a line for each sampler."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=[*_PEAK])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--matmul", default="highest", choices=["highest", "high"])
    chosen = parser.parse_args()
    if chosen.device == "cpu":
        torch.set_num_threads(1)
    torch.set_float32_matmul_precision(chosen.matmul)
    device = chosen.device
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no accelerator here: nothing to time")
    print(f"{'sampler':32}{'evals':>6}{'rows/s':>10}{'GFLOP/s':>9}{'peak':>7}{'share':>7}")
    for line in lines():
        work = flops(line.module, lambda line=line: line.run(256)) / 256 * chosen.rows
        line.module.to(device)
        if chosen.compile and hasattr(line.module, "network"):
            line.module.network.compile()
        line.run(chosen.rows)
        best, most = float("inf"), peak(device)
        for _ in range(chosen.repeats):
            best = min(best, seconds(lambda line=line: line.run(chosen.rows), device))
            most = max(most, peak(device))
        rate = work / best / 1e9
        print(
            f"{line.name:32}{line.evaluations:6}{chosen.rows / best:10,.0f}{rate:9.1f}"
            f"{most / 1e9:7.0f}{rate / most * 1e9:7.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
