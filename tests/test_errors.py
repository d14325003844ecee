"""Every wrong script of the corpus gets exactly the message beside it."""

from pathlib import Path

import pytest

from causalc.compiler.check import check
from causalc.compiler.check_support import check_support
from causalc.errors import CausalcError
from causalc.grammar import parse_file

CORPUS = Path(__file__).parent / "golden" / "errors"
SCRIPTS = sorted(CORPUS.glob("*.causal"))


def message_of(path: Path) -> str:
    """What a user is told about a script, under its bare file name."""
    with pytest.raises(CausalcError) as caught:
        script = parse_file(path)
        check_support(script, check(script))
    return str(caught.value).replace(str(path), path.name) + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_message_is_the_expected_one(path: Path, update_golden: bool) -> None:
    expected = path.with_suffix(".txt")
    message = message_of(path)
    if update_golden:
        expected.write_text(message, encoding="utf-8")
    assert message == expected.read_text(encoding="utf-8")
