"""Tree to program: identification, estimand, plan, passes, emission. Imports no torch."""
