"""Mappings of the same name in all processes, merged into one row.   snapshot ─► [merged] ─► Report"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions, merge_keys_of
from fleetpmap.report.grouping import (
    HUGETLB,
    grouped,
    host_slots,
    key_column,
    key_of_rows,
    mapping_counts,
    plain_paths,
    share_metric,
    size_columns,
    sums_by,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Rows, Shape, shaped
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray, compact, distinct, distinct_per_group, is_unreadable


def merged(snapshot: Snapshot, by: Sequence[str] = ("mapping",), shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each combination of the `by` keys, largest PSS and huge pages first, then by RSS, then by name.

    Processes whose mappings could not be read share the row `(not readable)`, which is placed by its RSS.

    Raises:
        UsageError: a key that is not in KEYS, or a column of `shape` that the table does not have.
    """
    return Report(
        view="merged",
        tables=(Merge(snapshot, by).table(shape),),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )


class Merge:
    """A snapshot's mappings, grouped once; several tables can be made of them.

    Raises:
        UsageError: a key of `by` that is not in KEYS.
    """

    def __init__(self, snapshot: Snapshot, by: Sequence[str]) -> None:
        keys = {key: key_of_rows(snapshot, key) for key in merge_keys_of(by)}
        group, first_row = grouped(list(keys.values()))
        names = {key: Coded(column.codes[first_row], column.names) for key, column in keys.items()}
        sizes = sums_by(snapshot.table, group, len(first_row))
        mappings, all_mappings = mapping_counts(snapshot.table, group, len(first_row))
        order = _order(sizes, mappings, list(names.values()))
        self._row = compact(np.argsort(order))[group]
        """The row of each mapping."""
        del group  # eight bytes for each mapping, while the counts take more
        self._counts = {
            "hosts": host_slots(snapshot),
            "processes": snapshot.table.process,
            "paths": np.where(is_unreadable(snapshot.table), NULL, plain_paths(snapshot.table).codes),
        }
        """For each column of distinct counts, the code that it counts, one for each mapping; NULL where unknown."""
        self._whole = Table(
            "rows",
            (
                self._distinct("hosts", len(order)),
                self._distinct("processes", len(order)),
                Column("mappings", "count", mappings[order], rule="distinct", total=all_mappings),
                *size_columns(snapshot, {name: values[order] for name, values in sizes.items()}),
                self._distinct("paths", len(order)),
                *(key_column(key, Coded(name.codes[order], name.names)) for key, name in names.items()),
            ),
            share=share_metric(snapshot),
            zeros=frozenset({"columns", "rows"}),
            measure=(share_metric(snapshot), HUGETLB),
        )

    def table(self, shape: Shape) -> Table:
        """Return the groups as rows; `(N more)` counts a host or process that several of its groups share once.

        Raises:
            UsageError: a column that the table does not have.
        """
        return shaped(self._whole, shape, self._counted)

    def _distinct(self, name: str, rows: int) -> Column:
        values = self._counts[name]
        known = values != NULL
        if known.all():
            counts = distinct_per_group(values, self._row, rows)
        else:
            counts = distinct_per_group(values[known], self._row[known], rows)
            counts[counts == 0] = NULL
        return Column(name, "count", counts, rule="distinct", total=_number_of(values))

    def _counted(self, rows: Rows) -> dict[str, int | None]:
        left = np.zeros(len(self._whole), dtype=np.bool_)
        left[rows] = True
        members = left[self._row]
        return {name: _number_of(values[members]) for name, values in self._counts.items()}


def _number_of(values: IntArray) -> int | None:
    """Count the different values that are known; None if there are only unknown ones."""
    known = values[values != NULL]
    return None if len(values) > len(known) == 0 else len(distinct(known))


def _order(sizes: dict[str, IntArray], mappings: IntArray, names: Sequence[Coded]) -> NDArray[np.intp]:
    """Return the rows in order. One without a known mapping, `(not readable)`, has its RSS in place of a PSS."""
    texts = list(zip(*(["" if text is None else text for text in name.texts()] for name in names), strict=True))
    pss, huge, rss = sizes["pss_kib"], sizes[HUGETLB], sizes["rss_kib"].tolist()
    pss = np.where((pss == NULL) & (mappings == NULL), sizes["rss_kib"], pss)
    # NULL (-1) is below every size, so unknown sizes come last.
    held = np.where(huge > 0, np.maximum(pss, 0) + huge, pss).tolist()
    order = sorted(range(len(texts)), key=lambda row: (-held[row], -rss[row], texts[row]))
    return np.array(order, dtype=np.intp)


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return merged(snapshot, options.by, Shape.of(options))
