"""``causalc init``: a first script, commented, with data that are drawn from a known model so that it runs at once."""

from __future__ import annotations

import random
from pathlib import Path

import click

from causalc.errors import CausalcError

ROWS = 2000
TAR = (0.2, 0.9)  # P(tar = 1 | smoking)
BASE, BY_TAR, BY_CAUSE = 0.1, 0.4, 0.4  # P(cancer = 1 | tar, U) = BASE + BY_TAR tar + BY_CAUSE U
EFFECT = BY_TAR * (TAR[1] - TAR[0])
"""E(cancer | do(smoking = 1)) - E(cancer | do(smoking = 0)) in the model that the rows come from."""

SCRIPT = f"""\
# Smoking, tar and cancer. What makes some people both smoke and fall ill was never measured,
# and still the effect of smoking can be had, because all of it passes through tar.
#
#   causalc check first.causal   is every question answerable?
#   causalc run first.causal     train, draw, estimate

# -> is a cause, <-> a common cause that nobody measured.
graph {{
  smoking -> tar -> cancer
  smoking <-> cancer
}}

# What values the variables take: binary, categorical(3), ordinal("low", "high"), integer, real, ...
var smoking, tar, cancer : binary

# One column a variable; the path is relative to this script. These rows were made up, by a model in which
# smoking raises the probability of cancer by {EFFECT:.2f}. Smokers and others differ by far more in them.
data rows = csv("rows.csv")

# do(smoking) leaves the value open: it is given when rows are drawn.
query effect = P(cancer | do(smoking))

estimate difference = E(cancer | do(smoking = 1)) - E(cancer | do(smoking = 0))

check effect : positivity, fit

sample effect, n = 1000, smoking = 1 to "smokers.csv"
"""


def rows() -> str:
    """The data as CSV: ``ROWS`` rows of a front-door model whose common cause U is thrown away."""
    chance = random.Random(0).random
    lines = ["smoking,tar,cancer"]
    for _ in range(ROWS):
        cause = chance() < 0.5
        smoking = chance() < (0.8 if cause else 0.2)
        tar = chance() < TAR[smoking]
        cancer = chance() < BASE + BY_TAR * tar + BY_CAUSE * cause
        lines.append(f"{smoking:d},{tar:d},{cancer:d}")
    return "\n".join(lines) + "\n"


def begin(folder: Path) -> tuple[Path, Path]:
    """Write ``first.causal`` and ``rows.csv`` into ``folder``; returns their paths.

    Raises ``CausalcError`` where either is there already: nothing is overwritten.
    """
    files = {folder / "first.causal": SCRIPT, folder / "rows.csv": rows()}
    for path in files:
        if path.exists() or path.is_symlink():
            raise CausalcError(f"{path} is there already; name another folder: causalc init FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    script, data = files
    return script, data


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> int:
    """Write a first script, first.causal, and its data into FOLDER (by default here)."""
    script, data = begin(folder)
    click.echo(f"wrote {script} and {data}")
    click.echo(f"next: causalc check {script}")
    return 0
