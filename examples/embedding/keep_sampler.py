"""A sampler kept as a folder with a model card, read back, streamed, and its denoiser taken out.

python examples/embedding/keep_sampler.py [FOLDER]
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from export_sampler import rows

import causalc
from causalc.embedding import InterventionalStream, export_denoisers, model_card, push_to_hub

QUERY, GRAPH = "P(Y | do(X))", "X -> M -> Y; X <-> Y"


def publish(sampler: causalc.Sampler, repository: str) -> str:
    """Upload the folder to a hub, which needs a token and the network; its address."""
    return push_to_hub(sampler, repository, private=True)


def streamed(sampler: causalc.Sampler, n: int) -> float:
    """The mean of Y where X alternates between 0 and 1, from the first ``n`` rows of an endless stream."""
    stream = InterventionalStream(sampler, seed=1, X=[0, 1])
    return sum(float(row["Y"]) for row in islice(stream, n)) / n


def denoised(data: pd.DataFrame, folder: Path) -> torch.Tensor:
    """What a denoiser of Y, as a file that needs torch alone, makes of noise: encoded targets ``(8, d)``."""
    program = causalc.compile(QUERY, GRAPH, models={"Y": "diffusion(steps=50, width=16)"})
    (file,) = export_denoisers(program.fit(data, progress=False), folder).values()
    denoise = torch.export.load(file).module()
    inputs = {name: torch.zeros(8, dtype=torch.int64) for name in ("X", "M")}
    found: torch.Tensor = denoise(torch.randn(8, 2), torch.ones(8), inputs)
    return found


def main(folder: Path = Path("sampler")) -> float:
    """Returns the effect of X on Y by a sampler that was saved and read back; the truth is 0.24."""
    data = pd.DataFrame(rows(4000))
    sampler = causalc.compile(QUERY, GRAPH).fit(data, progress=False)
    assert "P(Y | do(X))" in model_card(sampler)
    again = causalc.load(sampler.save(folder))
    assert 0 < streamed(again, 2000) < 1
    assert denoised(data, folder / "denoisers").shape == (8, 2)
    frame = again.sample(10_000, X=[0, 1] * 5000, seed=0)
    means = frame.Y.groupby([0, 1] * 5000).mean()
    return float(means[1] - means[0])


if __name__ == "__main__":
    print(f"effect of X on Y: {main(*map(Path, sys.argv[1:])):.3f}")
