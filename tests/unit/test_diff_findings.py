"""diff's sentences: what grew and how fast, what was restarted, what came and went."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fleetpmap.report import diff
from fleetpmap.report.finding import Finding
from fleetpmap.snapshot import Snapshot
from snapshots import ProcessWithMappings, host, mapping, process, snapshot

MIB = 1024


def _app(pid: int, heap: int, name: str = "app", *, service: str = "", **fields: int) -> ProcessWithMappings:
    one = process(pid, name, mapping("[heap]", Pss=heap, **fields))
    return replace(one, process=replace(one.process, service=service, unit=service or None))


def _findings(old: Snapshot, new: Snapshot, seconds: float = 20, **options) -> tuple[str, ...]:
    return diff(
        old, replace(new, run=replace(new.run, started=new.run.started + timedelta(seconds=seconds))), **options
    ).sentences


def test_all_kinds_in_their_order():
    """Growth with its rate, then restarts, then processes that are new, and that are gone."""
    more = mapping("/memfd:x (deleted)", start=0x30000, Pss=3 * MIB)
    old = host("a", _app(812, 4 * MIB), _app(900, 12 * MIB, "cache"), _app(77, 300, "cron"))
    grown = process(812, "app", mapping("[heap]", Pss=24 * MIB), more)
    new = host("a", grown, _app(1031, 4 * MIB, "cache"), _app(1040, 2 * MIB, "job"))
    assert _findings(snapshot(old), snapshot(new)) == (
        "app on a (pid 812): [heap] grew by 20M in 20 s, 1.0M a second",
        "app on a (pid 812): /memfd:x is new, with 3.0M",
        "cache on a: 1 process restarted (pid 900, now 1031); 12M → 4.0M, -8.0M in [heap]",
        "1 process is new, with 2.0M: job",
        "1 process is gone, which had 300K: cron",
    )


@pytest.mark.parametrize("by", ["mapping", "kind", "host", "service"])
def test_sentences_do_not_depend_on_the_rows(by: str):
    """They name service, host, process and mapping, whatever the table is merged by."""
    old, new = snapshot(host("a", _app(5, 0))), snapshot(host("a", _app(5, 10 * MIB)))
    assert _findings(old, new, by=[by]) == ("app on a (pid 5): [heap] grew by 10M in 20 s, 512K a second",)


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [
        (20, "in 20 s, 512K a second"),
        (119, "in 119 s, 86K a second"),
        (600, "in 10 min, 1.0M a minute"),
        (36_000, "in 10 h, 1.0M an hour"),
        (259_200, "in 3 days, 3.3M a day"),
    ],
)
def test_a_rate_has_the_unit_of_the_time_between(seconds: float, rate: str):
    """Twenty seconds say nothing about an hour."""
    old, new = snapshot(host("a", _app(5, 0))), snapshot(host("a", _app(5, 10 * MIB)))
    assert _findings(old, new, seconds) == (f"app on a (pid 5): [heap] grew by 10M {rate}",)


def test_workers_that_grow_are_one_sentence():
    """With the growth of each, and the hosts folded."""
    old = snapshot(*(host(f"web{n:02}", _app(10, 20 * MIB), _app(11, 20 * MIB)) for n in range(1, 5)))
    new = snapshot(*(host(f"web{n:02}", _app(10, 25 * MIB), _app(11, 23 * MIB)) for n in range(1, 5)))
    assert _findings(old, new, 7200) == (
        "app on web[01-04], 8 processes: [heap] grew by 32M, 4.0M each in 2 h, 2.0M an hour each",
    )


def test_growth_below_one_mebibyte_is_left_to_the_table():
    """Three sentences at most, and none for what is small."""
    old = snapshot(host("a", *(_app(pid, 0, f"p{pid}") for pid in range(1, 7))))
    new = snapshot(host("a", *(_app(pid, pid * 400, f"p{pid}") for pid in range(1, 7))))
    assert [sentence.partition(" on ")[0] for sentence in _findings(old, new)] == ["p6", "p5", "p4"]
    assert _findings(old, snapshot(host("a", *(_app(pid, 1000, f"p{pid}") for pid in range(1, 7))))) == ()


def test_restarts_of_many_workers_are_one_sentence():
    """Where each is restarted with another size, on how many of the hosts, and in which mapping."""
    old = snapshot(*(host(f"w{n}", _app(10, 22 * MIB), _app(11, 22 * MIB)) for n in range(1, 4)))
    new = snapshot(*(host(f"w{n}", _app(20, 58 * MIB), _app(21, 58 * MIB)) for n in range(1, 4)))
    assert _findings(old, new) == ("app on w[1-3]: 6 processes restarted; 22M → 58M each, +36M in [heap], on all 3",)


def test_restarts_that_changed_on_some_hosts():
    """Sizes that are not alike are an average."""
    old = snapshot(*(host(f"w{n}", _app(10, 20 * MIB)) for n in range(1, 5)))
    new = snapshot(*(host(f"w{n}", _app(20, (20 + (40 if n == 2 else 0)) * MIB)) for n in range(1, 5)))
    assert _findings(old, new) == (
        "app on w[1-4]: 4 processes restarted; 20M → 30M on average, +10M in [heap], on 1 of the 4",
    )


def test_restarts_with_the_size_of_before():
    """A restart that changed nothing is a short sentence."""
    old, new = (snapshot(*(host(f"w{n}", _app(pid, 20 * MIB)) for n in range(1, 4))) for pid in (10, 20))
    assert _findings(old, new) == ("app on w[1-3]: 3 processes restarted; 20M each, as before",)


def test_a_restart_of_an_unknown_size():
    """Unknown is not zero."""
    old, new = (snapshot(host("a", process(pid, "app", mapping("[heap]", Rss=9)))) for pid in (5, 6))
    assert _findings(old, new) == ("1 process restarted, with an unknown size: app",)


def test_restarts_of_many_services():
    """The three that changed most, and one sentence for the others."""
    old = snapshot(host("a", *(_app(n, n * MIB, f"p{n}") for n in range(1, 7)), _app(7, 90, "tiny")))
    new = snapshot(host("a", *(_app(10 + n, 2 * n * MIB, f"p{n}") for n in range(1, 7)), _app(17, 90, "tiny")))
    *told, others = _findings(old, new)
    assert [sentence.partition(" on ")[0] for sentence in told] == ["p6", "p5", "p4"]
    assert others == "4 processes also restarted, with 12M: p3, p2, p1 and 1 more"


def test_a_small_program_that_runs_again():
    """A job that another run replaced is no news of its own."""
    old, new = (snapshot(host("a", _app(pid, 90, "sleep"))) for pid in (5, 6))
    assert _findings(old, new) == ("1 process restarted, with 90K: sleep",)


def test_services_and_not_programs_are_counted_together():
    """The unit names the service; its suffix is left out."""
    unit = "app.service"
    old = snapshot(host("a", _app(5, 9 * MIB, "master", service=unit), _app(6, 9 * MIB, "worker", service=unit)))
    new = snapshot(host("a", _app(7, 9 * MIB, "master", service=unit), _app(8, 9 * MIB, "worker", service=unit)))
    assert _findings(old, new) == ("app on a: 2 processes restarted; 9.0M each, as before",)


def test_new_and_gone_processes_name_their_services():
    """The largest three."""
    old = snapshot(host("a", _app(1, 9 * MIB, "steady")))
    others = [_app(10 + n, n * MIB, f"job{n}") for n in range(1, 6)]
    new = snapshot(host("a", _app(1, 9 * MIB, "steady"), *others))
    assert _findings(old, new) == ("5 processes are new, with 15M: job5, job4, job3 and 2 more",)
    assert _findings(new, old) == ("5 processes are gone, which had 15M: job5, job4, job3 and 2 more",)


def _sharing(pid: int, *, pss: int, uss: int) -> ProcessWithMappings:
    return _app(pid, pss, Rss=80 * MIB, Private_Clean=0, Private_Dirty=uss)


def test_the_share_of_a_worker_that_ended_is_no_growth_of_the_others():
    """Their USS grows with their PSS, and they hold no page more: their RSS is as before."""
    old = snapshot(host("a", *(_sharing(pid, pss=40 * MIB, uss=0) for pid in (5, 6))))
    new = snapshot(host("a", _sharing(5, pss=80 * MIB, uss=80 * MIB)))
    assert _findings(old, new) == ("1 process is gone, which had 40M: app",)


def test_pages_copied_after_a_fork_are_growth():
    """RSS stays, and the memory is taken all the same; no process ended."""
    old = snapshot(host("a", *(_sharing(pid, pss=40 * MIB, uss=0) for pid in (5, 6))))
    new = snapshot(host("a", *(_sharing(pid, pss=80 * MIB, uss=80 * MIB) for pid in (5, 6))))
    assert _findings(old, new) == ("app on a, 2 processes: [heap] grew by 80M, 40M each in 20 s, 2.0M a second each",)


def test_growth_is_what_the_process_has_more_of_its_own():
    """Its program file became private as another process ended, and it read 3 MiB more of it: it grew by these."""
    node = {"path": "/usr/bin/node", "perms": "r-xp", "Private_Dirty": 0}
    old = snapshot(host("a", process(5, "node", mapping(**node, Pss=17 * MIB, Private_Clean=0, Rss=33 * MIB))))
    new = snapshot(host("a", process(5, "node", mapping(**node, Pss=36 * MIB, Private_Clean=36 * MIB, Rss=36 * MIB))))
    assert _findings(old, new, 600) == ("node on a (pid 5): node grew by 3.0M in 10 min, 307K a minute",)
    assert diff(old, new).tables[0].column("growth_kib").cells() == [19 * MIB]


def _whole(old: Snapshot, new: Snapshot, **options) -> tuple[Finding, ...]:
    return diff(
        old, replace(new, run=replace(new.run, started=new.run.started + timedelta(seconds=20))), **options
    ).findings


def test_growth_of_a_process_names_all_of_it():
    """Host, service, pid, mapping, both sizes, and the command that reads it again."""
    old, new = (snapshot(host("a", _app(5, kib, service="app.service"))) for kib in (4 * MIB, 24 * MIB))
    (finding,) = _whole(old, new, stored=("o.parquet", "n.parquet"))
    assert (finding.kind, finding.host, finding.service, finding.pid) == ("growth", "a", "app.service", 5)
    assert (finding.mapping, finding.metric) == ("[heap]", "pss_kib")
    assert (finding.value_kib, finding.reference_kib) == (24 * MIB, 4 * MIB)
    assert finding.next == "fleetpmap run -H a --pid 5 --view mappings --sort pss --top 10"


def test_growth_on_several_hosts_names_what_they_share():
    """The sums of its processes; the next command has a row for each, or reads them where no file is known."""
    old, new = (
        snapshot(*(host(f"w{n}", _app(5, kib, service="app.service")) for n in range(3))) for kib in (4096, 24 * MIB)
    )
    (finding,) = _whole(old, new, stored=("o.parquet", "my n.parquet"))
    assert (finding.host, finding.service, finding.pid) == (None, "app.service", None)
    assert (finding.value_kib, finding.reference_kib) == (3 * 24 * MIB, 3 * 4096)
    assert finding.next == "fleetpmap diff o.parquet 'my n.parquet' --by host,process,mapping"
    (finding,) = _whole(old, new)
    assert finding.next == "fleetpmap run -H 'w[0-2]' --unit app.service --view processes"


def test_restarts_and_processes_that_came_or_went_name_what_they_can():
    """The mapping that changed most with its sizes; of one that is gone, 0."""
    old = snapshot(host("a", _app(900, 12 * MIB, "cache"), _app(77, 300, "cron")))
    new = snapshot(host("a", _app(1031, 4 * MIB, "cache"), _app(1040, 2 * MIB, "job")))
    again, came, gone = _whole(old, new, stored=("o", "n"))
    assert (again.pid, again.service, again.mapping) == (1031, "cache", "[heap]")
    assert (again.value_kib, again.reference_kib) == (4 * MIB, 12 * MIB)
    assert (came.pid, came.service, came.value_kib, came.reference_kib) == (1040, "job", 2 * MIB, 0)
    assert (gone.pid, gone.service, gone.value_kib, gone.reference_kib) == (77, "cron", 0, 300)
    assert came.next == "fleetpmap run -H a --pid 1040 --view processes"
    assert gone.next == "fleetpmap diff o n --by service,host,process"
    assert [one.next for one in _whole(old, new)][2] == ""
