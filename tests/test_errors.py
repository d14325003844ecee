"""Every wrong script of the corpus gets exactly the message beside it."""

import json
from pathlib import Path

import pytest

from causalc.compiler.check import check_each
from causalc.compiler.check_support import check_support
from causalc.errors import CausalcError
from causalc.explanations import VERDICT, examples, messages, page, pages
from causalc.grammar import LanguageError
from causalc.reading import read_script
from causalc.script import compile_script

CORPUS = Path(__file__).parent / "golden" / "errors"
SCRIPTS = sorted(CORPUS.glob("*.causal"))


def refused(path: Path) -> None:
    """Read a script up to the programs it makes; raises what is wrong with it."""
    script = read_script(path)
    found = check_each(script)
    for checked in found.values():
        check_support(script, checked)
    for name in found:
        compile_script(path, graph=name)


def message_of(path: Path) -> str:
    """What a user is told about a script, under its bare file name."""
    with pytest.raises(CausalcError) as caught:
        refused(path)
    return str(caught.value).replace(f"{path.parent}/", "") + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_message_is_the_expected_one(path: Path, update_golden: bool) -> None:
    expected = path.with_suffix(".txt")
    message = message_of(path)
    if update_golden:
        expected.write_text(message, encoding="utf-8")
    assert message == expected.read_text(encoding="utf-8")


# ---- codes

HOME = Path(__file__).parent.parent
BY_NO_SCRIPT = {  # messages of graphs or queries that stand alone, of huge texts, or that another comes before
    "do-without-query",
    "expression-too-long",
    "extra",
    "function-as-value",
    "name-missing",
    "not-a-dag",
    "not-included",
    "stochastic-do",
    "too-many-includes",
    "too-long",
}


def collected() -> dict[str, dict[str, str]]:
    """For each code its shortest wrong script, and what is printed about it."""
    found: dict[str, dict[str, str]] = {}
    for path in SCRIPTS:
        try:
            refused(path)
        except LanguageError as error:
            text = path.read_text(encoding="utf-8")
            for message in error.messages:
                known = found.get(message.code)
                if known is None or len(text) < len(known["script"]):
                    printed = (
                        str(error).replace(str(path), "wrong.causal").replace(f"{path.parent}/", "")
                    )
                    found[message.code] = {"script": text, "printed": printed}
        except CausalcError:
            continue
    return dict(sorted(found.items()))


def test_every_code_has_an_example_and_a_page(update_golden: bool) -> None:
    """``pytest tests/test_errors.py --update-golden`` writes both."""
    home = HOME / "causalc" / "explanations.json"
    text = json.dumps(collected(), indent=1, ensure_ascii=False) + "\n"
    folder = HOME / "docs" / "errors"
    if update_golden:
        home.write_text(text, encoding="utf-8")
        examples.cache_clear()
        folder.mkdir(exist_ok=True)
        for name, content in pages().items():
            (folder / name).write_text(content, encoding="utf-8")
    assert text == home.read_text(encoding="utf-8")
    assert set(messages()) - set(collected()) <= BY_NO_SCRIPT
    assert {p.name: p.read_text(encoding="utf-8") for p in folder.glob("*.md")} == pages()


def test_codes_are_unique_and_read_as_words() -> None:
    assert len({cls.__name__ for cls in messages().values()}) == len(messages())
    assert all(code.replace("-", "").isalnum() and code == code.lower() for code in messages())
    assert VERDICT not in messages()


def test_an_unknown_code_is_answered_with_the_nearest() -> None:
    with pytest.raises(CausalcError, match="did you mean `no-graph`"):
        page("no-grap")
