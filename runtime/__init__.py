"""What a generated program calls. Knows nothing of the grammar and the compiler."""
