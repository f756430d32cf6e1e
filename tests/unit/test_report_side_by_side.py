"""compare for a screen: processes or services in place of hosts, and many hosts with those that are alike together."""

from __future__ import annotations

from fleetpmap.report import ViewOptions
from fleetpmap.report.views.compare import alike_together, side_by_side
from snapshots import Mapping, failed, host, mapping, process, snapshot


def _heap(kib: int) -> Mapping:
    return mapping("[heap]", start=0x99 << 40, size=kib, Rss=kib, Pss=kib)


def test_processes_side_by_side_have_the_cells_of_compare():
    """A process that lacks a mapping has not-mapped; median and spread are over the processes; no row counts them."""
    fleet = snapshot(
        host(
            "web-01",
            process(11, "nginx", mapping("[heap]", start=0x1000, size=40, Rss=31, Pss=30)),
            process(12, "redis", mapping("[heap]", start=0x1000, size=90, Rss=71, Pss=70), mapping("/l/x.so", Pss=4)),
        ),
        failed("web-02", "auth", "web-02: no"),
    )
    report = side_by_side(fleet, lambda one: f"{one.host}:{one.pid}", ViewOptions())
    cells = {column.name: column.cells() for column in report.tables[0].columns}
    assert cells == {
        "mapping": ["[heap]", "x.so"],
        "web-01:11": [30, "not-mapped"],
        "web-01:12": [70, 4],
        "median_kib": [50, 2],
        "spread_kib": [40, 4],
        "outliers": ["", ""],
    }
    assert report.coverage.asked == 2


def test_processes_of_one_label_are_summed_up():
    """Services side by side: a column for each, and a row that counts their processes."""
    nginx = [process(pid, "nginx", mapping("[heap]", start=0x1000, size=40, Rss=31, Pss=30)) for pid in (11, 12)]
    redis = process(13, "redis", mapping("[heap]", start=0x1000, size=90, Rss=71, Pss=70))
    fleet = snapshot(host("web-01", nginx[0], redis), host("web-02", nginx[1]))
    table = side_by_side(fleet, lambda one: one.name, ViewOptions()).tables[0]
    assert table.column("mapping").cells() == ["processes", "[heap]"]
    assert (table.column("nginx").cells(), table.column("redis").cells()) == ([2, 60], [1, 70])
    assert table.counts == 1


def test_hosts_that_are_alike_share_a_column_with_all_rows():
    """The one that is not has its own; service and mapping stay apart, so that a row can be looked up."""
    maps = [mapping(f"/l/{n}.so", start=n << 20, size=9, Rss=9, Pss=9) for n in range(1, 31)]
    heaps = [500, 510, 505, 502, 508, 503, 507, 501, 90_000]
    fleet = snapshot(*(host(f"web-{n}", process(7, "nginx", _heap(kib), *maps)) for n, kib in enumerate(heaps, 1)))
    table = alike_together(fleet, ViewOptions()).tables[0]
    names = [column.name for column in table.columns]
    assert [name for name in names if name.startswith("web")] == ["web-[1-8]", "web-9"]
    assert len(table) == 1 + 1 + 30
