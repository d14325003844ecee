"""Make the rows of frontdoor.causal: smoking X, tar M, cancer Y, and a cause U of X and Y that is thrown away."""

from __future__ import annotations

from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "out" / "frontdoor"
ROWS = 20_000
TAR = (0.2, 0.9)  # P(M = 1 | X)
BASE, BY_TAR, BY_CAUSE = 0.1, 0.4, 0.4  # P(Y = 1 | M, U) = BASE + BY_TAR M + BY_CAUSE U


def main() -> None:
    """Write the rows; print the difference they show and the one that an intervention makes."""
    rng = np.random.default_rng(0)
    u = rng.random(ROWS) < 0.5
    x = rng.random(ROWS) < np.where(u, 0.8, 0.2)
    m = rng.random(ROWS) < np.where(x, TAR[1], TAR[0])
    y = rng.random(ROWS) < BASE + BY_TAR * m + BY_CAUSE * u
    OUT.mkdir(parents=True, exist_ok=True)
    columns = np.stack([x, m, y], axis=1).astype(int)
    np.savetxt(OUT / "rows.csv", columns, "%d", ",", header="X,M,Y", comments="")
    print(f"{ROWS:,} rows in out/frontdoor/rows.csv")
    print(f"Y among X = 1 less Y among X = 0: {y[x].mean() - y[~x].mean():.3f}")
    print(f"the effect of setting X: {BY_TAR * (TAR[1] - TAR[0]):.3f}")


if __name__ == "__main__":
    main()
