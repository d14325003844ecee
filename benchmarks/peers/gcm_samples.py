"""DoWhy's gcm with mechanisms of its own choice, given a graph without latents; see accuracy.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from dowhy import gcm


def main(folder: Path) -> None:
    """Read rows.npz and question.json, write drawn.npy ``(values, draws)``."""
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    gcm.config.disable_progress_bars()
    gcm.util.general.set_random_seed(0)
    levels = asked["levels"]
    rows = {
        name: values.astype(str) if levels[name] else values
        for name, values in np.load(folder / "rows.npz").items()
    }
    graph = nx.DiGraph([tuple(edge) for edge in asked["directed"]])
    graph.add_nodes_from(asked["order"])
    model, data = gcm.StructuralCausalModel(graph), pd.DataFrame(rows)
    gcm.auto.assign_causal_mechanisms(model, data)
    gcm.fit(model, data)
    drawn, treatment = [], asked["treatment"]
    for x in asked["values"]:
        value = str(int(x)) if levels[treatment] else x
        done = gcm.interventional_samples(
            model, {treatment: lambda _, value=value: value}, num_samples_to_draw=asked["draws"]
        )
        outcome = done[asked["outcome"]].to_numpy()
        drawn.append(outcome.astype(int) if levels[asked["outcome"]] else outcome.astype(float))
    np.save(folder / "drawn.npy", np.stack(drawn))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
