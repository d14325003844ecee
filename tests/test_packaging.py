"""The distribution holds what the repository holds."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
STAGES = ("compiler", "grammar", "runtime")


def config() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found["tool"]["setuptools"]  # type: ignore[index,return-value]


def test_every_package_is_declared() -> None:
    on_disk = {
        ".".join(("causalc", *init.parent.relative_to(ROOT).parts))
        for stage in STAGES
        for init in (ROOT / stage).rglob("__init__.py")
    } | {"causalc.embedding"}
    assert set(config()["packages"]) == {"causalc"} | on_disk  # type: ignore[call-overload]


def test_links_match_the_mapping() -> None:
    mapping = config()["package-dir"]
    for stage in STAGES:
        assert mapping[f"causalc.{stage}"] == stage  # type: ignore[index]
        assert (ROOT / "causalc" / stage).resolve() == (ROOT / stage).resolve()
