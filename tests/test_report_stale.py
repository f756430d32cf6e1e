"""stale: who still runs what an upgrade has replaced."""

from __future__ import annotations

import pytest

from fleet_of_twenty import twenty_hosts
from fleetpmap.render import plain
from fleetpmap.report import Shape, stale
from snapshots import expected, failed, host, mapping, process, snapshot


def _paths(*mappings, **options):
    report = stale(snapshot(host("a", process(1, "x", *mappings))), **options)
    return report.tables[0].column("path").cells()


def test_twenty_hosts():
    """The four workers of web-14, and nobody else."""
    text = plain(stale(twenty_hosts()))
    assert text == expected("stale.txt", text)
    assert stale(twenty_hosts()).findings == (
        "/usr/lib/libcrypto.so.3 was deleted or replaced, and 4 processes map the old one on web-14 until restarted",
    )


@pytest.mark.parametrize(
    ("path", "perms"),
    [
        ("/usr/lib/libssl.so.3 (deleted)", "r-xp"),
        ("/usr/lib/locale/C.utf8/LC_CTYPE (deleted)", "r--p"),
        ("/opt/app/server (deleted)", "r-xp"),
        ("/lib64/ld-linux-x86-64.so.2 (deleted)", "rw-p"),
    ],
)
def test_stale(path: str, perms: str):
    """What runs, wherever it lies, and what lies where programs and libraries do."""
    assert _paths(mapping(path, perms=perms, Rss=4)) == [path.removesuffix(" (deleted)")]


@pytest.mark.parametrize(
    ("path", "perms"),
    [
        ("/dev/zero (deleted)", "rw-s"),
        ("/SYSV00000000 (deleted)", "rw-s"),
        ("/memfd:doublemapper (deleted)", "r-xs"),
        ("/memfd:jit (deleted)", "r-xp"),
        ("/dev/shm/sem.x (deleted)", "rw-s"),
        ("/anon_hugepage (deleted)", "rw-p"),
        ("/[aio] (deleted)", "rw-s"),
        ("/i915 (deleted)", "rw-s"),
        ("/drm mm object (deleted)", "rw-s"),
        ("/tmp/ffiAbCdEf (deleted)", "r-xs"),
        ("/var/lib/db/wal (deleted)", "rw-s"),
        ("/usr/lib/libssl.so.3", "r-xp"),
    ],
)
def test_not_stale(path: str, perms: str):
    """Deleted on purpose, or not deleted."""
    assert _paths(mapping(path, perms=perms, Rss=4)) == []


def test_all_deleted():
    """Every deleted file, and what kind it is."""
    shm, wal = mapping("/SYSV00000000 (deleted)", perms="rw-s", Rss=4), mapping("/var/db/wal (deleted)", Rss=4)
    assert _paths(shm, wal, mapping("/etc/x", Rss=4), all_deleted=True) == ["/SYSV00000000", "/var/db/wal"]


def test_one_row_for_all_parts_of_a_file():
    """Code and data of one library, in each of two processes; its RSS is their sum."""
    parts = [mapping("/usr/lib/a.so (deleted)", perms=perms, Rss=4) for perms in ("r-xp", "rw-p")]
    report = stale(snapshot(host("a", process(1, "x", *parts), process(2, "y", *parts))))
    table = report.tables[0]
    assert [table.column(name).cells() for name in ("pid", "rss_kib")] == [[1, 2], [8, 8]]
    assert table.column("rss_kib").total == 16


def test_old_and_new_side_by_side():
    """A process that has loaded the new file too counts for the old one only."""
    old, new = mapping("/usr/lib/a.so (deleted)", perms="r-xp", Rss=4), mapping("/usr/lib/a.so", perms="r-xp", Rss=9)
    table = stale(snapshot(host("a", process(1, "x", old, new)))).tables[0]
    assert table.column("rss_kib").cells() == [4]


def test_nothing_is_stale():
    """No rows, and a total of nothing."""
    report = stale(snapshot(host("a", process(1, "x", mapping("/usr/lib/a.so", Rss=4)))))
    assert (len(report.tables[0]), report.findings) == (0, ())


def test_sorted():
    """As any table."""
    parts = [mapping(f"/usr/lib/{name}.so (deleted)", perms="r-xp", Rss=kib) for name, kib in (("a", 4), ("b", 9))]
    table = stale(snapshot(host("h", process(1, "x", *parts))), shape=Shape(sort="rss")).tables[0]
    assert table.column("path").cells() == ["/usr/lib/b.so", "/usr/lib/a.so"]


def test_nothing_is_stale_or_nobody_knows():
    """Zero where it was looked for, unknown where no host answered."""
    read, gone = host("a", process(1, "x", mapping("/usr/lib/a.so", Rss=4))), failed("b", "refused", "b: refused")
    totals = [stale(snapshot(one)).tables[0].column("rss_kib").total for one in (read, host("c"), gone)]
    assert totals == [0, 0, None]
