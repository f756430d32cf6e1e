"""The smallest parts that a page adds up."""

from __future__ import annotations

from fleetpmap.report.leaves import leaves
from fleetpmap.report.model import Report
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot


def fleet() -> Snapshot:
    return snapshot(
        host(
            "web-01",
            process(
                7,
                "app",
                mapping("[heap]", Rss=100, Pss=90),
                mapping("/lib/libc.so.6", perms="r-xp", Rss=40, Pss=4),
                mapping("/lib/libc.so.6", perms="r--p", start=0x9000, Rss=20, Pss=2),
                mapping("/lib/libm.so.6", perms="r-xp", Rss=3, Pss=3),
            ),
        ),
        host("web-02", process(7, "app", mapping("[heap]", Rss=70, Pss=60))),
    )


def rows(report: Report, *names: str) -> list[tuple[object, ...]]:
    return [*zip(*(report.tables[1].column(name).cells() for name in names), strict=True)]


def test_a_leaf_is_a_name_and_kind_of_a_process():
    """The mappings of one library are one leaf; each process has its own, the largest first."""
    found = leaves(fleet())
    assert found.tables[0].rows() == [("web-01", "app", 7, "app"), ("web-02", "app", 7, "app")]
    assert rows(found, "process", "mapping", "kind", "pss_kib", "rss_kib") == [
        (0, "[heap]", "heap", 90, 100),
        (0, "libc.so.6", "library", 6, 60),
        (0, "libm.so.6", "library", 3, 3),
        (1, "[heap]", "heap", 60, 70),
    ]


def test_smaller_leaves_share_one_where_there_are_too_many():
    """No size is lost."""
    libraries = (mapping(f"/lib/lib{n}.so", perms="r-xp", Rss=1000 + n, Pss=1000 + n) for n in range(10))
    found = leaves(snapshot(host("web-01", process(7, "app", *libraries))), most=4)
    assert rows(found, "mapping", "kind", "pss_kib") == [
        ("(smaller ones)", "other", 7021),
        ("lib9.so", "library", 1009),
        ("lib8.so", "library", 1008),
        ("lib7.so", "library", 1007),
    ]


def test_a_fleet_without_room_for_its_processes_has_no_leaves():
    """Rather than some of them."""
    assert [len(table) for table in leaves(fleet(), most=3).tables] == [0, 0]
