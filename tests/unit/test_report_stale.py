"""stale: processes that still run a file which an upgrade replaced."""

from __future__ import annotations

import pytest

from fleet_of_twenty import twenty_hosts
from fleetpmap.render import plain
from fleetpmap.report import Report, Shape, stale
from snapshots import Mapping, expected, failed, host, mapping, process, snapshot


def _paths(*mappings, **options):
    report = stale(snapshot(host("a", process(1, "x", *mappings))), **options)
    return report.tables[0].column("path").cells()


def _rows(report: Report, *names: str) -> list[tuple]:
    return list(zip(*(report.tables[0].column(name).cells() for name in names), strict=True))


def _gone(*names: str) -> list[Mapping]:
    return [
        mapping(f"/usr/lib/{name}.so (deleted)", start=at, perms="r-xp", Rss=4, Pss=4) for at, name in enumerate(names)
    ]


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
    assert _rows(report, "on_hosts", "path") == [("a,b", "/usr/lib/libcrypto.so.1.0.2k")]
    assert report.sentences == (
        "/usr/lib/libcrypto.so.1.0.2k was deleted or replaced, and 2 processes map the old one on a,b until restarted",
    )


def test_one_row_for_a_service_and_a_file():
    """On all its hosts, which are folded; the file of most processes first. Both rows share hosts and processes."""
    fleet = [host(f"web{n:02}", process(1, "app", *_gone("a", "b")), process(2, "app", *_gone("b"))) for n in (1, 2, 3)]
    report = stale(snapshot(*fleet, host("db", process(9, "db", *_gone("b")))))
    assert _rows(report, "service", "hosts", "processes", "rss_kib", "on_hosts", "path") == [
        ("app", 3, 6, 24, "web[01-03]", "/usr/lib/b.so"),
        ("app", 3, 3, 12, "web[01-03]", "/usr/lib/a.so"),
        ("db", 1, 1, 4, "db", "/usr/lib/b.so"),
    ]
    totals = {column.name: column.total for column in report.tables[0].columns if column.rule}
    assert totals == {"hosts": 4, "processes": 7, "rss_kib": 40}
    assert report.sentences[0] == (
        "/usr/lib/b.so was deleted or replaced, and 7 processes map the old one on db,web[01-03] until restarted"
    )


def test_more_counts_hosts_and_processes_once():
    """Three files of two processes on one host."""
    processes = [process(pid, "app", *_gone("a", "b", "c")) for pid in (1, 2)]
    report = stale(snapshot(host("h", *processes)), shape=Shape(top=1))
    assert _rows(report, "service", "hosts", "processes", "rss_kib") == [("app", 1, 2, 8), ("(2 more)", 1, 2, 16)]


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        (("host",), [("app", "a", 2), ("app", "b", 1)]),
        (("path", "mapping", "service", "host"), [("app", "a", 2), ("app", "b", 1)]),
    ],
)
def test_more_keys(by: tuple[str, ...], rows: list[tuple]):
    """They stand beside service and path, which are keys in any case; the path decides the mapping's name."""
    fleet = snapshot(
        host("a", process(1, "app", *_gone("x")), process(2, "app", *_gone("x"))),
        host("b", process(3, "app", *_gone("x"))),
    )
    report = stale(fleet, by)
    assert _rows(report, "service", "host", "processes") == rows
    assert [column.name for column in report.tables[0].columns] == [
        *("service", "host", "hosts", "processes", "rss_kib", "kind", "path"),
    ]


def test_by_host_and_process_a_row_is_one_process():
    """By host, pid and path, also of two processes of one name; the addresses of the files do not order them."""
    gone = _gone("c", "a", "b")
    report = stale(
        snapshot(host("b", process(2, "x", *gone), process(9, "x", gone[0])), host("a")), ("process", "host")
    )
    assert _rows(report, "host", "process", "pid", "user", "path") == [
        ("b", "x", 2, "www", "/usr/lib/a.so"),
        ("b", "x", 2, "www", "/usr/lib/b.so"),
        ("b", "x", 2, "www", "/usr/lib/c.so"),
        ("b", "x", 9, "www", "/usr/lib/c.so"),
    ]


def test_the_kinds_of_a_file_are_joined():
    """One process executes what another only reads."""
    runs, reads = (mapping("/opt/app (deleted)", perms=perms, Rss=4) for perms in ("r-xp", "r--p"))
    report = stale(snapshot(host("a", process(1, "x", runs), process(2, "x", reads))), all_deleted=True)
    assert _rows(report, "kind", "processes") == [("executable,file", 2)]


@pytest.mark.parametrize(
    ("glob", "paths"),
    [
        ("liba*", ["/usr/lib/liba.so", "/usr/lib/liba2.so"]),
        ("/usr/lib/libb.so", ["/usr/lib/libb.so"]),
        ("/usr/*", ["/usr/lib/liba.so", "/usr/lib/liba2.so", "/usr/lib/libb.so"]),
        ("LIBA*", []),
        ("usr*", []),
    ],
)
def test_file(glob: str, paths: list[str]):
    """It selects rows and findings by the path or its last part, with case; a note says that nothing matches."""
    fleet = snapshot(host("a", process(1, "x", *_gone("liba", "liba2", "libb"))))
    report = stale(fleet, file=glob)
    assert [path for (path,) in _rows(report, "path")] == paths
    assert [finding.mapping for finding in report.findings] == paths
    said = f"--file {glob}: none of the deleted or replaced files has such a name"
    assert (said in report.notes) == (not paths)


def test_a_finding_names_the_only_service_and_host():
    """None of several."""
    fleet = [
        host(name, process(1, service, *_gone(file))) for name, service, file in (("a", "x", "l"), ("b", "y", "l"))
    ]
    (both,), (one,) = (stale(snapshot(*hosts)).findings for hosts in (fleet, fleet[:1]))
    assert [(found.service, found.host) for found in (both, one)] == [(None, None), ("x", "a")]


def test_one_row_for_all_parts_of_a_file():
    """Code and data of one library, in each of two processes; its RSS is their sum."""
    parts = [mapping("/usr/lib/a.so (deleted)", perms=perms, Rss=4) for perms in ("r-xp", "rw-p")]
    fleet = snapshot(host("a", process(1, "x", *parts), process(2, "x", *parts)))
    assert _rows(stale(fleet), "processes", "rss_kib") == [(2, 16)]
    assert _rows(stale(fleet, ("host", "process")), "pid", "rss_kib") == [(1, 8), (2, 8)]
    assert stale(fleet).tables[0].column("rss_kib").total == 16


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
