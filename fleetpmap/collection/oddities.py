"""What in one host's numbers is not what it seems.   batch ─► [oddities] ─► notes

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


def oddities(one: HostReply, columns: SmapsColumns, first: int) -> Iterator[str]:
    """Sentences for the notes of one host, whose processes are numbered from `first` on in `columns`."""
    edges = np.searchsorted(columns.process, range(first, first + len(one.processes) + 1)).tolist()
    rows = [slice(start, stop) for start, stop in pairwise(edges)]
    yield from _shared_spaces(one, columns, rows)
    if rows and _is_undivided(columns, slice(edges[0], edges[-1])):
        yield "its kernel does not divide what processes share (gVisor): each PSS, USS and SwapPss there is an RSS"


def _shared_spaces(one: HostReply, columns: SmapsColumns, rows: list[slice]) -> Iterator[str]:
    place_of = {process.pid: place for place, process in enumerate(one.choice.read)}
    for place, child in enumerate(one.choice.read if rows else ()):
        parent = place_of.get(child.ppid)
        if parent is None or not one.processes[place].start_stack:
            continue
        if one.processes[place].start_stack != one.processes[parent].start_stack:
            continue
        if kib := _twice(columns, rows[parent], rows[place]):
            yield (
                f"processes {child.ppid} and {child.pid} have one address space (vfork, or clone with CLONE_VM): "
                f"the totals count its {human(kib)} for both"
            )


def _twice(columns: SmapsColumns, parent: slice, child: slice) -> int:
    """RSS of a child that has the memory of its parent, in KiB; 0 if it has memory of its own.

    After fork the mappings are the same, too, but there the pages that neither has written to since are shared: a
    library's relocated pages, to begin with, which are read-only.
    """
    same = all(
        np.array_equal(column[parent], column[child])
        for column in (columns.start, columns.end, columns.perms.codes, columns.path.codes, columns.inode)
    )
    if not same or not {"Rss", "Private_Dirty", "Shared_Dirty"} <= columns.fields.keys():
        return 0
    own = np.array([perms.endswith("p") for perms in columns.perms.names], dtype=np.bool_)[columns.perms.codes[child]]
    if columns.fields["Shared_Dirty"][child][own].any() or columns.fields["Private_Dirty"][child].sum() <= 0:
        return 0
    return int(columns.fields["Rss"][child].sum())


def _is_undivided(columns: SmapsColumns, rows: slice) -> bool:
    """Whether no page of these processes is shared with any other, though every process has some that are."""
    fields = {key: column[rows] for key, column in columns.fields.items()}
    if not {"Rss", "Pss", *_SHARED} <= fields.keys():
        return False
    rss = fields["Rss"]
    if (fields["Pss"] != rss).any() or any(fields[key].any() for key in _SHARED):
        return False
    vdso = np.array([path == _VDSO for path in columns.path.names], dtype=np.bool_)[columns.path.codes[rows]]
    return bool((rss[vdso] > 0).any())
