"""sums_for: views that need no row for each mapping give the same result from sums."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from charged import cgroup, of, with_memory
from fleet_of_twenty import twenty_hosts
from fleetpmap.export.as_json import write_json
from fleetpmap.report import VIEWS, ViewOptions, sums_for
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import summed
from snapshots import host, mapping, process, small_fleet, snapshot


def gaps() -> Snapshot:
    """A host with a kernel that gave some mappings of a file no PSS, and a process with its rollup only."""
    return snapshot(
        host(
            "web-01",
            process(
                7,
                "app",
                mapping("/usr/lib/libc.so.6", perms="r-xp", Rss=4, Pss=3),
                mapping("/usr/lib/libc.so.6", start=0x20000, Rss=8),
                mapping("", start=0x30000, Rss=1, Pss=1),
                mapping("", start=0x40000, Rss=1, Pss=1),
            ),
            process(8, "app", mapping("[totals]", Rss=100, Pss=90)),
        )
    )


def charged_fleet() -> Snapshot:
    """Two builds of a library, one of them in two parts, and page cache that no process maps."""
    code, path = {"perms": "r-xp", "Pss": 900, "Rss": 1000}, "/s.service"
    one = process(
        1, "a", mapping("/usr/lib/libx.so", size=40, Anonymous=300, **code), mapping(Rss=7, Pss=7, Anonymous=7)
    )
    parts = [mapping("/usr/lib/libx.so", size=size, Anonymous=5, **code) for size in (20, 24)]
    on_host = [of("s.service", each, cgroup=path) for each in (one, process(2, "a", *parts))]
    charge = cgroup(path, current=900_000, file_kib=800_000, shmem_kib=0, kernel_kib=50_000)
    return snapshot(with_memory(host("web-01", *on_host), charge))


def unknown_huge_pages() -> Snapshot:
    """Huge pages of a kernel before 4.4, which counts them in no size."""
    huge = mapping("/dev/hugepages/pool", size=2048, flags="rd wr ht", Rss=0, Pss=0)
    return snapshot(host("web-01", process(7, "app", huge, mapping("", start=0x30000, Rss=1, Pss=1))))


@pytest.mark.parametrize("fleet", [small_fleet, twenty_hosts, gaps, charged_fleet, unknown_huge_pages])
@pytest.mark.parametrize(
    ("view", "by"),
    [
        ("hosts", ()),
        ("processes", ()),
        ("services", ()),
        ("services", ("host", "service")),
        ("summary", ("mapping",)),
        ("merged", ("mapping",)),
        ("merged", ("host", "kind")),
        ("merged", ("path", "user", "process")),
        ("merged", ("perms", "mapping")),
    ],
)
def test_a_view_of_sums_says_the_same(fleet, view, by):
    """Every cell, total and note of the view, from the sums alone."""
    rows, sums = fleet(), sums_for([view], by)
    assert sums is not None
    table = summed(rows.table, sums)
    assert len(table) <= len(rows.table)
    options = ViewOptions(by=by or ("mapping",))
    told = [_json(VIEWS[view](one, options)) for one in (rows, replace(rows, table=table))]
    assert told[0] == told[1]


@pytest.mark.parametrize("fleet", [small_fleet, twenty_hosts, gaps, charged_fleet])
def test_services_from_sums_say_the_same(fleet):
    """Above a summary, too: drift, and what no process maps, need the code and the kinds, and no more."""
    rows = fleet()
    table = summed(rows.table, sums_for(["summary", "services"], ("mapping",)) or ())
    options = ViewOptions(services=True)
    told = [_json(VIEWS["summary"](one, options)) for one in (rows, replace(rows, table=table))]
    assert told[0] == told[1]


def test_who_needs_rows():
    """One view that shows mappings is enough."""
    assert sums_for(["hosts", "processes"]) == frozenset()
    assert sums_for(["hosts", "merged"], ["host"]) == {"path"}
    assert sums_for(["hosts", "merged"], ["host", "perms"]) == {"path", "perms"}
    assert sums_for(["hosts", "compare"]) is None
    assert sums_for(["hosts", "services"]) == {"path", "perms"}
    assert sums_for(["mappings"]) is None


def _json(report):
    file = io.BytesIO()
    write_json(report, file)
    return file.getvalue().decode()
