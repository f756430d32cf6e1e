"""The part of a snapshot that was entered: what stays in it, and that its numbers are those of the views."""

from __future__ import annotations

import pytest

from fleetpmap.explore.narrowing import narrowed
from fleetpmap.report import VIEWS, ViewOptions
from fleetpmap.snapshot import Snapshot
from snapshots import failed, host, mapping, process, snapshot, unreadable


@pytest.fixture
def fleet() -> Snapshot:
    """web-01 runs nginx and redis, web-02 nginx and a denied one, db-01 redis; web-03 fails."""
    heap = {"start": 0x1000, "size": 100}
    libc = {"start": 0x9000, "size": 50, "perms": "r-xp"}
    return snapshot(
        host(
            "web-01",
            process(
                11, "nginx", mapping("[heap]", **heap, Rss=31, Pss=30), mapping("/l/libc.so.6", **libc, Rss=9, Pss=4)
            ),
            process(12, "redis", mapping("[heap]", **heap, Rss=71, Pss=70)),
        ),
        host(
            "web-02", process(21, "nginx", mapping("/l/libc.so.6", **libc, Rss=8, Pss=3)), unreadable(22, "nginx", 500)
        ),
        host("db-01", process(31, "redis", mapping("[heap]", **heap, Rss=91, Pss=90))),
        failed("web-03", "auth", "web-03: cannot log in"),
    )


def _pss(part: Snapshot) -> dict[object, object]:
    table = VIEWS["processes"](part, ViewOptions()).tables[0]
    return dict(zip(table.column("pid").cells(), table.column("pss_kib").cells(), strict=True))


def test_nothing_entered_is_the_snapshot_itself(fleet: Snapshot):
    """No copy is made of a fleet."""
    assert narrowed(fleet) is fleet


def test_a_service_has_its_processes_and_hosts_and_the_failed_ones(fleet: Snapshot):
    """A host that failed may run it; one that answered and does not is out."""
    part = narrowed(fleet, service="redis")
    assert [one.name for one in part.hosts] == ["web-01", "db-01", "web-03"]
    assert _pss(part) == {12: 70, 31: 90}


def test_the_status_of_a_host_is_that_of_what_was_entered(fleet: Snapshot):
    """web-02 is partial, since one of its nginx was denied; of its libc process alone it is ok."""
    statuses = {one.name: one.status for one in narrowed(fleet, service="nginx").hosts}
    assert statuses == {"web-01": "ok", "web-02": "partial", "web-03": "auth"}
    assert [one.status for one in narrowed(fleet, hosts=("web-02",), pid=21).hosts] == ["ok"]


def test_a_host_and_a_process(fleet: Snapshot):
    """A pid is one of the host that was entered."""
    assert _pss(narrowed(fleet, hosts=("web-01",))) == {11: 34, 12: 70}
    assert _pss(narrowed(fleet, hosts=("web-01",), pid=12)) == {12: 70}


def test_a_mapping_has_the_processes_with_it_and_those_that_could_not_be_read(fleet: Snapshot):
    """What is not known of a denied process is null, not zero: it may have the mapping."""
    assert _pss(narrowed(fleet, mapping="libc.so.6")) == {11: 4, 21: 3, 22: None}
    assert [one.name for one in narrowed(fleet, mapping="[heap]").hosts] == ["web-01", "web-02", "db-01", "web-03"]


def test_a_mapping_by_the_name_that_hosts_share():
    """A finding calls /tmp/app-4711 what all hosts call it."""
    one = process(1, "app", mapping("/tmp/app-4711", size=4, Rss=4, Pss=4), mapping("[heap]", size=9, Rss=9, Pss=9))
    part = narrowed(snapshot(host("web-01", one)), mapping="/tmp/app-*")
    assert _pss(part) == {1: 4}


def test_the_sum_of_the_services_is_the_fleet(fleet: Snapshot):
    """Narrowing loses nothing: the totals of the parts add up to that of the whole."""

    def total(part: Snapshot) -> int:
        return VIEWS["merged"](part, ViewOptions()).tables[0].column("pss_kib").total or 0

    assert total(fleet) == 197
    assert total(narrowed(fleet, service="nginx")) + total(narrowed(fleet, service="redis")) == 197


def test_a_service_that_nothing_runs(fleet: Snapshot):
    """An empty part: the views of it have no row, and the failed host is still told."""
    part = narrowed(fleet, service="gone")
    assert (part.processes, len(part.table)) == ((), 0)
    assert [one.name for one in part.hosts] == ["web-03"]
