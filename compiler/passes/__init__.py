"""The passes over a plan, in order."""
