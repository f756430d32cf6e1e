"""diff's noise floor: what two runs over the same processes differ by without anything having changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fleetpmap.report import diff
from fleetpmap.report.views.diff.noise import Sides
from fleetpmap.smaps import NULL
from snapshots import host, mapping, process, snapshot


def _one(path: str = "[heap]", *, pss: int, uss: int | None = None, rss: int = 5000, pid: int = 5):
    own = {} if uss is None else {"Private_Clean": 0, "Private_Dirty": uss}
    return process(pid, "app", mapping(path, Pss=pss, Rss=rss, **own))


def _growth(old, new, **options) -> list:
    """The growth of the rows, of two processes with one mapping each."""
    report = diff(snapshot(host("a", old)), snapshot(host("a", new)), **options)
    return report.tables[0].column("growth_kib").cells()


@pytest.mark.parametrize(("kib", "rows"), [(64, []), (65, [65]), (-64, []), (-65, [-65])])
def test_the_floor(kib: int, rows: list[int]):
    """64 KiB of a process's own memory is noise, in both directions; one more is a change."""
    old, new = _one(pss=1000, uss=1000), _one(pss=1000 + kib, uss=1000 + kib)
    assert _growth(old, new) == rows


def test_pss_that_other_processes_moved():
    """Another process unmapped a library: PSS grows, and no page of this one came."""
    assert _growth(_one(pss=1000, uss=10), _one(pss=2000, uss=10)) == []


@pytest.mark.parametrize("metric", ["pss_kib", "uss_kib"])
def test_a_library_that_the_last_other_process_unmapped(metric: str):
    """Its pages become private, so USS grows as PSS does: the process has them resident as before, and wrote none."""
    lib = {"start": 0x9000000, "perms": "r-xp", "Rss": 8000, "Private_Dirty": 0}
    old, new = (
        process(5, "app", mapping("/usr/bin/node", Pss=pss, Private_Clean=own, **lib))
        for pss, own in ((4000, 0), (8000, 8000))
    )
    assert _growth(old, new, metric=metric) == []


def test_pages_that_were_written_after_a_fork():
    """The process has no page more, but its copies are its own: that takes memory."""
    assert _growth(_one(pss=1000, uss=0), _one(pss=3000, uss=2000)) == [2000]


def test_shared_memory_that_grew():
    """No process has it alone, so no USS tells; the RSS of those that map it grew."""
    assert _growth(_one(pss=1000, uss=0, rss=2000), _one(pss=2000, uss=0, rss=4000)) == [1000]


def test_a_kernel_that_does_not_tell_what_is_private():
    """PSS alone decides: a size that is unknown does not speak against a change."""
    assert _growth(_one(pss=1000), _one(pss=1500)) == [500]


@pytest.mark.parametrize("metric", ["uss_kib", "rss_kib"])
def test_other_sizes_speak_for_themselves(metric: str):
    """No other process moves them."""
    assert _growth(_one(pss=10, uss=1000, rss=1000), _one(pss=10, uss=1200, rss=1200), metric=metric) == [200]


def test_many_small_changes_are_noise():
    """Two hundred workers that each read a page: no process has changed. One that did is a row with all of them."""
    old = snapshot(host("a", *(_one(pss=1000, uss=1000, pid=pid) for pid in range(1, 201))))
    new = snapshot(host("a", *(_one(pss=1004, uss=1004, pid=pid) for pid in range(1, 201))))
    report = diff(old, new)
    assert (len(report.tables[0]), report.tables[0].column("growth_kib").total) == (0, 800)
    leak = snapshot(
        host("a", *(_one(pss=1004, uss=1004, pid=pid) for pid in range(1, 200)), _one(pss=2000, uss=2000, pid=200))
    )
    assert diff(old, leak).tables[0].column("growth_kib").cells() == [1796]


def test_what_comes_and_goes_within_the_row_is_noise():
    """A process that is gone and one that is new, of the same size: the row did not move."""
    old, new = _one(pss=9000, uss=9000), replace(_one(pss=9010, uss=9010, pid=6))
    new = replace(new, process=replace(new.process, name="other"))
    assert _growth(old, new) == []


def test_the_note_counts_what_is_not_listed():
    """With its sum, which the totals have, and the option that lists it."""
    lib = "/usr/lib/libc.so.6"
    old = [mapping(lib, start=0x9000000, perms="r-xp", Rss=900, Pss=100, Private_Clean=0, Private_Dirty=0)]
    new = [replace(old[0], fields=old[0].fields | {"Pss": 340})]
    heap = [mapping("[heap]", Rss=kib, Pss=kib, Private_Clean=0, Private_Dirty=kib) for kib in (1000, 9000)]
    still = mapping("[stack]", start=0x7F0000000, Rss=8, Pss=8, Private_Clean=0, Private_Dirty=8)
    fleets = [
        snapshot(host("a", process(5, "app", *own, shared, still)))
        for own, shared in (([heap[0]], old[0]), ([heap[1]], new[0]))
    ]
    report = diff(*fleets)
    assert report.tables[0].column("mapping").cells() == ["[heap]"]
    assert report.tables[0].column("growth_kib").total == 8240
    assert report.notes[1] == (
        "not listed: 1 row where no process changed by more than 64K of its own (+240K in all, in the totals;"
        " --all-changes lists them); 1 did not move"
    )
    every = diff(*fleets, all_changes=True)
    assert every.tables[0].column("mapping").cells() == ["[heap]", "libc.so.6"]
    assert every.notes[1] == "not listed: 1 row that did not move"


def test_nothing_but_noise():
    """Nothing changed, it says, with what was compared and what moved."""
    report = diff(snapshot(host("a", _one(pss=1000, uss=1000))), snapshot(host("a", _one(pss=1012, uss=1012))))
    assert len(report.tables[0]) == 0
    assert report.notes[1] == (
        "nothing changed in 1 row, 1 process on 1 host, but for 1 row where no process changed by more than 64K of its"
        " own (+12K in all, in the totals; --all-changes lists them)"
    )


def test_what_only_one_run_knows_has_not_grown():
    """It is no growth of its whole size, and not noise either."""
    assert Sides(np.array([5, NULL, 5]), np.array([9, 7, NULL])).growth.tolist() == [4, 0, 0]
