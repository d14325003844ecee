"""An oracle for causal queries: random models, exact answers, an independent decider. Shares no code with causalc."""
