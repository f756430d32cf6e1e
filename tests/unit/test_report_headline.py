"""How a service is, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from charged import cgroup, of, with_memory
from fleet_of_twelve import twelve_hosts
from fleet_of_twenty import twenty_hosts
from fleetpmap.report import VIEWS, ViewOptions, diff, page, ps
from fleetpmap.report.finding import Finding
from fleetpmap.report.headline import headline, size
from fleetpmap.report.model import Line, Timeline
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import failed, host, mapping, process, snapshot, unreadable

PATH = "/system.slice/shop.service"


def words(fleet: Snapshot, *more: Finding) -> tuple[str, ...]:
    report = page(VIEWS["summary"], fleet, ViewOptions())
    return headline(replace(report, findings=(*report.findings, *more)))


def one_of(name: str, kib: int, *, pid: int = 7, charged: int | None = None, limit: int | None = None) -> HostSnapshot:
    one = of("shop.service", process(pid, "app", mapping("[heap]", Rss=kib, Pss=kib, Private_Dirty=kib)), cgroup=PATH)
    return with_memory(host(name, one), cgroup(PATH, current=charged, limit=limit, unlimited=limit is None))


def test_a_service_that_leaks_on_one_of_twelve_hosts():
    """How much, where, which host, since when its process runs, and how near the limits are."""
    assert words(twelve_hosts()) == (
        "2 services take 3 GiB on 12 hosts, about 221 MiB each; the largest is gunicorn with 2.8 GiB.",
        "gunicorn on web-07 has 512 MiB in [heap], the largest part in pid 8960.",
        "Process 8960 has run since 2026-03-09 06:37 UTC.",
        "All processes are within their limits; the fullest limit, of gunicorn on web-07, is at 67 %.",
    )


def test_one_service_on_one_host():
    """No hosts are counted, and there is no `each`."""
    assert words(snapshot(one_of("web-01", 240 * 1024, charged=1, limit=2**20)))[0] == "shop takes 240 MiB on web-01."


def test_one_service_on_hosts_that_differ():
    """Hosts of different sizes have a range in place of a middle."""
    sizes = (10, 200, 300, 900)
    fleet = snapshot(*(one_of(f"web-{n}", mib * 1024) for n, mib in enumerate(sizes)))
    assert words(fleet)[0] == "shop takes 1.4 GiB on 4 hosts, from 10 MiB to 900 MiB each."


def test_the_host_that_stands_out_has_its_size_and_what_takes_it():
    """Of one service, all that its host holds, and the mapping of it."""
    fleet = snapshot(*(one_of(f"web-{n}", 690_000 if n == 3 else 90_000 + n, pid=40 + n) for n in range(8)))
    assert words(fleet)[1] == "web-3 takes 674 MiB: [heap] of pid 43."
    assert words(twenty_hosts())[1] == "web-07 takes 688 MiB, 497 MiB of it in [heap], the largest part in pid 802."


def test_growth_since_an_earlier_run():
    """What a finding says of the same process, as it says it."""
    grown = Finding("growth", "shop on web-3 (pid 43): [heap] grew by 58M in 3 h, 19M an hour", "web-3", "shop", 43)
    fleet = snapshot(*(one_of(f"web-{n}", 690_000 if n == 3 else 90_000 + n, pid=40 + n) for n in range(8)))
    assert words(fleet, grown)[2] == "[heap] grew by 58M in 3 h, 19M an hour."


@pytest.mark.parametrize(
    ("fleet", "sentence"),
    [
        (
            snapshot(one_of("a", 9000, charged=6, limit=8)),
            "All processes are within their limits; the fullest limit, on a, is at 75 %.",
        ),
        (snapshot(one_of("a", 9000, charged=9, limit=8)), "The fullest limit, on a, is at 112 %."),
        (snapshot(one_of("a", 9000, charged=9)), "No process has a memory limit."),
        (
            snapshot(one_of("a", 9000, charged=6, limit=8), host("b", process(1, "app", mapping(Rss=4, Pss=4)))),
            "All processes are within their known limits; the fullest limit, of shop on a, is at 75 %.",
        ),
    ],
)
def test_limits(fleet: Snapshot, sentence: str):
    """The fullest one in percent; a limit that is not known is not said to be kept."""
    assert sentence in words(fleet)


def test_limits_that_are_not_known_are_not_mentioned():
    """Cgroups that were not read say nothing."""
    fleet = snapshot(host("a", process(1, "app", mapping(Rss=4, Pss=4))))
    assert not [sentence for sentence in words(fleet) if "limit" in sentence]


def test_killed_processes():
    """They come before the limits."""
    one = of("shop.service", process(7, "app", mapping(Rss=9, Pss=9)), cgroup=PATH)
    fleet = snapshot(with_memory(host("a", one), cgroup(PATH, current=4, limit=8, oom_kills=2)))
    assert words(fleet)[1] == "The kernel killed 2 processes for lack of memory."


def test_without_pss_the_sum_is_at_most_that():
    """RSS counts shared memory once for each process."""
    fleet = snapshot(*(host(f"w{n}", *(process(p, "app", mapping(Rss=40_000)) for p in (1, 2))) for n in (1, 2)))
    assert words(fleet)[0] == "app takes at most 156 MiB on 2 hosts, about 78 MiB each."


def test_what_is_missing():
    """Hosts that did not answer, and processes that could not be read."""
    fleet = snapshot(
        host("a", process(1, "app", mapping(Rss=4096, Pss=4096)), unreadable(2, "app", 99)),
        failed("b", "refused", "b: refused"),
    )
    assert words(fleet)[-2:] == (
        "1 host did not answer, so the real total may be higher.",
        "1 process could not be read, so the real total is higher.",
    )


def test_nothing_matched_and_no_host_answered():
    """Either is one sentence."""
    assert words(snapshot(host("a"), host("b"))) == ("Nothing matched on 2 hosts.",)
    assert words(snapshot(failed("a", "refused", "a: refused"))) == ("No host answered.",)


def test_reports_of_other_commands_have_none():
    """They have no other reports beside them."""
    assert headline(ps(twelve_hosts())) == ()


@pytest.mark.parametrize(
    ("kib", "text"),
    [(4, "4 KiB"), (9_728, "9.5 MiB"), (644_096, "629 MiB"), (1_992_294, "1.9 GiB"), (3 * 2**20, "3 GiB")],
)
def test_sizes_in_a_sentence(kib: int, text: str):
    """With a decimal below 10 only."""
    assert size(kib) == text


def test_processes_without_a_service_have_their_name():
    """Of several programs there is a number."""
    app, other = (process(pid, name, mapping(Rss=9000, Pss=9000)) for pid, name in ((1, "app"), (2, "other")))
    assert words(snapshot(host("w", app)))[0] == "app takes 8.8 MiB on w."
    assert words(snapshot(host("w", app, other)))[0].startswith("2 ")


def test_growth_from_the_old_run_to_the_new():
    """A page of a difference says it, and so does one of many runs."""
    old, new = (snapshot(host("w", process(1, "app", mapping("[heap]", Rss=kib, Pss=kib)))) for kib in (9000, 19000))
    assert headline(diff(old, new)) == ("Memory grew by 9.8 MiB, from 8.8 MiB to 19 MiB.",)
    assert headline(diff(new, old)) == ("Memory shrank by 9.8 MiB, from 19 MiB to 8.8 MiB.",)
    assert headline(diff(old, old)) == ("Memory did not change: 8.8 MiB.",)
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    for apart, long in (
        (timedelta(days=12, hours=12), "12.5 days"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=7), "7 minutes"),
        (timedelta(seconds=40), "40 seconds"),
    ):
        times = (moment, moment + apart / 3, moment + apart)
        past = replace(ps(new), timeline=Timeline("pss_kib", times, Line(None, None, (None, 9000, 19000)), (), ()))
        assert headline(past) == (f"Memory grew by 9.8 MiB in {long}, from 8.8 MiB to 19 MiB.",)
