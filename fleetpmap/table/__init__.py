"""Rows of (host, pid, mapping), in columns.   smaps ─► naming ─► [table] ─► snapshot

A MappingTable is the parser's columns with names and derived sizes, for one host or a fleet. All adding happens in
`adding`: `sums` and `total` alone decide how a null counts in a sum. `summed` puts the same memory into fewer rows, for
reports that show nothing but sums.

    narrow_columns ─► mapping_table ─► joining
                            └─► adding, distinct_values ─► summed_rows
"""

from __future__ import annotations

from fleetpmap.table.adding import count, metric_sums, sums, total
from fleetpmap.table.distinct_values import distinct, distinct_per_group, first_rows, numbered
from fleetpmap.table.joining import concatenate, with_unreadable, without_unreadable
from fleetpmap.table.mapping_table import (
    ANONYMOUS,
    HUGETLB,
    KERNEL_KEYS,
    METRICS,
    ROLLUP,
    UNREADABLE,
    MappingTable,
    Rule,
    from_columns,
    is_rollup,
    is_unreadable,
)
from fleetpmap.table.narrow_columns import IntArray, compact, join_coded, join_numbers
from fleetpmap.table.summed_rows import summed, summed_keys

__all__ = [
    "ANONYMOUS",
    "HUGETLB",
    "KERNEL_KEYS",
    "METRICS",
    "ROLLUP",
    "UNREADABLE",
    "IntArray",
    "MappingTable",
    "Rule",
    "compact",
    "concatenate",
    "count",
    "distinct",
    "distinct_per_group",
    "first_rows",
    "from_columns",
    "is_rollup",
    "is_unreadable",
    "join_coded",
    "join_numbers",
    "metric_sums",
    "numbered",
    "summed",
    "summed_keys",
    "sums",
    "total",
    "with_unreadable",
    "without_unreadable",
]
