"""The view history: rows by what matters, the days until a limit, sentences, signs and charts."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fleetpmap.export.as_html.charts import drawn
from fleetpmap.export.as_json import write_json
from fleetpmap.history import History
from fleetpmap.render import plain
from fleetpmap.report import Report, Shape
from fleetpmap.report.finding import told
from fleetpmap.report.model import Chart
from fleetpmap.report.views.history import history
from fleetpmap.report.views.history.limits import Limit, limits
from fleetpmap.report.views.history.sparkline import sparkline
from fleetpmap.report.views.history.trend_findings import _in
from fleetpmap.snapshot import HostSnapshot, Run, Snapshot
from fleetpmap.wire import CgroupMemory, HostMemory
from snapshots import expected, failed, host, mapping, process, snapshot

MIB, GIB = 1024, 1024 * 1024
RUNS = 240
RUN = np.arange(RUNS)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
CGROUP = "/system.slice/app.service"
NOW = Run(BEGIN + timedelta(days=10), 0.5, "fleetpmap history DIR/")


def _host(name: str, *, limit: int | None = None, cgroup: str | None = CGROUP, total: int = 8 * GIB) -> HostSnapshot:
    """A host of 8 GiB, 6 GiB of it free, with one process in a cgroup that holds 500 MiB, 100 MiB of it page cache."""
    one = process(10, "app", mapping("[heap]", Pss=1))
    one = replace(one, process=replace(one.process, service="app", cgroup=cgroup))
    group = CgroupMemory(
        *(CGROUP, 500 * MIB, None, limit, limit is None, CGROUP if limit else ""),
        file_kib=110 * MIB,
        shmem_kib=10 * MIB,
    )
    return replace(host(name, one), memory=HostMemory(total, 6 * GIB, 0, 0), cgroups=(group,))


def _history(
    rows: dict[tuple[str, ...], np.ndarray],
    *,
    by: tuple[str, ...] = ("service", "host", "mapping"),
    restarts: tuple[int, ...] = (),
    **more,
) -> History:
    """Hourly runs; every row restarts before the same runs."""
    sizes = np.round(np.array([*rows.values()])).astype(np.int64)
    lives = np.zeros(sizes.shape, np.int32) + sum((np.arange(sizes.shape[1]) >= run).astype(int) for run in restarts)
    started = tuple(BEGIN + timedelta(hours=hour) for hour in range(sizes.shape[1]))
    facts = {"answered": (1,) * len(started), "away": {}, "came": {}, "went": {}, "never_read": 0} | more
    return History(by, started, tuple(rows), sizes, lives, **facts)


def _leak(mib_an_hour: float = 1.0) -> np.ndarray:
    return 200 * MIB + RUN * MIB * mib_an_hour


def _flat(size: int = 900) -> np.ndarray:
    return np.full(RUNS, size)


def _report(past: History, *hosts: HostSnapshot, **more) -> Report:
    return history(past, snapshot(*(hosts or (_host("web-01"),))), NOW, **more)


def _rows(report: Report, *names: str) -> list[tuple]:
    return list(zip(*(report.tables[0].column(name).cells() for name in names), strict=True))


def _planted() -> History:
    noise = np.random.default_rng(1).normal(0, 1, RUNS)
    return _history(
        {
            ("app", "web-01", "libc.so.6"): _flat(),
            ("app", "web-01", "[anon]"): 50 * MIB + 3 * MIB * noise,
            ("app", "web-01", "[heap]"): _leak(0.5),
            ("app", "web-02", "[heap]"): _leak(2),
            ("app", "web-01", "/dev/shm/x"): 80 * MIB + (RUN >= 100) * 30 * MIB,
            ("app", "web-02", "[stack]"): np.where(RUN < 5, 132, -1),
        }
    )


def test_the_whole_table():
    """Leaks by the days that are left, then the step, then noise, then what rests; what is gone comes last."""
    report = _report(_planted(), _host("web-01", limit=1 * GIB), _host("web-02"))
    text = plain(report)
    assert text == expected("history.txt", text)


def test_the_whole_json():
    """With the findings and notes."""
    file = io.BytesIO()
    write_json(_report(_planted(), _host("web-01", limit=1 * GIB), _host("web-02")), file)
    text = file.getvalue().decode()
    assert text == expected("history.json", text)


@pytest.mark.parametrize(
    ("hosts", "limit"),
    [
        ((_host("web-01", limit=2 * GIB),), Limit(2 * GIB, 2 * GIB - 400 * MIB, is_of_host=False)),
        ((_host("web-01", limit=7 * GIB),), Limit(8 * GIB, 6 * GIB, is_of_host=True)),
        ((_host("web-01"),), Limit(8 * GIB, 6 * GIB, is_of_host=True)),
        ((_host("web-01", limit=2 * GIB, cgroup="/other"),), Limit(8 * GIB, 6 * GIB, is_of_host=True)),
        ((replace(_host("web-01"), memory=None),), None),
        ((_host("web-01"), _host("web-02")), None),
        ((failed("web-01", "timeout", "web-01: no answer in 10 s"),), None),
    ],
    ids=["cgroup", "a host tighter than the cgroup", "no cgroup limit", "no cgroup", "nothing", "two hosts", "away"],
)
def test_the_limit_of_a_service(hosts: tuple[HostSnapshot, ...], limit: Limit | None):
    """The one with less room; page cache is room; none over several hosts, and none that is not known."""
    assert limits(snapshot(*hosts), ("service",)) == ({("app",): limit} if limit else {})


def test_a_limit_that_an_ancestor_holds():
    """Its charge counts, not that of the cgroup itself."""
    slice_ = CgroupMemory("/system.slice", 900 * MIB, None, 1 * GIB, False, "/system.slice")
    below = CgroupMemory(CGROUP, 100 * MIB, None, 1 * GIB, False, "/system.slice")
    one = replace(_host("web-01"), cgroups=(slice_, below))
    assert limits(snapshot(one), ("host",)) == {("web-01",): Limit(1 * GIB, 124 * MIB, is_of_host=False)}


def test_what_an_ancestor_is_charged_counts_against_its_limit():
    """The slice is charged 900 MiB by services that the run did not ask for; 100 MiB of the app is page cache."""
    one = _host("web-01")
    group = replace(one.cgroups[0], limit_kib=1 * GIB, is_unlimited=False, limit_path="/system.slice")
    told = replace(one, cgroups=(replace(group, limit_used_kib=900 * MIB),))
    assert limits(snapshot(told), ("host",)) == {("web-01",): Limit(1 * GIB, 224 * MIB, is_of_host=False)}
    untold = replace(one, cgroups=(group,))
    assert limits(snapshot(untold), ("host",)) == {("web-01",): Limit(1 * GIB, 624 * MIB, is_of_host=False)}


def test_a_cgroup_below_another_is_not_counted_twice():
    """What is charged to it, and its cache, are in the one above it."""
    one = _host("web-01")
    group = replace(one.cgroups[0], limit_kib=1 * GIB, is_unlimited=False, limit_path="/system.slice")
    below = replace(group, path=f"{CGROUP}/worker", current_kib=300 * MIB)
    process_of = one.processes[0]
    two = replace(one, cgroups=(group, below), processes=(process_of, replace(process_of, pid=11, cgroup=below.path)))
    assert limits(snapshot(two), ("host",)) == {("web-01",): Limit(1 * GIB, 624 * MIB, is_of_host=False)}


@pytest.mark.timed
def test_limits_of_many_services_take_no_time():
    """A slice with a limit holds 400 of them."""
    services = [f"/system.slice/app-{number}.service" for number in range(400)]
    processes = [process(number, "app", mapping("[heap]", Pss=1)) for number in range(400)]
    members = [
        replace(one, process=replace(one.process, service=path, cgroup=path))
        for one, path in zip(processes, services, strict=True)
    ]
    groups = tuple(CgroupMemory(path, 1 * MIB, None, 1 * GIB, False, "/system.slice") for path in services)
    one = replace(host("web-01", *members), cgroups=groups)
    began = time.process_time()
    found = limits(snapshot(one), ("service",))
    assert time.process_time() - began < 4
    assert found == {(path,): Limit(1 * GIB, 624 * MIB, is_of_host=False) for path in services}


def test_findings_name_the_next_command():
    """A leak: the process, or those of the service; a step: the runs before and after it."""
    past = _planted()
    leak, step = _report(past, _host("web-01"), _host("web-02"), directory="/var/runs/").findings
    assert (leak.pid, leak.metric, leak.next) == (
        None,
        "pss_kib",
        "fleetpmap run -H 'web-[01-02]' -m app --exact --view processes",
    )
    assert (step.pid, step.next) == (
        10,
        "fleetpmap diff /var/runs/@2026-11-05T03:00:00+00:00 /var/runs/@2026-11-05T04:00:00+00:00 "
        "--by service,host,mapping",
    )
    assert (step.value_kib, step.reference_kib) == (110 * MIB, 80 * MIB)
    (one,) = _report(_history({("app", "web-01", "[heap]"): _leak()})).findings
    assert (one.pid, one.next) == (10, "fleetpmap run -H web-01 --pid 10 --view mappings --sort pss --top 10")


def test_every_leak_is_a_finding():
    """Those beyond the five that a terminal shows are in json, and a gate counts them."""
    past = _history({(f"app{n}", "web-01", "[heap]"): _leak(1 + n) for n in range(7)})
    assert [one.kind for one in _report(past, directory="runs/").findings] == ["leak"] * 7


@pytest.mark.parametrize(
    ("fewest", "most", "text"),
    [
        (3.2, 4.1, "in 3 to 5 days"),
        (59.1, 59.9, "in 59 to 60 days"),
        (0.3, 0.37, "in 7 to 9 hours"),
        (0.0, 0.0, "at once"),
        (4.0, 4.0, "in 4 days"),
        (400.0, 900.0, "in over a year"),
        (300.0, 9000.0, "in 300 days or more"),
    ],
)
def test_spans_of_days(fewest: float, most: float, text: str):
    """Rounded so that the span holds what was computed."""
    assert _in(fewest, most) == text


def test_the_sentence_of_a_leak():
    """Rate, interval, restarts, and the limit."""
    past = _history({("app", "web-01", "[heap]"): _leak()}, restarts=(100, 200))
    assert _report(past, _host("web-01", limit=2 * GIB)).sentences == (
        "[heap] of app on web-01 grows by 24.0M a day (24.0M to 24.0M), through 2 restarts: "
        "reaches its limit of 2.0G in 68 to 69 days",
    )


def test_one_sentence_for_a_leak_on_many_hosts():
    """With the host that comes to its limit first."""
    rows = {("app", f"web-{number:02}", "[heap]"): _leak(number) for number in (1, 2, 3)}
    report = _report(_history(rows), *(_host(f"web-{number:02}") for number in (1, 2, 3)))
    assert report.sentences == (
        "[heap] of app on web-[01-03] grows by 24.0M to 72.0M a day on each: "
        "web-03 is the first that fills the host's memory of 8.0G in 85 to 86 days",
    )


def test_the_sentence_of_a_step():
    """The run in which it came, and whether a restart came with it; hosts of the same run are one sentence."""
    sizes = 58 * MIB + (RUN >= 30) * 36 * MIB
    past = _history({("app", "web-01", "[heap]"): sizes}, restarts=(30,))
    assert _report(past).sentences == (
        "[heap] of app on web-01 went from 58.0M to 94.0M in the run of 2026-11-02 06:00:00+00:00, with a restart",
    )
    past = _history({("app", f"web-{number:02}", "[heap]"): sizes * number for number in (1, 2)})
    assert _report(past).sentences == (
        "[heap] of app on web-[01-02] changed by +36.0M to +72.0M on each in the run of 2026-11-02 06:00:00+00:00, "
        "in the same processes",
    )


def test_every_leak_and_step_is_a_finding():
    """A gate counts them; a terminal shows the first ones."""
    rows = {("app", "web-01", f"/data/{number}"): _leak(1 + number) for number in range(7)}
    report = _report(_history(rows))
    assert [finding.mapping for finding in report.findings] == [f"/data/{number}" for number in (6, 5, 4, 3, 2, 1, 0)]
    shown, others = told(report.findings)
    assert (len(shown), others) == (5, "2 more findings: `--format json` has all of them")


def test_what_is_gone_has_no_sentence_and_no_limit():
    """A service that was removed does not fill its host any more; one whose host is away may."""
    sizes = np.where(RUN < 200, _leak(), -1)
    past = _history({("app", "web-01", "[heap]"): sizes})
    report = _report(past, host("web-01"))
    assert report.findings == ()
    assert _rows(report, "class", "limit_in_days") == [("leak", None)]
    assert "1 row with what was not there any more in the last run" in report.notes
    away = _report(past, failed("web-01", "timeout", "web-01: no answer in 10 s"))
    assert len(away.findings) == 1


def test_notes():
    """On runs, hosts and processes; hosts with the same count are one sentence, and only three are made."""
    moment = BEGIN + timedelta(hours=7)
    past = _history(
        {("app", "web-01", "[heap]"): _flat()},
        answered=(0, 0, *(1 for _ in range(RUNS - 2))),
        away={"a1": 9, "a2": 9, "b": 4, "c": 3, "d": 2, "e": 1},
        came={"new-1": moment, "new-2": moment},
        went={"old": moment},
        never_read=3,
        lacking=("old-01", "old-02"),
    )
    assert _report(past, notes=("more",)).notes == (
        "240 runs from 2026-11-01 00:00:00+00:00 to 2026-11-10 23:00:00+00:00; "
        "the hosts and processes counted are those of the last one",
        "in 2 runs no host answered",
        "a[1-2] gave no answer, or was not asked, in 9 of 240 runs: gaps, not zeros",
        "b gave no answer, or was not asked, in 4 of 240 runs: gaps, not zeros",
        "c gave no answer, or was not asked, in 3 of 240 runs: gaps, not zeros",
        "2 more hosts gave no answer in up to 2 of 240 runs",
        "new-[1-2]: first asked in the run of 2026-11-01 07:00:00+00:00",
        "old: last asked in the run of 2026-11-01 07:00:00+00:00",
        "the sizes leave out 3 processes that no run could read",
        "old-[01-02]: the kernel does not print this size of all mappings, and the sizes leave them out",
        "more",
    )


def test_shape():
    """--top keeps the first rows of the view; --sort and --columns are as everywhere."""
    past = _planted()
    top = _report(past, _host("web-01"), _host("web-02"), shape=Shape(top=2))
    assert _rows(top, "host", "class") == [("web-02", "leak"), ("web-01", "leak"), (None, None)]
    by_size = _report(past, shape=Shape("last_kib", None, ("mapping", "last_kib")))
    assert _rows(by_size, "mapping", "last_kib")[:2] == [("[heap]", 694272), ("[heap]", 327168)]


def test_other_keys():
    """Rows of hosts alone have sentences too."""
    past = _history({("web-01",): _leak()}, by=("host",))
    assert _report(past).sentences[0].startswith("web-01 grows by 24.0M a day")
    past = _history({("app", "heap"): _leak()}, by=("service", "kind"))
    assert _report(past, _host("web-01"), _host("web-02")).sentences == (
        "heap of app grows by 24.0M a day (24.0M to 24.0M)",
    )


@pytest.mark.parametrize(
    ("sizes", "floor", "signs"),
    [
        ([50_000, 50_004, 49_996, 50_000], 512, "▁▁▁▁"),
        ([0, 7_000, 3_500], 512, "▁█▄"),
        ([5_000, 5_600], 512, "▁▂"),
        ([None, 1, None, 8_000], 512, " ▁ █"),
        ([None, None], 512, ""),
        ([*[4_000] * 16, *[None] * 16, *[4_000] * 31, 9_000], 512, "▁▁▁▁    ▁▁▁▁▁▁▁▁"),
        ([*[None] * 14, 7, *[None] * 25, 7, *[None] * 7], 512, "    ▁        ▁  "),
        ([*range(0, 32_000, 1_000)], 512, "▁▁▁▂▂▃▃▄▄▅▅▆▆▇▇█"),
    ],
)
def test_sparkline(sizes: list[int | None], floor: float, signs: str):
    """A sign is at least one noise floor high; a gap is a space, and 16 signs are enough for any number of runs."""
    assert sparkline(sizes, floor) == signs


def _chart(*sizes: int | None, **more) -> Chart:
    times = tuple(BEGIN + timedelta(hours=hour) for hour in range(len(sizes)))
    return Chart("t", "c", times, sizes, 4096, **more)


def test_a_chart():
    """A path for each piece without a gap, a dot for a point alone, and places in time."""
    chart = drawn(_chart(1000, 5000, None, 9000, marks=(3,), line=((0, 1000), (3, 9000))))
    assert chart.paths == ("M0 114.5L200 60", "M600 5.5h0")
    assert chart.marks == (600.0,)
    assert chart.trend == (0.0, 114.5, 600.0, 5.5)
    assert (chart.first, chart.last) == ("2026-11-01 00:00", "2026-11-01 03:00")


def test_a_chart_of_noise_is_flat():
    """Its axis spans eight noise floors, and does not begin below 0."""
    chart = drawn(_chart(100, 104, 100))
    assert (chart.low, chart.high) == ("0K", "4.4M")
    assert chart.paths == ("M0 117.3L300 117.2L600 117.3",)


@pytest.mark.parametrize("of", [lambda: (), lambda: (_host("web-01"),)])
def test_no_series(of: Callable[[], tuple[HostSnapshot, ...]]):
    """A history without one has no rows, and no sentence."""
    past = History(("host",), (BEGIN,), (), np.zeros((0, 1), np.int64), np.zeros((0, 1), np.int32), (0,), {}, {}, {}, 0)
    report = history(past, Snapshot.assemble(of(), NOW), NOW)
    assert (len(report.tables[0]), report.findings, report.charts) == (0, (), ())
