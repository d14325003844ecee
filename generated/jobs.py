"""Compiled from jobs.causal.
Graph: age -> treat; age -> re78; educ -> treat; educ -> re78; black -> treat; black ->
re78; hisp -> treat; hisp -> re78; marr -> treat; marr -> re78; nodegree -> treat; nodegree
-> re78; re74 -> treat; re74 -> re78; re75 -> treat; re75 -> re78; treat -> re78; age <->
educ; age <-> black; age <-> hisp; age <-> marr; age <-> nodegree; age <-> re74; age <->
re75; educ <-> black; educ <-> hisp; educ <-> marr; educ <-> nodegree; educ <-> re74; educ
<-> re75; black <-> hisp; black <-> marr; black <-> nodegree; black <-> re74; black <->
re75; hisp <-> marr; hisp <-> nodegree; hisp <-> re74; hisp <-> re75; marr <-> nodegree;
marr <-> re74; marr <-> re75; nodegree <-> re74; nodegree <-> re75; re74 <-> re75
P(re78 | do(treat)) = sum_{age, educ, black, hisp, marr, nodegree, re74, re75} P(age, educ,
black, hisp, marr, nodegree, re74, re75) P(re78 | age, educ, black, hisp, marr, nodegree,
re74, re75, treat)
P(re78 | do(treat), age, educ, black, hisp, marr, nodegree, re74, re75) = P(re78 | age,
educ, black, hisp, marr, nodegree, re74, re75, treat)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "age": runtime.integer(),
    "educ": runtime.integer(),
    "black": runtime.binary(),
    "hisp": runtime.binary(),
    "marr": runtime.binary(),
    "nodegree": runtime.binary(),
    "re74": runtime.real(),
    "re75": runtime.real(),
    "treat": runtime.binary(),
    "re78": runtime.real(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed([
        "age",
        "educ",
        "black",
        "hisp",
        "marr",
        "nodegree",
        "re74",
        "re75",
        "treat",
        "re78",
    ])

    # P(re78 | age, educ, black, hisp, marr, nodegree, re74, re75, treat)
    re78_given_age_educ_black_hisp_marr_nodegree_re74_re75_treat = run.fit(
        ["re78"],
        given=["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75", "treat"],
        on=observed,
        model=runtime.mixture(),
    )

    # age, educ, black, hisp, marr, nodegree, re74, re75: real rows, no model
    rows_of_age_educ_black_hisp_marr_nodegree_re74_re75 = run.bootstrap(["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"], on=observed)

    return run.finish({
        "rows_of_age_educ_black_hisp_marr_nodegree_re74_re75": rows_of_age_educ_black_hisp_marr_nodegree_re74_re75,
        "re78_given_age_educ_black_hisp_marr_nodegree_re74_re75_treat": re78_given_age_educ_black_hisp_marr_nodegree_re74_re75_treat,
    })


def sample_effect(
    models: runtime.Models,
    n: int,
    *,
    treat: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(re78 | do(treat))."""
    draw = runtime.sampling(models, n, **options)
    treat_set = draw.input("treat", treat)
    age, educ, black, hisp, marr, nodegree, re74, re75 = draw.sample(models["rows_of_age_educ_black_hisp_marr_nodegree_re74_re75"], {})
    (re78,) = draw.sample(models["re78_given_age_educ_black_hisp_marr_nodegree_re74_re75_treat"], {"age": age, "educ": educ, "black": black, "hisp": hisp, "marr": marr, "nodegree": nodegree, "re74": re74, "re75": re75, "treat": treat_set})
    return draw.table({"re78": re78})


def sample_person(
    models: runtime.Models,
    n: int,
    *,
    treat: runtime.Input,
    age: runtime.Input,
    educ: runtime.Input,
    black: runtime.Input,
    hisp: runtime.Input,
    marr: runtime.Input,
    nodegree: runtime.Input,
    re74: runtime.Input,
    re75: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(re78 | do(treat), age, educ, black, hisp, marr, nodegree, re74, re75)."""
    draw = runtime.sampling(models, n, **options)
    treat_set = draw.input("treat", treat)
    age_set = draw.input("age", age)
    educ_set = draw.input("educ", educ)
    black_set = draw.input("black", black)
    hisp_set = draw.input("hisp", hisp)
    marr_set = draw.input("marr", marr)
    nodegree_set = draw.input("nodegree", nodegree)
    re74_set = draw.input("re74", re74)
    re75_set = draw.input("re75", re75)
    (re78,) = draw.sample(models["re78_given_age_educ_black_hisp_marr_nodegree_re74_re75_treat"], {"age": age_set, "educ": educ_set, "black": black_set, "hisp": hisp_set, "marr": marr_set, "nodegree": nodegree_set, "re74": re74_set, "re75": re75_set, "treat": treat_set})
    return draw.table({"re78": re78})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"treat": "treat"}),
    "person": runtime.Query(sample_person, {"treat": "treat", "age": "age", "educ": "educ", "black": "black", "hisp": "hisp", "marr": "marr", "nodegree": "nodegree", "re74": "re74", "re75": "re75"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
