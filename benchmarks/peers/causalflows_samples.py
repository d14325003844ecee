"""causalflows' neural spline flow on a graph without its latents; numbers alone. See accuracy.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import causalflows
import numpy as np
import torch

STEPS, BATCH, LR = 2_000, 256, 3e-3


def main(folder: Path) -> None:
    """Read rows.npz and question.json, write drawn.npy ``(values, draws)``."""
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    order = list(asked["order"])
    if any(asked["levels"].values()):
        sys.exit("a flow is of numbers")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    columns = np.load(folder / "rows.npz")
    rows = torch.from_numpy(np.stack([columns[name] for name in order], axis=1)).float()
    centre, scale = rows.mean(dim=0), rows.std(dim=0)
    rows = (rows - centre) / scale
    adjacency = torch.eye(len(order), dtype=torch.bool)
    for cause, effect in asked["directed"]:
        adjacency[order.index(effect), order.index(cause)] = True
    flow = causalflows.flows.CausalNSF(
        len(order), 0, adjacency=adjacency, hidden_features=[128, 128]
    )
    optimiser = torch.optim.Adam(flow.parameters(), LR)
    pace = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = rows[torch.randint(len(rows), (BATCH,))]
        loss = -flow().log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pace.step()
    x, y = order.index(asked["treatment"]), order.index(asked["outcome"])
    drawn = []
    for value in asked["values"]:
        set_to = float((value - centre[x]) / scale[x])
        with torch.no_grad():
            done = flow().sample_interventional(
                index=x, value=set_to, sample_shape=(asked["draws"],)
            )
        drawn.append((done[:, y] * scale[y] + centre[y]).double().numpy())
    np.save(folder / "drawn.npy", np.stack(drawn))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
