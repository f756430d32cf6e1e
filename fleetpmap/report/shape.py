"""Rows and columns of a table, selected and ordered.   a view's Table ─► [shape] ─► Report

Applies --sort, --top and --columns, for every view. None of them changes a total: the rows that --top leaves out become
one row, `(N more)`, with their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import KEYS, VIEWS, ViewOptions
from fleetpmap.errors import UsageError
from fleetpmap.inventory.names import nearest
from fleetpmap.naming import alike
from fleetpmap.report.grouping import HexTexts, coded
from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, Cell, Column, Table
from fleetpmap.smaps import NULL, Coded
from fleetpmap.table import IntArray, total
from fleetpmap.units import without_unit

Rows = NDArray[np.intp]
"""Indices of rows in a table."""
Counted = Callable[[Rows], Mapping[str, int | None]]
"""Counts distinct things (hosts, processes) over some rows together, by column: a thing in several rows counts once.
None is unknown."""

_SIZES = frozenset({"KiB", "delta", "count", "percent"})
_BELOW_ALL = -(2**62)
"""Less than any size or difference."""
_LARGEST_BY = ("pss_kib", "rss_kib")
"""Columns that rank rows for --top if neither --sort nor the table names one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The values of --sort, --top and --columns. The suffix `_kib` of a column may be left out."""

    sort: str | None = None
    """Column to sort by: sizes and counts descending, differences by magnitude, flags yes first, all others ascending,
    unknown last. None: the order of the view."""
    top: int | None = None
    """Number of rows kept: the first by `sort`, or the largest. None and 0: all."""
    columns: tuple[str, ...] | None = None
    """The columns, in order. None: all."""
    kept: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Rows that `top` keeps in any case, each as (column, text); columns that the table does not have do not count."""

    @classmethod
    def of(cls, options: ViewOptions) -> Shape:
        """Take the shape from the options of a view."""
        return cls(options.sort, options.top, options.columns)


AS_IT_IS = Shape()


def shaped(table: Table, shape: Shape, counted: Counted | None = None) -> Table:
    """Return the table with the rows and columns that the shape asks for.

    Columns with a rule add up in the row `(N more)`, except those that `counted` counts anew.

    Raises:
        UsageError: a column that the table does not have; or `top` without a text column for `(N more)`.
    """
    names = [column_named(table, name, "--columns") for name in shape.columns or ()]
    labels = _labels(_chosen(table, names))
    if shape.top and not labels:
        raise UsageError(
            "--columns: none of them has room for the (N more) row of --top",
            hint=f"add {_labels(table)[0]}, or leave out --top",
        )
    order = _order(table, shape)
    if order is not None:
        order, top = _with_kept(table, order, shape)
        table = _reordered(table, order, top, counted, labels)
    return _chosen(table, names)


def has_label(table: Table) -> bool:
    """Return True if the table has a text column, which `(N more)` needs."""
    return bool(_labels(table))


def rows_of(table: Table, rows: Rows) -> Table:
    """Return the table with only these rows, in this order, and the totals of all rows."""
    return replace(table, columns=tuple(_taken(column, rows) for column in table.columns))


def _chosen(table: Table, names: Sequence[str]) -> Table:
    """Return the table with the named columns; with all columns if there are no names."""
    if not names:
        return table
    columns = tuple(table.column(name) for name in dict.fromkeys(names))
    return replace(
        table, columns=columns, last=table.last if table.last == names[-1] else None, share=None, zeros=frozenset()
    )


def column_named(table: Table, name: str, option: str) -> str:
    """Return the name of the column that an option means, which may be without its unit.

    Raises:
        UsageError: the table has no such column.
    """
    names = [column.name for column in table.columns]
    if name in names:
        return name
    for known in names:
        if name == without_unit(known):
            return known
    near = nearest(name, [*names, *map(without_unit, names)])
    hint = f"the columns are {', '.join(names)}"
    others = [view.name for view in VIEWS.values() if name in (*view.columns, *map(without_unit, view.columns))]
    if others and (not near or name in KEYS):
        hint = f"--view {', '.join(others)} {'have' if len(others) > 1 else 'has'} it; {hint}"
    hint = f"did you mean {near}? {hint}" if near else hint
    raise UsageError(f'{option}: there is no column "{name}" in this view', hint=hint)


def _order(table: Table, shape: Shape) -> Rows | None:
    """Return the rows in the order asked for; None: the order of the view."""
    if shape.sort is not None:
        return sorted_by(table.column(column_named(table, shape.sort, "--sort")))
    if shape.top and table.is_ranked:
        return np.arange(len(table))
    if shape.top and table.measure:
        rank = -_measured(table)
    elif shape.top:
        rank = _rank(table.column(_largest_by(table)))
    else:
        return None
    return np.argsort(rank, kind="stable")


def _with_kept(table: Table, order: Rows, shape: Shape) -> tuple[Rows, int]:
    """Return the rows with those to keep among the first ones, and the number of these."""
    top = shape.top or len(table)
    is_kept = np.zeros(len(table), dtype=np.bool_)
    names = {column.name for column in table.columns}
    for row in shape.kept:
        known = [(name, text) for name, text in row if name in names]
        if known and ("mapping" in dict(known) or "mapping" not in names):  # a host is not each of its mappings
            is_kept |= np.logical_and.reduce([_is_named(table.column(name), text) for name, text in known])
    kept = is_kept[order]
    first = kept | (np.cumsum(~kept) <= max(top - int(kept.sum()), 0))
    return np.concatenate([order[first], order[~first]]), int(first.sum())


def _is_named(column: Column, text: str) -> NDArray[np.bool_]:
    """Return for each row if its cell is this text; a mapping also by its path, or by what hosts share of its name."""
    texts = {text, text.rpartition("/")[2]} if column.name == "mapping" else {text}
    cells = column.cells()
    is_named = {cell: isinstance(cell, str) and not texts.isdisjoint((cell, alike(cell))) for cell in {*cells}}
    return np.array([is_named[cell] for cell in cells], dtype=np.bool_)


def _measured(table: Table) -> IntArray:
    """Return the size of each row by `measure`; its RSS if that is unknown."""
    sizes = together([table.column(name) for name in table.measure])
    rss = [_sizes_of(column) for column in table.columns if column.name == "rss_kib"]
    return np.where(sizes == _BELOW_ALL, rss[0], sizes) if rss else sizes


def together(columns: Sequence[Column]) -> IntArray:
    """Add up the known sizes of each row; _BELOW_ALL for a row without any."""
    sizes = [_sizes_of(column) for column in columns]
    unknown = np.logical_and.reduce([values == _BELOW_ALL for values in sizes])
    known: IntArray = np.sum([np.where(values == _BELOW_ALL, 0, values) for values in sizes], axis=0)
    return np.where(unknown, _BELOW_ALL, known)


def _sizes_of(column: Column) -> IntArray:
    """Return the sizes of a column, of differences the magnitude; _BELOW_ALL for unknown ones."""
    if isinstance(column.values, np.ndarray):
        values = _ints(column.values)
        return np.where(values == NULL, _BELOW_ALL, values)
    size = _magnitude if column.unit == "delta" else _size
    return np.array([size(cell) for cell in column.cells()], dtype=np.int64)


def _size(cell: Cell) -> int:
    """Return a cell as a whole number; a percent, which has one digit after the point, in tenths."""
    return round(cell * 10) if isinstance(cell, float) else cell if isinstance(cell, int) else _BELOW_ALL


def _magnitude(cell: Cell) -> int:
    return abs(cell) if isinstance(cell, int) else _BELOW_ALL


def _largest_by(table: Table) -> str:
    names = [column.name for column in table.columns]
    # A table of mappings without any row has none of the kernel's fields, so it may lack PSS and RSS.
    return table.share or next((name for name in _LARGEST_BY if name in names), names[0])


def sorted_by(column: Column) -> Rows:
    """Return the rows in the order of --sort by this column."""
    return np.argsort(_rank(column), kind="stable")


def _rank(column: Column) -> NDArray[Any]:
    """Return a sort key for each row: numbers that ascend in the order of the column."""
    values = column.values
    if isinstance(values, HexTexts):
        return values.values
    if column.unit in _SIZES and not isinstance(values, np.ndarray):
        return -_sizes_of(column)
    if column.unit == "number" and not isinstance(values, np.ndarray):
        return np.array([cell if isinstance(cell, int) else np.iinfo(np.int64).max for cell in column.cells()])
    if not isinstance(values, np.ndarray):
        texts = values if isinstance(values, Coded) else coded(None if cell is None else str(cell) for cell in values)
        by_text = {text: rank for rank, text in enumerate(sorted(texts.names))}
        ranks = np.array([*(by_text[name] for name in texts.names), len(by_text)], dtype=np.intp)
        return ranks[texts.codes]  # null has code -1, so it takes the last and largest rank
    if values.dtype == np.bool_:
        return ~values
    if column.unit in _SIZES:
        return -_ints(values)  # NULL is below every size, so it comes last
    return np.where(values == NULL, np.iinfo(np.int64).max, values) if values.dtype.kind == "i" else values


def _reordered(table: Table, order: Rows, top: int, counted: Counted | None, labels: Sequence[str]) -> Table:
    """Return the first `top` rows of the order, and one row for the others, labelled in the first of `labels`."""
    kept, left = order[:top], order[top:]
    shown = rows_of(table, kept)
    if not len(left):
        return shown
    cells: dict[str, Cell] = {column.name: _sum(_taken(column, left)) for column in table.columns if column.rule}
    cells |= counted(left) if counted else {}
    cells[labels[0]] = f"({len(left)} more)"
    columns = tuple(_with_cell(column, cells.get(column.name)) for column in shown.columns)
    return replace(table, columns=columns, more=len(left))


def _labels(table: Table) -> list[str]:
    """Return the text columns; the first of them holds the label `(N more)`."""
    return [column.name for column in table.columns if column.unit == "text"]


def _taken(column: Column, rows: Rows) -> Column:
    values = column.values
    if column.outliers:
        out = frozenset(slot for slot, row in enumerate(rows.tolist()) if row in column.outliers)
        column = replace(column, outliers=out)
    if isinstance(values, Coded):
        return replace(column, values=Coded(values.codes[rows], values.names))
    if isinstance(values, np.ndarray):
        return replace(column, values=values[rows])
    if isinstance(values, HexTexts):
        return replace(column, values=values.of(rows))
    return replace(column, values=[values[row] for row in rows.tolist()])


def _sum(column: Column) -> Cell:
    """Add up the known cells of the column; without any, NOT_MAPPED or NOT_RUN if all cells are, else None."""
    if isinstance(column.values, np.ndarray):
        return total(_ints(column.values))
    cells = column.cells()
    known = [cell for cell in cells if isinstance(cell, int)]
    if known:
        return sum(known)
    others = {*cells}
    return NOT_RUN if others == {NOT_RUN} else NOT_MAPPED if others <= {NOT_MAPPED, NOT_RUN} else None


def _with_cell(column: Column, cell: Cell) -> Column:
    """Return the column with one more cell, None for null."""
    values = column.values
    if isinstance(values, Coded):
        names = values.names if cell is None or cell in values.names else (*values.names, str(cell))
        code = -1 if cell is None else names.index(str(cell))
        return replace(column, values=Coded(np.append(values.codes, np.int32(code)), names))
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return replace(
            column, values=np.concatenate([_ints(values), np.array([NULL if cell is None else cell], np.int64)])
        )
    return replace(column, values=[*column.cells(), cell])


def _ints(values: NDArray[Any]) -> IntArray:
    return values.astype(np.int64, copy=False)
