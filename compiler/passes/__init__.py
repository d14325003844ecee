"""The passes over a plan, in order. Each is a pure function of a plan and its graph."""

from __future__ import annotations

from collections.abc import Callable

from causalc.compiler.graph import Graph
from causalc.compiler.passes.bootstrap import bootstrap
from causalc.compiler.passes.prune import prune
from causalc.compiler.plan import Plan

Pass = Callable[[Plan, Graph], Plan]

PASSES: tuple[tuple[str, Pass], ...] = (("bootstrap", bootstrap), ("prune", prune))
"""Models are shared already when the plan is made: equal operations are one."""
