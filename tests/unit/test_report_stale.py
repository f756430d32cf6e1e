"""stale: processes that still run a file which an upgrade replaced."""

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
    """The four workers of web-14, and no other process."""
    text = plain(stale(twenty_hosts()))
    assert text == expected("stale.txt", text)
    assert stale(twenty_hosts()).sentences == (
        "/usr/lib/libcrypto.so.3 was deleted or replaced, and 4 processes map the old one on web-14 until restarted",
    )


@pytest.mark.parametrize(
    ("path", "perms"),
    [
        ("/usr/lib/libssl.so.3 (deleted)", "r-xp"),
        ("/opt/app/server (deleted)", "r-xp"),
        ("/usr/share/elasticsearch/jdk/bin/java (deleted)", "r-xp"),
        ("/usr/local/lib/libfoo.so.2 (deleted)", "r--p"),
        ("/lib64/ld-linux-x86-64.so.2 (deleted)", "rw-p"),
    ],
)
def test_stale(path: str, perms: str):
    """Executed files in any folder, and libraries in the system's folders."""
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
        ("/dev/nvidiactl (deleted)", "rwxp"),
        ("/usr/lib/libssl.so.3", "r-xp"),
        ("/usr/share/mime/mime.cache (deleted)", "r--s"),
        ("/usr/local/pgsql/data/base/1/2619.1 (deleted)", "rw-s"),
        ("/usr/lib/locale/C.utf8/LC_CTYPE (deleted)", "r--p"),
        ("/usr/lib/locale/locale-archive (deleted)", "r-xp"),
        ("/usr/share/fonts/truetype/DejaVuSans.ttf (deleted)", "r-xp"),
        ("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache (deleted)", "r--s"),
        ("/usr/lib/rpm/Packages.db (deleted)", "r--s"),
        ("/tmp/libzstd-jni-1.5.5-51234567890123456789.so (deleted)", "r-xp"),
        ("/tmp/jna-3506402/jna8822334455667788990.tmp (deleted)", "r-xp"),
        ("/tmp/_MEIx8Zk2f/libpython3.11.so.1.0 (deleted)", "r-xp"),
        ("/home/app/.cache/JNA/temp/jna17.tmp (deleted)", "r-xp"),
        ("/srv/kafka/data/libnetty1234567890123456789.so (deleted)", "r-xp"),
        ("/srv/app/#1311 (deleted)", "r-xp"),
    ],
)
def test_not_stale(path: str, perms: str):
    """Deleted on purpose, data, or not deleted."""
    assert _paths(mapping(path, perms=perms, Rss=4)) == []


def test_all_deleted():
    """Every deleted file, and what kind it is."""
    shm, wal = mapping("/SYSV00000000 (deleted)", perms="rw-s", Rss=4), mapping("/var/db/wal (deleted)", Rss=4)
    assert _paths(shm, wal, mapping("/etc/x", Rss=4), all_deleted=True) == ["/SYSV00000000", "/var/db/wal"]


def test_only_what_is_stale_asks_for_a_restart():
    """Other deleted files are rows of --all-deleted, without a sentence on restarts."""
    names = (
        "/dev/zero",
        "/SYSV00000000",
        "/memfd:jit",
        "/[aio]",
        "/dev/shm/x",
        "/i915",
        "/tmp/a.so",
        "/usr/share/a.db",
    )
    gone = [mapping(f"{name} (deleted)", perms="rwxs", Rss=4) for name in names]
    gone.append(mapping("/usr/lib/a.so (deleted)", perms="r-xp", Rss=4))
    report = stale(snapshot(host("h", process(1, "x", *gone))), all_deleted=True)
    assert len(report.tables[0]) == 9
    assert report.sentences == (
        "/usr/lib/a.so was deleted or replaced, and 1 process maps the old one on h until restarted",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/libcrypto.so.1.0.2k;5a384735 (deleted)",
        "/usr/lib/libcrypto.so.1.0.2k;5a384735",
        "/usr/lib/libcrypto.so.1.0.2k.dpkg-tmp (deleted)",
        "/usr/lib/libcrypto.so.1.0.2k.#prelink#.Wmgl35 (deleted)",
        "/usr/lib/libcrypto.so.1.0.2k.rpmsave",
        "/usr/lib/libcrypto.so.1.0.2k.tmp (deleted)",
        "/usr/lib/libcrypto.so.1.0.2k~",
    ],
)
def test_a_file_that_a_package_manager_renamed(path: str):
    """It goes by the name that it had, beside the same library deleted without a new name."""
    plainly = mapping("/usr/lib/libcrypto.so.1.0.2k (deleted)", perms="r-xp", Rss=4)
    renamed = mapping(path, perms="r-xp", Rss=8)
    report = stale(snapshot(host("a", process(1, "x", plainly)), host("b", process(2, "x", renamed))))
    assert report.tables[0].column("path").cells() == ["/usr/lib/libcrypto.so.1.0.2k"] * 2
    assert report.sentences == (
        "/usr/lib/libcrypto.so.1.0.2k was deleted or replaced, and 2 processes map the old one on a,b until restarted",
    )


def test_rows_by_host_pid_and_path():
    """The addresses of the files do not order them."""
    gone = [mapping(f"/usr/lib/{name}.so (deleted)", start=at, perms="r-xp", Rss=4) for at, name in enumerate("cab")]
    table = stale(snapshot(host("b", process(2, "x", *gone), process(9, "x", gone[0])), host("a"))).tables[0]
    assert [
        f"{pid} {path}" for pid, path in zip(table.column("pid").cells(), table.column("path").cells(), strict=True)
    ] == [
        "2 /usr/lib/a.so",
        "2 /usr/lib/b.so",
        "2 /usr/lib/c.so",
        "9 /usr/lib/c.so",
    ]


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
    assert (len(report.tables[0]), report.sentences) == (0, ())


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
