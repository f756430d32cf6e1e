"""Notes about a host whose numbers do not mean what they usually mean.   batch ─► [oddities] ─► notes

    shared address space   a child made by vfork, or by clone with CLONE_VM alone, has the memory of its parent: the
                           kernel prints all of it for either, as if each had it to itself
    undivided PSS          gVisor calls each page private to each process, and prints the RSS again as the PSS

Neither changes a number here.
Source: clone(2); gVisor, pkg/sentry/mm/procfs.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from fleetpmap.collection.reply import HostReply
from fleetpmap.smaps import SmapsColumns
from fleetpmap.units import human

_SHARED = ("Shared_Clean", "Shared_Dirty")
_VDSO = "[vdso]"


def oddities(reply: HostReply, columns: SmapsColumns, first: int) -> Iterator[str]:
    """Yield the notes about one host. Its processes are numbered from `first` on in `columns.process`."""
    # columns.process [0 0 0 1 1] gives the edges [0 3 5], and the rows 0:3 and 3:5.
    edges = np.searchsorted(columns.process, range(first, first + len(reply.processes) + 1)).tolist()
    rows = [slice(start, stop) for start, stop in pairwise(edges)]
    yield from _shared_spaces(reply, columns, rows)
    if rows and _is_undivided(columns, slice(edges[0], edges[-1])):
        yield "its kernel does not divide what processes share (gVisor): each PSS, USS and SwapPss there is an RSS"


def _shared_spaces(reply: HostReply, columns: SmapsColumns, rows: list[slice]) -> Iterator[str]:
    place_of = {process.pid: place for place, process in enumerate(reply.choice.read)}
    for place, child in enumerate(reply.choice.read if rows else ()):
        parent = place_of.get(child.ppid)
        if parent is None or not reply.processes[place].start_stack:
            continue
        if reply.processes[place].start_stack != reply.processes[parent].start_stack:
            continue
        if kib := _twice(columns, rows[parent], rows[place]):
            yield (
                f"processes {child.ppid} and {child.pid} have one address space (vfork, or clone with CLONE_VM): "
                f"the totals count its {human(kib)} for both"
            )


def _twice(columns: SmapsColumns, parent: slice, child: slice) -> int:
    """Return the RSS of a child that has its parent's address space, in KiB; 0 if it has one of its own.

    After fork the mappings are equal, too. But then the pages that neither process has written to since are shared: to
    begin with, a library's relocated pages, which are read-only. In one address space no private page is shared.
    """
    same = all(
        np.array_equal(column[parent], column[child])
        for column in (columns.start, columns.end, columns.perms.codes, columns.path.codes, columns.inode)
    )
    if not same or not {"Rss", "Private_Dirty", "Shared_Dirty"} <= columns.fields.keys():
        return 0
    is_private = np.array([perms.endswith("p") for perms in columns.perms.names], dtype=np.bool_)
    private = is_private[columns.perms.codes[child]]  # one truth value for each mapping of the child
    if columns.fields["Shared_Dirty"][child][private].any() or columns.fields["Private_Dirty"][child].sum() <= 0:
        return 0
    return int(columns.fields["Rss"][child].sum())


def _is_undivided(columns: SmapsColumns, rows: slice) -> bool:
    """Return whether no page in these rows is shared, not even of a resident [vdso], which all processes share."""
    fields = {key: column[rows] for key, column in columns.fields.items()}
    if not {"Rss", "Pss", *_SHARED} <= fields.keys():
        return False
    rss = fields["Rss"]
    if (fields["Pss"] != rss).any() or any(fields[key].any() for key in _SHARED):
        return False
    vdso = np.array([path == _VDSO for path in columns.path.names], dtype=np.bool_)[columns.path.codes[rows]]
    return bool((rss[vdso] > 0).any())
