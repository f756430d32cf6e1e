"""services: units, containers and programs, each over all its hosts."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import replace

import pytest

from charged import cgroup, of, with_memory
from fleetpmap.export.as_json import write_json
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, ViewOptions, column_names, services
from fleetpmap.report.shape import Shape
from fleetpmap.snapshot import Snapshot
from fleetpmap.wire import Resident
from snapshots import expected, failed, host, mapping, process, snapshot

SHOP, BLOG = "/system.slice/shop.service", "/system.slice/blog.service"


def rows_of(report):
    """The rows of the first table as objects."""
    names = [column.name for column in report.tables[0].columns]
    return [dict(zip(names, row, strict=True)) for row in report.tables[0].rows()]


def row_of(report, service):
    """The row of a service."""
    (row,) = [row for row in rows_of(report) if row["service"] == service]
    return row


def fleet() -> Snapshot:
    """Two services on two hosts, with limits, kills and start times; a denied process; a host that failed."""
    shop_1 = of("shop.service", process(7, "app", mapping("/a", Rss=900, Pss=700)), cgroup=SHOP, started=1_000_000.0)
    shop_2 = of("shop.service", process(8, "app", mapping("/a", Rss=500, Pss=300)), cgroup=SHOP, started=1_000_060.0)
    shop_3 = of("shop.service", process(3, "app", mapping("/a", Rss=80, Pss=80)), cgroup=SHOP, started=1_500_000.0)
    blog = of("blog.service", process(9, "blog", mapping("/b", Rss=40, Pss=40)), cgroup=BLOG)
    denied = of("blog.service", process(10, "blog", status="denied", rss_kib=60), cgroup=BLOG)
    return snapshot(
        with_memory(
            host("web-01", shop_1, shop_2, blog, denied),
            cgroup(SHOP, current=1600, peak=2000, limit=2000, oom=3, oom_kills=2),
            cgroup(BLOG, current=100, unlimited=True, oom=0, oom_kills=0),
            total=10_000,
            available=4_000,
        ),
        with_memory(
            host("web-02", shop_3),
            cgroup(SHOP, current=90, peak=300, limit=1000, limit_path="/system.slice", oom=0, oom_kills=0),
            total=30_000,
        ),
        failed("web-03", "auth", "web-03: cannot log in"),
    )


def test_a_row_per_service():
    """The largest PSS first; sums over hosts; a limit and its share from the cgroup that is nearest to its limit."""
    text = plain(services(fleet()))
    assert text == expected("services.txt", text)


def test_a_row_per_service_and_host():
    """Either order of the keys means the same: the host comes first."""
    report = VIEWS["services"](fleet(), ViewOptions(by=("service", "host")))
    text = plain(report)
    assert text == expected("services_by_host.txt", text)
    assert rows_of(report) == rows_of(VIEWS["services"](fleet(), ViewOptions(by=("host", "service"))))


def test_columns_are_known_before_any_host_is_asked():
    """The options are checked against the same columns, with the host only where rows have it."""
    by_host, over_all = (column_names("services", ViewOptions(by=by)) for by in (("host", "service"), ("mapping",)))
    assert by_host == ("host", *over_all)
    assert over_all == tuple(column.name for column in services(fleet()).tables[0].columns)


def test_keys_that_services_do_not_have_are_of_another_view():
    """--by mapping is summary's; services are a row each all the same."""
    assert rows_of(VIEWS["services"](fleet(), ViewOptions(by=("mapping",)))) == rows_of(services(fleet()))


def test_every_row_equals_a_recomputation():
    """The same sums, made with plain loops over the mappings and the cgroups."""
    one = fleet()
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for process_, rss, pss in zip(
        one.table.process.tolist(), one.table.fields["Rss"].tolist(), one.table.fields["Pss"].tolist(), strict=True
    ):
        sums[one.processes[process_].service]["rss_kib"] += rss
        sums[one.processes[process_].service]["pss_kib"] += pss
    for host_ in one.hosts:
        on_host = [process for process in one.processes if process.host == host_.name]
        for group in host_.cgroups:
            (service,) = {process.service for process in on_host if process.cgroup == group.path}
            sums[service]["cgroup_current_kib"] += group.current_kib or 0
            sums[service]["oom_kills"] += group.oom_kills or 0
    for row in rows_of(services(one)):
        assert {name: row[name] for name in sums[row["service"]]} == dict(sums[row["service"]])


def test_processes_of_one_cgroup_are_charged_once():
    """Two workers in one cgroup; and a third below it, whose charge is in that of the first."""
    below = f"{SHOP}/worker"
    workers = (
        of("shop.service", process(1, "app", mapping(Pss=5)), cgroup=SHOP),
        of("shop.service", process(2, "app", mapping(Pss=5)), cgroup=SHOP),
        of("shop.service", process(3, "app", mapping(Pss=5)), cgroup=below),
    )
    charges = (
        cgroup(SHOP, current=900, peak=950, oom=1, oom_kills=3),
        cgroup(below, current=400, peak=800, oom=1, oom_kills=1),
    )
    row = row_of(services(snapshot(with_memory(host("a", *workers), *charges))), "shop.service")
    assert (row["cgroup_current_kib"], row["cgroup_peak_kib"], row["oom_kills"]) == (900, 950, 3)


def test_v1_counts_kills_where_they_were():
    """The count of a v1 cgroup, which has no `oom`, leaves out those below it."""
    below = f"{SHOP}/worker"
    workers = (of("s", process(1, "app"), cgroup=SHOP), of("s", process(2, "app"), cgroup=below))
    charges = (cgroup(SHOP, current=900, oom_kills=1), cgroup(below, current=400, oom_kills=4))
    assert row_of(services(snapshot(with_memory(host("a", *workers), *charges))), "s")["oom_kills"] == 5


def test_instances_add_up():
    """Two cgroups of one service on a host, neither below the other."""
    two = (
        of("docker:app", process(1, "app", mapping(Pss=5)), cgroup="/docker/1"),
        of("docker:app", process(2, "app", mapping(Pss=6)), cgroup="/docker/10"),
    )
    charges = (cgroup("/docker/1", current=10, limit=100), cgroup("/docker/10", current=30, limit=50))
    row = row_of(services(snapshot(with_memory(host("a", *two), *charges))), "docker:app")
    assert (row["cgroup_current_kib"], row["limit_kib"], row["limit_share"], row["pss_kib"]) == (40, 50, 60.0, 11)


def test_nearest_limit_is_not_the_smallest():
    """A small limit far away is no danger; the row has the limit whose share it shows."""
    near = with_memory(host("a", of("s", process(1, "x"), cgroup="/s")), cgroup("/s", current=900, limit=1000))
    far = with_memory(host("b", of("s", process(1, "x"), cgroup="/s")), cgroup("/s", current=1, limit=500))
    row = row_of(services(snapshot(near, far)), "s")
    assert (row["limit_kib"], row["limit_share"]) == (1000, 90.0)


def test_limit_of_an_ancestor_is_shared_with_all_below_it():
    """Its share is that of all that the ancestor is charged."""
    both = (of("s", process(1, "x"), cgroup="/top/s"), of("t", process(2, "x"), cgroup="/top"))
    charges = (
        cgroup("/top/s", current=300, limit=1000, limit_path="/top", limit_used_kib=800),
        cgroup("/top", current=800, limit=1000),
    )
    report = services(snapshot(with_memory(host("a", *both), *charges)))
    assert [row_of(report, name)["limit_share"] for name in ("s", "t")] == [80.0, 80.0]
    assert report.tables[0].column("cgroup_current_kib").total == 800


@pytest.mark.parametrize(
    ("charges", "limit", "share"),
    [
        ([cgroup("/s", current=5, unlimited=True)], "-", "-"),
        ([cgroup("/s", current=5)], None, None),
        ([], None, None),
        ([cgroup("/s", limit=50)], 50, None),
        ([cgroup("/s", current=5, limit=0)], 0, None),
    ],
)
def test_no_limit_is_not_an_unknown_one(charges, limit, share):
    """`-` where there is none, null where nothing is known."""
    row = row_of(services(snapshot(with_memory(host("a", of("s", process(1, "x"), cgroup="/s")), *charges))), "s")
    assert (row["limit_kib"], row["limit_share"]) == (limit, share)


def test_a_cgroup_that_does_not_tell_may_have_a_limit():
    """One process without a limit, and one of which nothing is known."""
    two = (of("s", process(1, "x"), cgroup="/s"), of("s", process(2, "x")))
    assert (
        row_of(services(snapshot(with_memory(host("a", *two), cgroup("/s", current=5, unlimited=True)))), "s")[
            "limit_kib"
        ]
        is None
    )


def test_hosts_that_the_charges_leave_out_are_named():
    """A sum over some of the hosts says which are missing."""
    known = with_memory(host("a", of("s", process(1, "x"), cgroup="/s")), cgroup("/s", current=5, oom_kills=0))
    report = services(snapshot(known, host("b", of("s", process(1, "x"))), host("c", of("s", process(1, "x")))))
    assert row_of(report, "s")["cgroup_current_kib"] == 5
    assert "cgroup_current_kib and oom_kills leave out processes on b,c: their cgroups do not tell" in report.notes


def test_ram_share_is_of_the_hosts_on_which_it_runs():
    """PSS over MemTotal; unknown if a host's MemTotal is."""
    shares = {row["service"]: row["ram_share"] for row in rows_of(services(fleet()))}
    assert shares == {"shop.service": 2.7, "blog.service": 1.0}  # 1080 of 40000; 40 and the denied 60 of 10000
    unknown = snapshot(fleet_host("a", total=1000), fleet_host("b", total=None))
    assert row_of(services(unknown), "s")["ram_share"] is None


def fleet_host(name, total):
    """A host with one process of 100 KiB."""
    return with_memory(host(name, of("s", process(1, "x", mapping(Rss=100, Pss=100)))), total=total)


def test_ram_share_takes_rss_where_the_kernel_has_no_pss():
    """An old kernel, and a denied process with its sizes by status."""
    old = with_memory(host("a", of("s", process(1, "x", mapping(Rss=300)))), total=1000)
    assert row_of(services(snapshot(old)), "s")["ram_share"] == 30.0


def test_processes_without_memory_make_no_row():
    """Kernel threads, zombies and what ended are in the coverage alone; a denied process is in a row."""
    statuses = ("gone", "reused", "kernel", "zombie", "empty", "denied")
    report = services(
        snapshot(host("a", *(of(status, process(pid, "x", status=status)) for pid, status in enumerate(statuses, 1))))
    )
    assert [(row["service"], row["processes"], row["pss_kib"]) for row in rows_of(report)] == [("denied", 1, None)]


def test_pss_per_process_is_of_those_that_were_read():
    """A denied process has no PSS to divide."""
    two = (of("s", process(1, "x", mapping(Pss=10))), of("s", process(2, "x", status="denied")))
    assert row_of(services(snapshot(host("a", *two))), "s")["pss_per_process_kib"] == 10


CODE = {"perms": "r-xp"}


def drift_of(*processes_of_hosts):
    """The mark of the service `s`, with the mappings of each process of each host."""
    hosts_ = [
        host(
            f"h{number}",
            *(of("s", process(pid, "x", *mappings_)) for pid, mappings_ in enumerate(processes_, start=1)),
        )
        for number, processes_ in enumerate(processes_of_hosts, start=1)
    ]
    return row_of(services(snapshot(*hosts_)), "s")["drift"]


def test_builds_that_differ_between_processes_are_marked():
    """One path, another size of its code."""
    old, new = (mapping("/usr/lib/libx.so.1", size=size, **CODE) for size in (40, 44))
    assert drift_of([[old], [new]]) == "builds"
    assert drift_of([[old]], [[new]]) == "builds"
    assert drift_of([[old], [old]], [[old]]) == ""


def test_a_library_that_only_some_processes_map_is_no_drift():
    """Nor is one that is mapped in two parts."""
    whole = mapping("/usr/lib/libx.so.1", size=40, **CODE)
    parts = [
        mapping("/usr/lib/libx.so.1", size=16, **CODE),
        mapping("/usr/lib/libx.so.1", size=24, **CODE),
    ]
    assert drift_of([[whole, mapping("/usr/lib/liby.so", **CODE)], parts]) == ""


def test_versions_that_differ_between_hosts_are_marked():
    """libssl.so.1.1 here, libssl.so.3 there; both side by side in one process everywhere is no drift."""
    old, new = (mapping(f"/usr/lib/libssl.so.{version}", **CODE) for version in ("1.1", "3"))
    assert drift_of([[old]], [[new]]) == "versions"
    assert drift_of([[old, new]], [[new, old]]) == ""


def test_a_replaced_file_is_marked():
    """By the rule of stale: a deleted library, and not a deleted temporary file."""
    assert drift_of([[mapping("/usr/lib/libx.so.1 (deleted)", **CODE)]]) == "replaced"
    assert drift_of([[mapping("/tmp/x8Gh3kQ2 (deleted)", **CODE)]]) == ""


def test_drift_is_unknown_of_rollups():
    """smaps_rollup does not name the files, and everything else is there."""
    one = host("a", of("s", process(1, "x", mapping("[totals]", Rss=9, Pss=7)), cgroup="/s"))
    row = row_of(services(snapshot(with_memory(one, cgroup("/s", current=50, limit=100)))), "s")
    assert (row["pss_kib"], row["limit_share"], row["drift"]) == (7, 50.0, None)


def test_top_counts_what_the_rest_shares_once():
    """Two programs of a login session are charged to its cgroup; (2 more) has that charge once."""
    session = "/user.slice/session-3.scope"
    all_ = (
        of("big", process(1, "big", mapping(Pss=100)), cgroup="/big"),
        of("bash", process(2, "bash", mapping(Pss=5)), cgroup=session),
        of("vim", process(3, "vim", mapping(Pss=6)), cgroup=session),
    )
    one = with_memory(host("a", *all_), cgroup("/big", current=200), cgroup(session, current=30))
    table = services(snapshot(one), shape=Shape(top=1)).tables[0]
    cells = list(
        zip(
            *(table.column(name).cells() for name in ("service", "hosts", "processes", "cgroup_current_kib")),
            strict=True,
        )
    )
    assert cells == [("big", 1, 1, 200), ("(2 more)", 1, 2, 30)]
    assert table.column("cgroup_current_kib").total == 230


@pytest.mark.parametrize(
    ("sort", "order"),
    [("limit_share", ["b", "a", "c", "d"]), ("limit", ["a", "b", "c", "d"]), ("service", ["a", "b", "c", "d"])],
)
def test_sort_by_shares_and_limits(sort, order):
    """From the largest; where there is no limit, or none is known, last."""
    one = with_memory(
        host("h", *(of(name, process(pid, name), cgroup=f"/{name}") for pid, name in enumerate("abcd", start=1))),
        cgroup("/a", current=10, limit=1000),
        cgroup("/b", current=9, limit=600),
        cgroup("/c", current=9, unlimited=True),
        cgroup("/d"),
    )
    assert services(snapshot(one), shape=Shape(sort=sort)).tables[0].column("service").cells() == order


def test_summary_of_every_process_begins_with_the_services():
    """Above the mappings and the hosts, in json under `services`; a format of one table writes the mappings."""
    report = VIEWS["summary"](fleet(), ViewOptions(services=True))
    assert [table.name for table in report.in_order] == ["services", "rows", "hosts"]
    assert [table.name for table in report.brief.in_order] == ["services", "rows", "hosts"]
    assert report.tables[0].name == "rows"
    file = io.BytesIO()
    write_json(report, file)
    document = json.loads(file.getvalue())
    assert [row["service"] for row in document["services"]] == ["shop.service", "blog.service"]
    assert [row["mapping"] for row in document["rows"]] == ["/a", "/b"]
    assert [table.name for table in VIEWS["summary"](fleet(), ViewOptions()).in_order] == ["rows", "hosts"]


def test_sizes_by_status_count_for_a_denied_process():
    """Of a process that may not be read, the share is that of its RSS."""
    denied = of("s", process(1, "x", status="denied"))
    known = replace(denied, process=replace(denied.process, resident=Resident(rss_kib=250)))
    one = with_memory(host("a", known), total=1000)
    assert row_of(services(snapshot(one)), "s")["ram_share"] == 25.0


def test_processes_have_the_charge_and_the_limit_of_their_cgroup():
    """Several may have the same, so there is no total."""
    table = VIEWS["processes"](fleet(), ViewOptions()).tables[0]
    names = ("pid", "cgroup_current_kib", "limit_kib", "limit_share")
    assert list(zip(*(table.column(name).cells() for name in names), strict=True)) == [
        (7, 1600, 2000, 80.0),
        (8, 1600, 2000, 80.0),
        (9, 100, "-", "-"),
        (10, 100, "-", "-"),
        (3, 90, 1000, 9.0),
    ]
    assert [table.column(name).total for name in names] == [None] * 4
