"""Methods that the results of the library share.   [tabular] ─► snapshot, report ─► notebooks, data frames

A Snapshot, a Report and a Table become rows, data frames and html in the same way. The code that makes these needs the
views and the exports, which come later in the pipeline than a Snapshot. So it stands in `library.conversion`, which is
the one module that is named here, and not imported until a method is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars


class Tabular:
    """A result of the library that is one table, or has one that stands for it.

    A Report stands for its first table, and a Snapshot for a row per mapping, as in the view mappings.
    """

    __slots__ = ()

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as in a json file: a dictionary by column name for each row, None for unknown."""
        dicts: list[dict[str, Any]] = _conversion().dicts(self)
        return dicts

    def to_polars(self) -> polars.DataFrame:
        """Return the rows as in a parquet file: a polars data frame, null for unknown.

        Raises:
            UsageError: polars is not installed.
        """
        frame: polars.DataFrame = _conversion().polars_frame(self)
        return frame

    def to_pandas(self) -> pandas.DataFrame:
        """Return the same rows as a pandas data frame, with nullable integers, so that unknown stays apart from zero.

        Raises:
            UsageError: pandas or polars is not installed.
        """
        frame: pandas.DataFrame = _conversion().pandas_frame(self)
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows of `to_polars` for any library that reads Arrow's C stream: pyarrow, pandas, duckdb."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        html: str = _conversion().html(self)
        return html


def _conversion() -> Any:
    return import_module("fleetpmap.library.conversion")
