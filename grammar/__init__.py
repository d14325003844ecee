"""Text to tree: the query language, its formatter and its diagnostics."""
