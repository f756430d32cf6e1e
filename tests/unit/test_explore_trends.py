"""The trends of rounds: what is noise is flat, what is a change is not, and what was away is a gap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetpmap.catalogue import ViewOptions
from fleetpmap.explore.listing import listing
from fleetpmap.explore.places import KEYS_OF, Place
from fleetpmap.explore.trends import KEPT, Trends
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import ProcessWithMappings, failed, host, mapping, process, snapshot, unreadable

SERVICES, HOSTS, PROCESSES, MAPPINGS = map(Place, ("services", "hosts", "processes", "mappings"))


def _process(pid: int, service: str, **heaps: int) -> ProcessWithMappings:
    """A process with mappings of so many KiB, all of them its own."""
    one = process(
        pid, service, *(mapping(f"/{name}", Rss=kib, Pss=kib, Private_Dirty=kib) for name, kib in heaps.items())
    )
    return replace(one, process=replace(one.process, service=service))


def _host(name: str, *kib: int) -> HostSnapshot:
    """A host with an nginx for each size, of which it is the heap."""
    return host(name, *(_process(pid, "nginx", heap=size) for pid, size in enumerate(kib, 100)))


def _signs(place: Place, *rounds: Snapshot, ascii_only: bool = False) -> dict[object, object]:
    """The trend of each row of the last round, by the service, host or mapping that it is."""
    trends = Trends()
    for one in rounds:
        trends = trends.after(one)
    table = listing(place, rounds[-1], ViewOptions()).tables[0]
    column = trends.column(table, place, ascii_only=ascii_only)
    assert column is not None
    return dict(zip(table.column(KEYS_OF[place.level][0]).cells(), column.cells(), strict=True))


@pytest.mark.parametrize(
    ("sizes", "signs"),
    [
        ((9000, 9004, 8996, 9004, 8996), "▁▁▁▁▁"),
        ((9000, 9064, 9000), "▁▁▁"),
        ((9000, 9065, 9130), "▁▂▃"),
        ((9000, 9010, 9020, 9030, 9040, 9050, 9060, 9070), "▁▁▁▁▁▁▁▂"),
        ((9000, 9455), "▁█"),
        ((0, 700 * 1024, 350 * 1024), "▁█▄"),
        ((9000, 9130, 9126, 9134, 9000), "▁▃▃▃▁"),
    ],
    ids=["4 KiB", "the floor", "above the floor", "a slow leak", "the highest", "its own span", "noise upon a change"],
)
def test_a_sign_is_more_than_noise(sizes: tuple[int, ...], signs: str):
    """Small spans are drawn on the scale of the floor, large ones on their own."""
    rounds = [snapshot(_host("web-01", kib)) for kib in sizes]
    assert _signs(HOSTS, *rounds) == {"web-01": signs}


def test_the_noise_of_many_processes_is_flat_in_their_sum():
    """200 processes that move by 40 KiB each, all in one direction, have not changed; one that leaks has."""
    first, noise = snapshot(_host("web-01", *[9000] * 200)), snapshot(_host("web-01", *[9040] * 200))
    leak = snapshot(_host("web-01", *[9040] * 199, 9200))
    assert _signs(SERVICES, first, noise, first, noise) == {"nginx": "▁▁▁▁"}
    assert _signs(SERVICES, first, noise, first, leak) == {"nginx": "▁▁▁▄"}


def test_pss_that_other_processes_move_is_flat():
    """When a neighbour ends, the share of each page grows, and nothing of the process itself does."""
    rounds = [
        snapshot(host("web-01", process(1, "nginx", mapping("/lib", Rss=9000, Pss=pss, Private_Dirty=8))))
        for pss in (3000, 4500, 9000)
    ]
    assert _signs(HOSTS, *rounds) == {"web-01": "▁▁▁"}


def test_a_host_that_was_away_has_a_gap_and_its_service_has_none():
    """The size of the service is carried over: that of the host is not known, and nothing tells that it changed."""
    there = snapshot(_host("web-01", 9000), _host("web-02", 5000))
    away = snapshot(_host("web-01", 9000), failed("web-02", "refused", "web-02: refused"))
    rounds = (there, away, away, there)
    assert _signs(HOSTS, *rounds) == {"web-01": "▁▁▁▁", "web-02": "▁··▁"}
    assert _signs(SERVICES, *rounds) == {"nginx": "▁▁▁▁"}
    assert _signs(MAPPINGS, *rounds) == {"/heap": "▁▁▁▁"}
    assert _signs(replace(MAPPINGS, hosts=("web-02",)), *rounds)["/heap"] == "▁··▁"


def test_a_service_of_which_all_hosts_were_away_has_a_gap():
    """Nothing of it was read."""
    there, away = snapshot(_host("web-01", 9000)), snapshot(failed("web-01", "refused", "web-01: refused"))
    assert _signs(SERVICES, there, away, there) == {"nginx": "▁·▁"}


def test_a_process_that_could_not_be_read_once_has_a_gap():
    """As if its host had been away."""
    there = snapshot(host("web-01", _process(7, "db", heap=9000)))
    denied = snapshot(host("web-01", unreadable(7, "db", 9000)))
    assert _signs(PROCESSES, there, denied, there) == {"web-01": "▁·▁"}


def test_what_ended_is_gone_and_what_began_is_new():
    """They were not unreadable, so the size of their host falls and rises."""
    one, two = snapshot(_host("web-01", 9000)), snapshot(_host("web-01", 9000, 4000))
    assert _signs(HOSTS, one, two, one) == {"web-01": "▁█▁"}
    pids = replace(PROCESSES, pid=101)
    assert _signs(pids, one, two, two) == {"web-01": "·▁▁"}


def test_a_new_process_with_an_old_pid_is_another_one():
    """It is judged by itself, and drawn in the row that has the pid."""
    old = _process(7, "db", heap=9000)
    new = replace(_process(7, "db", heap=9050), process=replace(old.process, start_ticks=99))
    trends = Trends().after(snapshot(host("a", old))).after(snapshot(host("a", new)))
    sizes, read = trends.of_rows([("a", 7)], PROCESSES)
    assert (sizes.tolist(), read.tolist()) == ([[9000, 9050]], [[True, True]])


def test_a_host_without_a_match_has_the_size_zero():
    """It answered; a host that did not has none."""
    rounds = [snapshot(host("web-01"), _host("web-02", 800)), snapshot(_host("web-01", 800), _host("web-02", 800))]
    assert _signs(HOSTS, *rounds) == {"web-01": "▁█", "web-02": "▁▁"}


def test_the_part_that_was_entered_has_the_trend_of_its_part():
    """Of a service its processes, of a mapping its sizes; the last size is that of the list."""
    rounds = [
        snapshot(host("a", _process(1, "nginx", heap=n, anon=500), _process(2, "redis", heap=4000)))
        for n in (900, 1800)
    ]
    assert _signs(replace(HOSTS, service="redis"), *rounds) == {"a": "▁▁"}
    assert _signs(replace(HOSTS, mapping="/anon"), *rounds) == {"a": "▁▁"}
    assert _signs(replace(HOSTS, service="nginx", mapping="/heap"), *rounds) == {"a": "▁█"}
    trends = Trends().after(rounds[0]).after(rounds[1])
    for place, key in ((SERVICES, ("nginx",)), (MAPPINGS, ("/heap",)), (HOSTS, ("a",)), (PROCESSES, ("a", 1))):
        table = listing(place, rounds[1], ViewOptions()).tables[0]
        rows = [*zip(*(table.column(name).cells() for name in KEYS_OF[place.level]), strict=True)]
        assert trends.of_rows([key], place)[0][0, -1] == table.column("pss_kib").cells()[rows.index(key)]


def test_only_the_last_rounds_are_kept_and_nothing_of_what_was_before():
    """Processes and mappings that are gone for so long need no memory."""
    trends = Trends().after(snapshot(host("a", _process(1, "old", old=9000))))
    for _ in range(KEPT):
        trends = trends.after(snapshot(host("a", _process(2, "new", new=9000))))
    assert [one.pid for one in trends.processes] == [2]
    assert (trends.mappings, trends.sizes.shape, len(trends.answered)) == (("/new",), (1, KEPT), KEPT)


def test_a_kernel_without_pss():
    """RSS is drawn; where it becomes known that PSS is lacking, the trend begins anew."""
    bare = [snapshot(host("a", process(1, "x", mapping("/lib", Rss=rss)))) for rss in (900, 1000)]
    assert _signs(HOSTS, *bare) == {"a": "▁▂"}
    assert _signs(HOSTS, snapshot(_host("a", 900)), *bare) == {"a": "▁▂"}


def test_nothing_was_read_at_all():
    """No host, and no process: no sign, or gaps alone."""
    assert _signs(HOSTS, snapshot()) == {}
    assert _signs(HOSTS, *[snapshot(failed("a", "auth", "a: no"))] * 2) == {"a": "··"}


def test_ascii_has_signs_of_its_own():
    """Eight levels and a gap, as all other characters of the screen."""
    sizes = (0, 65, 130, 195, 260, 325, 390, 455)
    there = [snapshot(_host("a", kib)) for kib in sizes]
    away = snapshot(failed("a", "auth", "a: no"))
    assert _signs(HOSTS, *there, away, there[0], ascii_only=True) == {"a": "_,-~=+*#._"}
