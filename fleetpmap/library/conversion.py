"""Results as dictionaries, data frames and html.   Snapshot, Report, Table ─► [conversion] ─► tabular

A text is escaped as in every format, and null is unknown. The columns and their types are those of the files: of json
for dictionaries, of parquet for data frames.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from fleetpmap.errors import UsageError
from fleetpmap.escape import escape
from fleetpmap.export.as_parquet import frame
from fleetpmap.installation import command_for
from fleetpmap.library.fragment import report_html, table_html
from fleetpmap.report import mappings, summary
from fleetpmap.report.model import NOT_MAPPED, Report, Table
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.snapshot import Snapshot
from fleetpmap.tabular import Tabular

if TYPE_CHECKING:
    import pandas
    import polars


def dicts(result: Tabular) -> list[dict[str, Any]]:
    """Return the rows as json has them."""
    columns = [column.with_texts(escape) for column in _table(result).columns]
    names = [column.name for column in columns]
    cells = zip(*(column.cells() for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in cells]


def polars_frame(result: Tabular) -> polars.DataFrame:
    """Return the rows as parquet has them.

    Raises:
        UsageError: polars is not installed.
    """
    _require("polars", command_for("parquet"))
    table = _table(result)
    return frame(table, has_hosts=_has_hosts(result, table))


def pandas_frame(result: Tabular) -> pandas.DataFrame:
    """Return the same rows for pandas, without pyarrow.

    Raises:
        UsageError: pandas or polars is not installed.
    """
    _require("pandas", "pip install pandas")
    import pandas

    return pandas.DataFrame({series.name: _pandas_array(series) for series in polars_frame(result)})


def html(result: Tabular) -> str:
    """Return the result for a notebook: of a snapshot the summary, with what stands out."""
    if isinstance(result, Table):
        return table_html(result)
    if isinstance(result, Snapshot):
        result = with_findings(summary(result), partial(standing_out, result))
    assert isinstance(result, Report)  # noqa: S101 - the third and last kind of Tabular
    return report_html(result)


def _table(result: Tabular) -> Table:
    """Return the table that a result is, or that stands for it."""
    if isinstance(result, Snapshot):
        result = mappings(result)
    if isinstance(result, Report):
        return result.tables[0]
    assert isinstance(result, Table)  # noqa: S101 - the third and last kind of Tabular
    return result


def _has_hosts(result: Tabular, table: Table) -> bool:
    """Return True for a comparison; a table alone is one if it says of a mapping that a host does not have it."""
    if isinstance(result, Report):
        return result.view == "compare"
    numbers = (column.cells() for column in table.columns if column.unit not in ("text", "address"))
    return isinstance(result, Table) and any(cell == NOT_MAPPED for cell in chain.from_iterable(numbers))


def _require(package: str, command: str) -> None:
    if find_spec(package) is None:
        raise UsageError(f"a {package} data frame needs {package}, not installed here", hint=f"run `{command}`")


def _pandas_array(series: polars.Series) -> Any:
    """Return a column for pandas: integers and booleans with a mask of what is unknown, any other type as objects."""
    import pandas

    kind = series.dtype
    if kind.is_integer():
        values, unknown = series.fill_null(0).to_numpy(), series.is_null().to_numpy()
        return pandas.arrays.IntegerArray(values.copy(), unknown.copy())
    if kind.is_float():
        return series.to_numpy()
    plain = series.to_list()
    return pandas.array(plain, dtype="boolean") if str(kind) == "Boolean" else plain
