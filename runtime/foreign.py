"""Tables of other packages, by what they can do; none of these packages is needed."""

from __future__ import annotations

from typing import Any

from causalc.errors import CausalcError


def arrow(source: Any) -> Any | None:
    """A table of polars, Hugging Face, DuckDB or whatever speaks Arrow, as an Arrow table; None for all else.

    Raises ``CausalcError`` for a table that is not computed yet, and for one in several splits.
    """
    import pyarrow as pa

    name = type(source).__name__
    if hasattr(source, "with_format") and hasattr(source, "column_names"):  # Hugging Face
        if isinstance(source.column_names, dict) or not hasattr(source, "__len__"):
            raise CausalcError(f"a {name} is several tables, or a stream: give one Dataset of rows")
        return source.with_format("arrow")[:]
    if hasattr(source, "to_arrow"):  # polars
        return source.to_arrow()
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):
        raise CausalcError(f"a {name} is not computed yet: give its collect()")
    if hasattr(source, "__arrow_c_stream__"):
        try:
            return pa.table(source)
        except (pa.ArrowInvalid, TypeError):
            raise CausalcError(
                f"a {name} is no table: give one with a column for every variable of the graph"
            ) from None
    if hasattr(source, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(source)
    return None
