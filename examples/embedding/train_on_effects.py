"""A network of one's own trained on interventional rows, and an estimator in scikit-learn's manner beside it.

python examples/embedding/train_on_effects.py
"""

from __future__ import annotations

import pandas as pd
import torch
from export_sampler import rows
from torch import nn
from torch.utils.data import DataLoader

import causalc
from causalc.embedding import Effect, InterventionalRows

QUERY, GRAPH = "P(Y | do(X))", "X -> M -> Y; X <-> Y"


def distilled(sampler: causalc.Sampler, n: int = 8192) -> tuple[float, float]:
    """P(Y = 1 | do(X)) at X = 0 and 1, by a network of two weights that saw draws alone."""
    network = nn.Linear(1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    data = InterventionalRows(sampler, n, seed=0, X=[0, 1])
    for batch in DataLoader(data, batch_size=256):
        logits = network(batch["X"].float()[:, None])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["Y"].float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    low, high = torch.sigmoid(network(torch.tensor([[0.0], [1.0]])))[:, 0].tolist()
    return low, high


def main() -> tuple[float, float]:
    """Returns the effect by the distilled network and by the estimator; the truth is 0.24."""
    data = pd.DataFrame(rows(4000))
    sampler = causalc.compile(QUERY, GRAPH).fit(data, progress=False)
    low, high = distilled(sampler)
    effect = Effect(QUERY, GRAPH, draws=10_000).fit(data)
    mean = effect.predict(pd.DataFrame({"X": [0, 1]}))
    return high - low, float(mean[1] - mean[0])


if __name__ == "__main__":
    print("effect of X on Y: {:.3f} by a network, {:.3f} by the estimator".format(*main()))
