"""Limits as bars."""

from __future__ import annotations

from charged import cgroup, of, with_memory
from fleetpmap.export.as_html.limits import limits_of
from fleetpmap.report import hosts, services
from fleetpmap.report.shape import Shape
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot

MIB, GIB = 1024, 1024 * 1024


def fleet() -> Snapshot:
    """Three hosts of 8 GiB: a service near its limit, one far from it, and one without a limit."""

    def one(name: str, service: str, pss_mib: int, available_gib: int, **charge):
        held = mapping("[heap]", Rss=pss_mib * MIB, Pss=pss_mib * MIB)
        member = of(service, process(7, "app", held), cgroup=f"/{service}")
        group = cgroup(f"/{service}", **charge)
        return with_memory(host(name, member), group, total=8 * GIB, available=available_gib * GIB)

    return snapshot(
        one("web-01", "shop.service", 600, 6, current=800 * MIB, limit=1000 * MIB),
        one("web-02", "shop.service", 300, 2, current=400 * MIB, limit=1000 * MIB),
        one("web-03", "blog.service", 50, 4, current=60 * MIB, unlimited=True),
    )


def found(fleet: Snapshot, most: int = 40):
    by_share = Shape(sort="limit_share", top=most)
    return limits_of(services(fleet, ("host", "service"), by_share).tables[0], hosts(fleet).tables[0])


def test_the_fullest_limit_comes_first():
    """A bar is in percent of its limit: what the processes hold, and what is charged in all."""
    near, far = found(fleet()).of_services
    assert (near.host, near.service, near.held, near.charged, near.level) == ("web-01", "shop.service", 60, 80, "near")
    assert (near.held_text, near.used_text, near.limit_text) == ("600.0M", "800.0M", "1000.0M")
    assert (far.host, far.held, far.charged, far.level) == ("web-02", 30, 40, "low")


def test_the_memory_of_a_host_is_its_limit():
    """The host with the least that is available comes first; what it uses is not only what the processes hold."""
    bars = found(fleet()).of_hosts
    assert [(bar.host, bar.used_text, bar.share) for bar in bars] == [
        ("web-02", "6.0G", 75.0),
        ("web-03", "4.0G", 50.0),
        ("web-01", "2.0G", 25.0),
    ]
    assert (bars[0].held, bars[0].limit_text) == (3.66, "8.0G")


def test_what_is_left_out_is_told():
    """Of many limits the fullest have a bar, and a sentence says how full the others are at most."""
    shown = found(fleet(), most=1)
    assert [bar.host for bar in shown.of_services] == ["web-01"]
    assert shown.remarks == ("2 more use at most 80.0 % of a limit, or have none that is known.",)
    many = snapshot(*(with_memory(host(f"w{n}"), total=100, available=n) for n in range(25)))
    assert found(many).remarks == ("5 more hosts use at most 81.0 % of their memory.",)


def test_without_a_limit_there_is_no_bar():
    """An unknown share, an unlimited service and a host that does not tell its memory have none."""
    unknown = with_memory(host("a", of("s", process(1, "x"), cgroup="/s")), cgroup("/s", limit=50))
    shown = found(snapshot(unknown))
    assert (shown.of_services, shown.of_hosts) == ((), ())


def test_more_than_the_limit_fills_the_bar():
    """A cgroup that exceeds its limit has a full bar, and its share is the true one."""
    over = with_memory(host("a", of("s", process(1, "x"), cgroup="/s")), cgroup("/s", current=110, limit=100))
    (bar,) = found(snapshot(over)).of_services
    assert (bar.charged, bar.share, bar.level) == (100.0, 110.0, "full")
