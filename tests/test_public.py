"""Public names: typed, documented with what they raise and the shapes of arrays, and examples that use them."""

import inspect
import json
import re
import runpy
import subprocess
import sys
import threading
import typing
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalc
from causalc.compiler.answer import Estimand
from causalc.compiler.plan import Plan

ROOT = Path(__file__).parent.parent
MODULES = ("causalc", "causalc.embedding")
REACHED = {"causalc.Estimand": Estimand, "causalc.Plan": Plan}  # what public functions return


def public() -> Iterator[tuple[str, Any]]:
    """Every public name with what it stands for."""
    for module in MODULES:
        names = import_module(module)
        for name in names.__all__:
            yield f"{module}.{name}", getattr(names, name)


def functions() -> Iterator[tuple[str, Any]]:
    """Every public function, method and property, by its name."""
    for name, value in {**dict(public()), **REACHED}.items():
        if not inspect.isclass(value):
            yield name, value
            continue
        for part, raw in vars(value).items():
            member = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
            member = member.fget if isinstance(member, property) else member
            if not part.startswith("_") and inspect.isfunction(member):
                yield f"{name}.{part}", member


FUNCTIONS = dict(functions())
JOINT = causalc.Table(("X", "Y"), np.full((2, 2), 0.25))


def test_there_is_much_to_check() -> None:
    assert len(FUNCTIONS) > 30
    assert {"causalc.compile", "causalc.Sampler.sample", "causalc.embedding.Effect.predict"} <= {
        *FUNCTIONS
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_documented_and_typed(name: str) -> None:
    function = FUNCTIONS[name]
    assert len((inspect.getdoc(function) or "").split()) >= 2, name
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty, name
    for parameter in signature.parameters.values():
        if parameter.name not in ("self", "cls"):
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter}"


def test_every_public_class_is_documented() -> None:
    for name, value in {**dict(public()), **REACHED}.items():
        if inspect.isclass(value):
            assert "__doc__" in vars(value) and len(str(value.__doc__).split()) >= 3, name


@pytest.mark.parametrize(
    "name",
    [n for n, f in FUNCTIONS.items() if re.search(r"raise (\w*Error|\w+\()", inspect.getsource(f))],
)
def test_errors_that_a_function_raises_itself_are_named(name: str) -> None:
    raised = {*re.findall(r"raise (\w+)\(", inspect.getsource(FUNCTIONS[name]))} & {
        "CausalcError",
        "NotIdentifiable",
        "GraphError",
    }
    said = inspect.getdoc(FUNCTIONS[name]) or ""
    assert not raised or re.search(r"[Rr]aises?\b", said), (
        f"{name} raises {raised} and does not say so"
    )


def spoken_of(parameter: str, text: str) -> bool:
    """Whether a text names a parameter, ``values`` also as the value of each."""
    return re.search(rf"\b{parameter.removesuffix('s')}s?\b", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_spoken_of(name: str) -> None:
    said = inspect.getdoc(FUNCTIONS[name]) or ""
    silent = [
        p
        for p in inspect.signature(FUNCTIONS[name]).parameters
        if p not in ("self", "cls") and not spoken_of(p, said)
    ]
    assert not silent, f"{name} does not say what {silent} are"


def test_every_argument_of_a_constructor_is_spoken_of() -> None:
    for name, value in {**dict(public()), **REACHED}.items():
        if not inspect.isclass(value) or issubclass(value, causalc.CausalcError):
            continue
        said = f"{inspect.getdoc(value)} {inspect.getdoc(value.__init__)}"
        parameters = inspect.signature(value).parameters
        silent = [p for p in parameters if not p.startswith("_") and not spoken_of(p, said)]
        assert not silent, f"{name} does not say what {silent} are"


USERS = re.compile(r"str|Any|Path|Mapping|Iterable|Sequence|Table|object")


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, f in FUNCTIONS.items()
        if any(USERS.search(str(p.annotation)) for p in inspect.signature(f).parameters.values())
    ],
)
def test_what_a_user_gives_can_be_wrong_and_that_is_said(name: str) -> None:
    assert re.search(r"\b[Rr]aises?\b", inspect.getdoc(FUNCTIONS[name]) or ""), name


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: causalc.Graph.parse("X -> Y").project(["X", "Z"]),
        lambda: causalc.Graph.parse("X -> Y").mask(["Z"]),
        lambda: causalc.Graph.from_edges([], [("X", "Y"), ("Y", "X")]),
        lambda: causalc.Table(("X",), np.ones(2)).size("Y"),
        lambda: causalc.Table(("X",), np.ones(2)).position("Y", 0),
        lambda: causalc.Table(("X",), np.ones(2)).over(["Y"]),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y").exact(JOINT, "other"),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", strategy="other"),
        lambda: causalc.identify("P(Y | do(X))", "X -> Z"),
        lambda: causalc.identify("P(Y | do(X)", "X -> Y"),
        lambda: causalc.identify("P(Y | do(X))", 42),
        lambda: causalc.identify("P(Y | do(X))", [("X", "Y")]),
        lambda: causalc.identify(42, "X -> Y"),  # type: ignore[arg-type]
        lambda: causalc.identify("P(Y | do(X))", nx.Graph([("X", "Y")])),
        lambda: causalc.remedies("P(Y | do(X))", "X -> Y"),
        lambda: causalc.remedies("P(Y | do(X))", "X -> Z"),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", schema={"y": "binary"}),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", schema={"X": bool}),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", models={"Y": "difusion"}),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", models={"Y": "diffusion(step=3)"}),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y", {"Y": "real"}, models={"Y": "table"}),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y").exact(pd.DataFrame({"X": [1], "Y": [0]})),
        lambda: causalc.identify("P(Y | do(X))", "X -> Y").evaluate(pd.DataFrame({"X": [1]})),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y").fit(pd.Series([1, 2])),
        lambda: causalc.compile("P(Y | do(X))", "X -> Y").fit({"X": [1, 2], "Y": [1, 2]}, seeed=1),
        lambda: causalc.load("no such folder"),
        lambda: causalc.parse("graph {"),
    ],
)
def test_what_is_wrong_raises_what_is_said(wrong: Callable[[], object]) -> None:
    with pytest.raises(causalc.CausalcError):
        wrong()


def test_remedies_are_those_that_the_command_prints() -> None:
    found = causalc.remedies("P(Y | do(X))", "X -> Y; X <-> Y")
    assert found.measure == found.rule_out == (("X", "Y"),) and found.experiments == ("X",)
    assert "measure what confounds X and Y" in str(found)


def test_a_graph_of_networkx_and_a_family_by_name_will_do() -> None:
    graph = nx.DiGraph([("Z", "X"), ("Z", "Y"), ("X", "Y")])
    assert str(causalc.identify("P(Y | do(X))", graph)) == "P(Y | do(X)) = sum_{Z} P(Z) P(Y | Z, X)"
    program = causalc.compile("P(Y | do(X))", graph, models={"Y": "diffusion(steps=50)"})
    assert "model=runtime.diffusion(steps=50)" in program.source


ARRAYS = re.compile(r"ndarray|Tensor|DataFrame")


@pytest.mark.parametrize(
    "name",
    [n for n, f in FUNCTIONS.items() if ARRAYS.search(str(inspect.signature(f).return_annotation))],
)
def test_shapes_are_said_where_arrays_come_back(name: str) -> None:
    owner = (
        inspect.getdoc(
            getattr(
                import_module(name.rpartition(".")[0].rpartition(".")[0] or "causalc"),
                name.split(".")[-2],
                None,
            )
        )
        or ""
    )
    said = (inspect.getdoc(FUNCTIONS[name]) or "") + owner
    assert re.search(r"\(n|\(d|rows?\b|axis|columns?", said), name


def test_import_costs_little() -> None:
    """Processor time, the median of nine; a third of it is the interpreter's own start."""
    code = "import time, causalc; print(time.process_time())"
    seconds = sorted(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
        for _ in range(9)
    )
    assert seconds[4] < 0.15, seconds


def test_type_hints_of_generated_programs_are_resolved() -> None:
    module = runpy.run_path(str(ROOT / "generated" / "frontdoor.py"))
    assert "return" in typing.get_type_hints(module["sample"])


@pytest.mark.parametrize(
    "name", ["train_on_effects", "use_generated", "export_sampler", "keep_sampler"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_examples_of_embedding(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 rows, 10,000 draws: the standard deviation of each effect is below 0.02; the truth is 0.24."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "embedding"))
    found = import_module(name).main()
    for effect in found if isinstance(found, tuple) else (found,):
        assert abs(effect - 0.24) < 0.08


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    rows = {"X": [0, 1, 1, 0] * 50, "Y": [0, 1, 0, 0] * 50}
    sampler = causalc.compile("P(Y | do(X))", "X -> Y").fit(rows, progress=False)
    made = import_module("service").Service(("127.0.0.1", 0), sampler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


def ask(address: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(address, data, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_service_answers_and_refuses_in_a_line(service: str) -> None:
    status, said = ask(service + "/")
    assert (status == 200 and said["queries"]["query"]["inputs"] == {"X": "binary(0, 1)"}) or said
    status, said = ask(service + "/sample", {"n": 3, "values": {"X": 1}, "seed": 2})
    assert status == 200 and len(said["rows"]["Y"]) == 3 and {*said["rows"]["Y"]} <= {0, 1}
    for body, code in [
        ({"n": 0, "values": {"X": 1}}, 400),
        ({"n": 10**9, "values": {"X": 1}}, 400),
        ({"n": 3, "values": {"X": 5}}, 400),
        ({"n": 3, "values": {"W": 5, "X": 1}}, 400),
        ({"n": 3, "values": {}, "query": "other"}, 400),
        ({"n": 3, "values": {"X": [[1]]}, "seed": "x"}, 400),
        ({"n": 3, "code": "import os"}, 400),
        ([1], 400),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b"x" * 70_000, 413),
    ]:
        status, said = ask(service + "/sample", body)
        assert status == code and list(said) == ["error"] and "\n" not in said["error"], (
            body,
            said,
        )
    assert ask(service + "/else")[0] == 404 and ask(service + "/else", {})[0] == 404
