"""What each code means: one page a message, made from the messages themselves and from one wrong script each.

``causalc explain CODE`` prints a page; docs/errors holds them all. ``python -m causalc.explanations docs/errors``
writes them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from causalc.errors import CausalcError
from causalc.grammar.diagnostic import Message, suggest

HOMES = (
    "grammar.messages",
    "grammar.unexpected",
    "grammar.foreign_messages",
    "compiler.messages",
    "compiler.declaration_messages",
    "compiler.estimate_messages",
    "compiler.policy_messages",
    "compiler.pretrained_messages",
    "compiler.support_messages",
)
VERDICT = "not-identifiable"
VERDICT_PAGE = """# not-identifiable

No formula in the observed distribution gives the answer: two models can agree on all such data and differ in
what the query asks. Exit code 2, not 1: the script is right, the question is too much for these data.

The message names a **hedge**, which proves it: two sets of variables, one inside the other, each held together by
unmeasured common causes (`<->`) and with the same roots. Below the hedge stands what would help, where one thing
is enough: a measurement, an experiment, or a confounder that can be ruled out; and what is identifiable as it is.

```
graph { X -> Y; X <-> Y }
query effect = P(Y | do(X))
```

What to do: measure what confounds them and draw it in place of the `<->`; or find a mediator M with X -> M -> Y
and no `<->` at M (front door); or ask what is identifiable near by.
"""


@cache
def messages() -> Mapping[str, type[Message]]:
    """Every message by its code, in alphabetical order."""
    for home in HOMES:
        import_module(f"causalc.{home}")
    found = {cls.code: cls for cls in _below(Message)}
    return dict(sorted(found.items()))


def _below(cls: type[Message]) -> Iterator[type[Message]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)


@cache
def examples() -> Mapping[str, Mapping[str, str]]:
    """For each code a wrong script and what is printed about it."""
    text = files("causalc").joinpath("explanations.json").read_text("utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def page(code: str) -> str:
    """The page of a code, in markdown. Raises ``CausalcError`` for a code that does not exist."""
    if code == VERDICT:
        return VERDICT_PAGE
    cls = messages().get(code)
    if cls is None:
        hint = suggest(code, [*messages(), VERDICT], "causalc explain lists them all")
        raise CausalcError(f"there is no message with the code `{code}`; {hint}")
    parts = [f"# {code}"]
    if what := getattr(cls, "what", ""):
        parts.append(f"**What it says.** {_spoken(what)}.")
    if help_ := cls.help:
        parts.append(f"**What to do.** {_spoken(help_)}.")
    example = examples().get(code)
    if example:
        parts.append(f"**For example** this script\n\n```\n{example['script'].rstrip()}\n```")
        parts.append(f"is answered by\n\n```\n{example['printed'].rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _spoken(template: str) -> str:
    """A template with its fields as words in capitals."""
    text = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), template.replace("{{", "\0"))
    return text.replace("\0", "{").replace("}}", "}").rstrip(".")


def index() -> str:
    """The list of all codes, in markdown."""
    lines = ["# Messages", "", "`causalc explain CODE` prints a page.", ""]
    lines.append(f"- [{VERDICT}]({VERDICT}.md)")
    lines += [f"- [{code}]({code}.md)" for code in messages()]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    found = {f"{code}.md": page(code) for code in (*messages(), VERDICT)}
    return {"README.md": index(), **found}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.md"):
        stale.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
