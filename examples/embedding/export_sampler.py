"""A sampler as a file that needs torch alone: trained here, exported, and run without causalc.

python examples/embedding/export_sampler.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import causalc
from causalc.embedding import SamplingFunction, export


def rows(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The front door: X causes M, M causes Y, and something unmeasured causes X and Y."""
    rng = np.random.default_rng(seed)
    hidden = rng.random(n) < 0.5
    x = (rng.random(n) < np.where(hidden, 0.8, 0.2)).astype(int)
    m = (rng.random(n) < 0.2 + 0.6 * x).astype(int)
    y = (rng.random(n) < 0.1 + 0.4 * m + 0.4 * hidden).astype(int)
    return {"X": x, "M": m, "Y": y}


def main(folder: Path = Path("out/embedding")) -> float:
    """Returns the effect of X on Y by the exported file; the truth is 0.24."""
    program = causalc.compile("P(Y | do(X))", "X -> M -> Y; X <-> Y")
    sampler = program.fit(rows(4000), progress=False)
    export(sampler, folder / "effect.pt2")

    function = torch.export.load(folder / "effect.pt2").module()
    noise = SamplingFunction(sampler).noise(10_000, seed=0)  # or any uniforms of the same shapes
    means = []
    for x in (0, 1):
        drawn: dict[str, torch.Tensor] = function({"X": torch.full((10_000,), x)}, noise)
        means.append(float(drawn["Y"].double().mean()))
    return means[1] - means[0]


if __name__ == "__main__":
    print(f"effect of X on Y: {main():.3f}")
