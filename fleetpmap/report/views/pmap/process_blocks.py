"""A block of text for each process, as pmap prints it.   snapshot ─► [process_blocks] ─► Report"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions
from fleetpmap.pmap_letters import Letters
from fleetpmap.report.grouping import HexTexts, by_process, known_total, mapped, rule_over
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.views.pmap.command_line import command_line, harmless
from fleetpmap.report.views.pmap.formats import PRINTERS, OneProcess
from fleetpmap.report.views.pmap.mapping_names import mapping_names, mode
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import METRICS, MappingTable, distinct

_HAS_MAPS = frozenset({"read", "kernel", "zombie"})
"""Statuses for which pmap can open /proc/PID/maps; that of the last two is empty, and readable by every user. For a
process with another status pmap prints the first line only."""


def pmap(snapshot: Snapshot, letters: Letters | None = None) -> Report:
    """Return the blocks of all processes that matched, as pmap prints them, in `text`; their rows in the table.

    If several hosts were asked, `==> HOST <==` stands before each block.
    """
    letters = letters or Letters()
    snapshot = mapped(snapshot)
    in_range = _in_range(snapshot.table, letters)
    names = mapping_names(snapshot, show_path=letters.show_path, kernel_names=letters.kernel_names)
    return Report(
        view="pmap",
        tables=(_table(snapshot, names, np.flatnonzero(in_range), letters),),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
        text="".join(_blocks(snapshot, names, in_range, letters)),
    )


def _in_range(mappings: MappingTable, letters: Letters) -> NDArray[np.bool_]:
    """Return, for each mapping, True if -A keeps it: a byte of it lies between LOW and HIGH."""
    low, high = np.uint64(letters.low), np.uint64(letters.high)
    return np.asarray((mappings.end - np.uint64(1) >= low) & (mappings.start <= high), dtype=np.bool_)


def _table(snapshot: Snapshot, names: Coded, rows: NDArray[np.intp], letters: Letters) -> Table:
    """Return the table for csv and json: pmap's columns, with host and pid before them."""
    mappings = snapshot.table
    pids = np.array([process.pid for process in snapshot.processes], dtype=np.int64)
    hosts = by_process((process.host for process in snapshot.processes), mappings)
    perms = Coded(mappings.perms.codes, tuple(map(mode, mappings.perms.names)))
    read = len(distinct(mappings.process))
    sizes = ("size_kib", "rss_kib", "dirty_kib") if letters.format == "extended" else ("size_kib",)
    kib = {name: mappings.metrics[name][rows] for name in sizes}
    return Table(
        "rows",
        (
            Column("host", "text", _taken(hosts, rows)),
            Column("pid", "number", pids[mappings.process[rows]]),
            Column("address", "address", HexTexts(mappings.start[rows], digits=16)),
            *(
                Column(name, "KiB", kib[name], rule_over(read, METRICS[name]), known_total(kib[name], snapshot))
                for name in sizes
            ),
            Column("mode", "text", _taken(perms, rows)),
            Column("mapping", "text", _taken(names, rows)),
        ),
    )


def _taken(column: Coded, rows: NDArray[np.intp]) -> Coded:
    return Coded(column.codes[rows], column.names)


def _blocks(snapshot: Snapshot, names: Coded, in_range: NDArray[np.bool_], letters: Letters) -> Iterator[str]:
    print_rows = PRINTERS[letters.format]
    hosts = {host.name: host for host in snapshot.hosts}
    for process, rows in zip(snapshot.processes, _rows_of_processes(snapshot), strict=True):
        host = hosts[process.host]
        clean = str if host.local and not letters.terminal else harmless
        heading = f"==> {host.name} <==\n" if len(hosts) > 1 else ""
        yield f"{heading}{process.pid}:   {clean(command_line(process, utf8=letters.utf8))}\n"
        if process.status in _HAS_MAPS:
            shown = rows[in_range[rows]]
            yield print_rows(OneProcess(snapshot.table, names, rows, shown, host.keys, clean), letters)


def _rows_of_processes(snapshot: Snapshot) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of each process, in the order of `snapshot.processes`.

    The rows of a process are together in the table, but the processes may be in another order there. The sorted
    process numbers [0, 0, 2] of three processes give the bounds [0, 2, 2, 3]: two rows, none, one.
    """
    order = np.argsort(snapshot.table.process, kind="stable")
    bounds = np.searchsorted(snapshot.table.process, np.arange(len(snapshot.processes) + 1), sorter=order)
    for begin, end in pairwise(bounds.tolist()):
        yield order[begin:end]


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return pmap(snapshot, options.letters)
