"""Columns and rows of zeros step back on a terminal.   report ─► [zeros] ─► terminal

A column is left out if it is zero in every row of every table, and so is its total; a row of a mapping if it has no
memory at all. A sentence names them. Zero is known: an unknown cell keeps its column and its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fleetpmap.naming import alike
from fleetpmap.report.finding import Finding
from fleetpmap.report.model import Column, Table
from fleetpmap.report.notes import MOST_NAMED
from fleetpmap.report.shape import rows_of
from fleetpmap.smaps import NULL

_SPANS = frozenset({"size_kib", "kernel_size_kib", "kernel_page_size_kib", "mmu_page_size_kib"})
"""Columns in KiB that are no memory: lengths of a mapping and of its pages."""

Flags = NDArray[np.bool_]


def without_zeros(tables: Sequence[Table], findings: Sequence[Finding]) -> tuple[tuple[Table, ...], list[str]]:
    """Return the tables without columns and rows of zeros, and the sentences that name these.

    The size that rows are compared by, the number of processes and rows whose mapping a finding names stay.
    """
    zero = [name for name in _size_columns(tables) if all(_is_zero(name, table) for table in tables)]
    named = frozenset(finding.mapping for finding in findings)
    shown, sentences = [], []
    for table in tables:
        rows, sentence = _without_rows(table, named)
        shown.append(replace(rows, columns=tuple(column for column in rows.columns if column.name not in zero)))
        sentences += [sentence] if sentence else []
    names = ", ".join(name.removesuffix("_kib") for name in zero)
    return tuple(shown), [*([f"zero everywhere: {names}"] if names else []), *sentences]


def _size_columns(tables: Sequence[Table]) -> Iterator[str]:
    """Yield the names of columns that may step back, each once."""
    shown = [table for table in tables if "columns" in table.zeros and len(table)]
    columns = [(table, column) for table in shown for column in table.columns]
    names = (column.name for table, column in columns if column.unit in ("KiB", "count") and column.name != table.share)
    yield from (name for name in dict.fromkeys(names) if name != "processes")


def _is_zero(name: str, table: Table) -> bool:
    """Return True if the table lacks the column, or has nothing but zeros in it; a failed host has no numbers."""
    column = next((column for column in table.columns if column.name == name), None)
    if column is None or not len(table):
        return True
    if "columns" not in table.zeros or column.total:
        return False
    zero = _zeros(column)
    return bool(zero.any() and (zero.all() or (zero | (_nulls(column) & _failed(table))).all()))


def _failed(table: Table) -> Flags:
    errors = next((column.cells() for column in table.columns if column.name == "error"), [None] * len(table))
    return np.array([bool(error) for error in errors], dtype=np.bool_)


def _without_rows(table: Table, named: frozenset[str | None]) -> tuple[Table, str]:
    """Return the table without rows of mappings that have no memory, and a sentence; all rows, if no other is left."""
    sizes = [column for column in table.columns if column.unit == "KiB" and column.name not in _SPANS]
    known = [column for column in sizes if not _nulls(column).all()]
    if "rows" not in table.zeros or not known:
        return table, ""
    empty: Flags = np.logical_and.reduce([_zeros(column) for column in known])
    empty[: table.counts] = False
    keys = [column.cells() for column in table.columns if column.name in ("mapping", "path")]
    for row in np.flatnonzero(empty).tolist() if named else ():
        texts = {str(cells[row]) for cells in keys}
        empty[row] = named.isdisjoint(texts | {*map(alike, texts)})
    if not empty.any() or empty.all():
        return table, ""
    is_rest = bool(table.more and empty[-1])
    gone = np.flatnonzero(empty)
    count = len(gone) - is_rest + (table.more if is_rest else 0)
    names = [*dict.fromkeys(str(keys[0][row]) for row in gone[: len(gone) - is_rest].tolist())] if keys else []
    shown = replace(rows_of(table, np.flatnonzero(~empty)), more=0 if is_rest else table.more)
    has_rss = any(column.name == "rss_kib" for column in known)
    what = "with no memory resident" if has_rss else "with no memory on any host"
    return shown, _sentence(count, "mapping" if keys else "row", what, names)


def _sentence(count: int, noun: str, what: str, names: Sequence[str]) -> str:
    listed = f": {', '.join(names[:MOST_NAMED])}{' …' if count > MOST_NAMED else ''}" if names else ""
    return f"{count} {noun}{'' if count == 1 else 's'} {what}{listed}"


def _zeros(column: Column) -> Flags:
    if isinstance(column.values, np.ndarray):
        return np.asarray(column.values == 0)
    return np.array([isinstance(cell, int) and cell == 0 for cell in column.cells()], dtype=np.bool_)


def _nulls(column: Column) -> Flags:
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind == "i":
        return np.asarray(column.values == NULL)
    return np.array([cell is None for cell in column.cells()], dtype=np.bool_)
