"""The sizes and the code by which hosts are judged.   table, code ─► [judging] ─► snapshot ─► report

Findings need little of a table: the sums of each mapping of a service on a host, the process that has most of it, and
the code of each process. Of a host with four workers that is 60 sums and 4 numbers, in place of 1,300 rows. A run makes
it of each host's rows as they arrive, and need not keep them; the evidence of several lists of hosts is joined as their
tables are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpmap.evidence.code import Code, code_of
from fleetpmap.naming import alike, code_texts
from fleetpmap.smaps import NULL, Coded
from fleetpmap.table import IntArray, MappingTable, compact, join_coded, join_numbers, sums

JUDGED = ("pss_kib", "rss_kib", "uss_kib")
"""The sizes by which a run judges hosts."""
_ROWS = 1 << 16
"""Rows that are summed at a time, so that a fleet's need no second copy."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts about a list of processes: the first four by mapping of a service on a host, the other two by process."""

    holder: NDArray[np.int32]
    """The process that has most of the mapping, by the first metric, or by RSS if its kernel has no such; ascending. It
    tells the service and the host."""
    held: IntArray
    """The size that this process has, KiB; NULL if unknown."""
    mapping: Coded
    """The name of the mapping, made alike (see naming)."""
    sizes: Mapping[str, IntArray]
    """Metric to the sum over the processes of the service on the host, KiB; NULL if unknown."""
    code: NDArray[np.int32]
    """(process,): index in `codes`; NULL if its mappings are not known."""
    codes: tuple[Code, ...]
    """Each once."""

    def of_processes(self, start: int, stop: int) -> Evidence:
        """Return the evidence of a range of processes, on whole hosts; the first becomes process 0."""
        rows = slice(*np.searchsorted(self.holder, (start, stop)).tolist())
        return Evidence(
            self.holder[rows] - np.int32(start),
            self.held[rows],
            Coded(self.mapping.codes[rows], self.mapping.names),
            {metric: column[rows] for metric, column in self.sizes.items()},
            self.code[start:stop],
            self.codes,
        )

    def of_hosts(self, is_kept: NDArray[np.bool_]) -> Evidence:
        """Return the evidence of some hosts. `is_kept`: a flag for each process, equal for those of a host."""
        rows = np.flatnonzero(is_kept[self.holder])
        number = np.cumsum(is_kept, dtype=np.int32) - np.int32(1)
        return Evidence(
            number[self.holder[rows]],
            self.held[rows],
            Coded(self.mapping.codes[rows], self.mapping.names),
            {metric: column[rows] for metric, column in self.sizes.items()},
            self.code[is_kept],
            self.codes,
        )


def evidence_of(table: MappingTable, places: Sequence[tuple[str, str]], metrics: Sequence[str] = JUDGED) -> Evidence:
    """Return the evidence of a table whose rows are mappings, or sums of each process; `metrics`: the sizes to keep.

    `places`: the host and the service of each process.
    """
    numbers: dict[tuple[str, str], int] = {}
    place = np.array([numbers.setdefault(one, len(numbers)) for one in places], dtype=np.int64)
    names = code_texts([*map(alike, table.mapping.names)], np.arange(len(table.mapping.names)))
    cuts = _cuts(table, places)
    parts = [_sums(table.rows(*cut, base=0), names, place, metrics) for cut in pairwise(cuts)]
    holder, held, code, *sizes = map(np.concatenate, zip(*parts, strict=True))
    return Evidence(
        holder.astype(np.int32),
        compact(held),
        Coded(code.astype(np.int32), names.names),
        {metric: compact(column) for metric, column in zip(metrics, sizes, strict=True)},
        *code_of(table, len(places)),
    )


def _cuts(table: MappingTable, places: Sequence[tuple[str, str]]) -> list[int]:
    """Return the bounds of runs of rows; each has the rows of whole hosts, since the processes of one share sums."""
    first_of_host = [number for number in range(1, len(places)) if places[number][0] != places[number - 1][0]]
    cuts = [0]
    for row in np.searchsorted(table.process, first_of_host).tolist():
        if row - cuts[-1] >= _ROWS:
            cuts.append(row)
    return [*cuts, len(table)]


def _sums(
    table: MappingTable, names: Coded, place: IntArray, metrics: Sequence[str]
) -> tuple[NDArray[np.signedinteger], ...]:
    """Return the holder, its size, the code of the name, and the metrics of each mapping of each place."""
    span = len(names.names) + 1  # code -1, a null, becomes the last
    code = np.append(names.codes, NULL)[table.mapping.codes].astype(np.int64) % span
    pairs, pair = np.unique(table.process * np.int64(span) + code, return_inverse=True)
    by_process = {metric: sums(table.metrics[metric], pair, len(pairs)) for metric in {*metrics, "rss_kib"}}
    process, code = np.divmod(pairs, span)
    cells, cell = np.unique(place[process] * span + code, return_inverse=True)
    held = np.where(by_process[metrics[0]] == NULL, by_process["rss_kib"], by_process[metrics[0]])
    # By cell, then the largest, then the first process.
    order = np.lexsort((process, -held, cell))
    largest = order[np.searchsorted(cell[order], np.arange(len(cells)))]
    in_order = largest[np.argsort(process[largest], kind="stable")]
    place_of_row = cell[in_order]
    return (
        process[in_order],
        held[in_order],
        np.where(code == span - 1, NULL, code)[in_order],
        *(sums(by_process[metric], cell, len(cells))[place_of_row] for metric in metrics),
    )


def joined(parts: Iterable[Evidence]) -> Evidence:
    """Join the evidence of lists of processes, which become one list; all parts have the same metrics."""
    all_parts = list(parts)
    if not all_parts:
        return NONE
    codes: dict[Code, int] = {}
    numbers: dict[int, NDArray[np.int32]] = {}  # hosts that were parsed together share their codes
    for part in all_parts:
        if id(part.codes) not in numbers:
            own = [codes.setdefault(code, len(codes)) for code in part.codes]
            numbers[id(part.codes)] = np.array([*own, NULL], dtype=np.int32)  # code -1 indexes the last item
    bases = np.cumsum([0, *(len(part.code) for part in all_parts)]).astype(np.int32)
    return Evidence(
        np.concatenate([part.holder + base for part, base in zip(all_parts, bases[:-1], strict=True)]),
        join_numbers([part.held for part in all_parts]),
        join_coded([part.mapping for part in all_parts]),
        {metric: join_numbers([part.sizes[metric] for part in all_parts]) for metric in all_parts[0].sizes},
        np.concatenate([numbers[id(part.codes)][part.code] for part in all_parts]),
        tuple(codes),
    )


_NO_ROWS = np.zeros(0, np.int32)
NONE = Evidence(_NO_ROWS, _NO_ROWS, Coded(_NO_ROWS, ()), dict.fromkeys(JUDGED, _NO_ROWS), _NO_ROWS, ())
"""Evidence of no process."""
