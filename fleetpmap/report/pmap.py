"""pmap's own text, process by process.   snapshot ─► [pmap] ─► Report

Byte for byte what pmap of procps-ng 4.0.2 prints on a 64-bit machine, bare and with -x (pmap.c: one_proc, mapping_name;
escape.c), but for two things: a number that the kernel did not give is `?`, which pmap prints as 0, and a command line
that is broken UTF-8 or holds C1 controls has `?` for each such byte, as later versions do, and for each byte of a bidi
mark, which would turn the line around on a terminal and comes from another machine here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from fleetpmap.naming import code_texts
from fleetpmap.report.base import Cell, Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.rows import HexTexts, by_process, rule_over
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import METRICS, MappingTable, total

_HAS_MAPS = frozenset({"read", "kernel", "zombie"})
"""pmap opens the maps of these, though the last two's are empty; of any other process it prints the first line only."""
_EXTENDED_HEADER = "Address           Kbytes     RSS   Dirty Mode  Mapping\n"
_EXTENDED_RULE = "---------------- ------- ------- ------- \n"

_ANON = "  [ anon ]"
_STACK = "  [ stack ]"
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}( \(deleted\))?")
_PRINTABLE = bytes(byte if 0x20 <= byte < 0x7F else ord("?") for byte in range(256))
"""For bytes.translate: every byte outside printable ASCII is `?`."""
_COMMAND = (
    dict.fromkeys((*range(0x20), 0x7F), "?")
    | {ord("\n"): " "}
    | dict.fromkeys(range(0x80, 0xA0), "??")  # two bytes each in UTF-8
    | {0x061C: "??"}
    | dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "???")
    | dict.fromkeys(range(0xDC80, 0xDD00), "?")  # bytes that are not UTF-8, as surrogateescape keeps them
)
"""For str.translate: what becomes of a command line."""


def pmap(snapshot: Snapshot, extended: bool = False) -> Report:
    """A block for each process that matched, as pmap (or pmap -x) prints it: all of them in `text`, rows in the table.

    Where several hosts were asked, `==> HOST <==` stands before each block.
    """
    table = _as_pmap_sees_it(snapshot, extended)
    return Report(
        view="pmap",
        tables=(table,),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
        text="".join(_blocks(snapshot, table, extended)),
    )


def _as_pmap_sees_it(snapshot: Snapshot, extended: bool) -> Table:
    mappings, processes = snapshot.table, snapshot.processes
    pids = np.array([process.pid for process in processes], dtype=np.int64)
    read = len(np.unique(mappings.process))
    sizes = ("size_kib", "rss_kib", "dirty_kib") if extended else ("size_kib",)
    return Table(
        "rows",
        (
            Column("host", "text", by_process((process.host for process in processes), mappings)),
            Column("pid", "number", pids[mappings.process]),
            Column("address", "address", HexTexts(mappings.start, digits=16)),
            *(
                Column(
                    name, "KiB", mappings.metrics[name], rule_over(read, METRICS[name]), total(mappings.metrics[name])
                )
                for name in sizes
            ),
            Column("mode", "text", Coded(mappings.perms.codes, tuple(map(_mode, mappings.perms.names)))),
            Column("mapping", "text", _names(mappings)),
        ),
    )


def _blocks(snapshot: Snapshot, table: Table, extended: bool) -> Iterator[str]:
    print_rows = _extended if extended else _plain
    several_hosts = len(snapshot.hosts) > 1
    for process, rows in zip(snapshot.processes, _rows_of_processes(snapshot), strict=True):
        heading = f"==> {process.host} <==\n" if several_hosts else ""
        yield f"{heading}{process.pid}:   {_command(process)}\n"
        if process.status in _HAS_MAPS:
            yield print_rows({column.name: column.cells(rows.start, rows.stop) for column in table.columns})


def _rows_of_processes(snapshot: Snapshot) -> Iterator[slice]:
    """Where the rows of each process lie: together, but not in the order of the processes on every host."""
    order = np.argsort(snapshot.table.process, kind="stable")
    bounds = np.searchsorted(snapshot.table.process, np.arange(len(snapshot.processes) + 1), sorter=order)
    for begin, end in pairwise(bounds.tolist()):
        first = int(order[begin]) if begin < end else 0
        yield slice(first, first + end - begin)


def _plain(cells: Mapping[str, list[Cell]]) -> str:
    sizes = cells["size_kib"]
    rows = zip(cells["address"], sizes, cells["mode"], cells["mapping"], strict=True)
    lines = [f"{address} {size:6}K {mode} {name}\n" for address, size, mode, name in rows]
    return f"{''.join(lines)} total {_sum(sizes):>16}K\n"


def _extended(cells: Mapping[str, list[Cell]]) -> str:
    sizes, rss, dirty = cells["size_kib"], cells["rss_kib"], cells["dirty_kib"]
    rows = zip(
        cells["address"], sizes, map(_known, rss), map(_known, dirty), cells["mode"], cells["mapping"], strict=True
    )
    lines = [
        f"{address} {size:7} {rss:>7} {dirty:>7} {mode} {name}\n" for address, size, rss, dirty, mode, name in rows
    ]
    totals = f"{'total kB':16} {_sum(sizes):>7} {_sum(rss):>7} {_sum(dirty):>7}\n"
    return f"{_EXTENDED_HEADER}{''.join(lines)}{_EXTENDED_RULE}{totals}"


def _known(kib: Cell) -> str:
    return "?" if kib is None else str(kib)


def _sum(kib: Sequence[Cell]) -> str:
    known = [cell for cell in kib if isinstance(cell, int)]
    return str(sum(known)) if known or not kib else "?"


def _command(process: Process) -> str:
    command = process.command + (" <defunct>" if process.status == "zombie" else "")
    return command.translate(_COMMAND)


def _mode(perms: str) -> str:
    """Five characters: rwx, s or - for a private mapping, and a dash where Solaris had R."""
    return f"{perms[:3]}{'s' if perms[3] == 's' else '-'}-"


def _names(table: MappingTable) -> Coded:
    """pmap's name of every mapping. System V segments are named by their inode, which is their shmid."""
    names = [_name(path) for path in table.path.names]
    is_sysv = np.array([_SYSV.fullmatch(path) is not None for path in table.path.names], dtype=np.bool_)
    slots = table.path.codes.astype(np.intp)
    sysv = np.flatnonzero(is_sysv[slots])
    shmids, of_row = np.unique(table.inode[sysv], return_inverse=True)
    slots[sysv] = len(names) + of_row
    return code_texts([*names, *(f"  [ shmid=0x{shmid:x} ]" for shmid in shmids.tolist())], slots)


def _name(path: str) -> str:
    # pmap looks for the last slash anywhere: [anon:a/b] is "b]", and a path that ends in a slash is "/".
    _, slash, basename = path.rpartition("/")
    if not slash:
        return _STACK if path == "[stack]" else _ANON
    return basename.encode("utf-8", "surrogateescape").translate(_PRINTABLE).decode("ascii") or "/"
