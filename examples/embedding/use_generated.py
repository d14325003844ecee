"""A generated program used as a typed module: its functions have the types of a library of one's own.

python examples/embedding/use_generated.py
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

from export_sampler import rows

from causalc import runtime

PROGRAM = Path(__file__).parents[2] / "generated" / "frontdoor.py"


def main() -> float:
    """Returns the effect of X on Y; the truth is 0.24."""
    module = runpy.run_path(str(PROGRAM))  # `import frontdoor`, where the file lies on the path
    train = cast("Callable[..., runtime.Models]", module["train"])
    sample = cast("Callable[..., runtime.Frame]", module["sample"])
    models = train(rows(4000), progress=False)
    low, high = (float(sample(models, 10_000, X=x)["Y"].mean()) for x in (0, 1))
    return high - low


if __name__ == "__main__":
    print(f"effect of X on Y: {main():.3f}")
