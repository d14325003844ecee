"""An oracle for causal queries: models, exact answers, deciders. Shares no code with causalc."""
