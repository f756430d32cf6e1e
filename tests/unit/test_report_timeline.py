"""The services over time: the sums and gaps of a history, bounded for a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from fleetpmap.evidence.code import CodeFile
from fleetpmap.history import History
from fleetpmap.report.model import Timeline
from fleetpmap.report.views.history import timeline, with_deploys

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def past(by: tuple[str, ...], rows: dict[tuple[str, ...], list[int]], lives: dict | None = None) -> History:
    """Hourly runs."""
    sizes = np.array([*rows.values()], np.int64)
    started = tuple(BEGIN + timedelta(hours=hour) for hour in range(sizes.shape[1]))
    of_rows = np.array([(lives or {}).get(key, [0] * len(started)) for key in rows], np.int32)
    return History(by, started, tuple(rows), sizes, of_rows, (1,) * len(started), {}, {}, {}, 0)


def found(whole: list[int], services: dict[str, list[int]], hosts: dict[tuple[str, str], list[int]], **more):
    by_service = past(("service",), {(name,): sizes for name, sizes in services.items()}, more.get("lives"))
    made = timeline(
        {(): past((), {(): whole}), ("service",): by_service, ("service", "host"): past(("service", "host"), hosts)}
    )
    assert isinstance(made, Timeline)
    return made


def test_services_on_their_hosts():
    """The largest service first; a gap is None, and a restart is the run after which the processes are others."""
    hosts = {("api", "web-01"): [5, 6, 7], ("api", "web-02"): [5, -1, 8], ("cart", "web-01"): [3, 3, 3]}
    shown = found([13, -1, 18], {"cart": [3, 3, 3], "api": [10, -1, 15]}, hosts, lives={("api",): [0, 0, 1]})
    assert shown.whole.sizes == (13, None, 18)
    assert [(line.service, line.sizes, line.restarts) for line in shown.services] == [
        ("api", (10, None, 15), (2,)),
        ("cart", (3, 3, 3), ()),
    ]
    assert [(line.service, line.host, line.sizes) for line in shown.hosts] == [
        ("api", "web-01", (5, 6, 7)),
        ("api", "web-02", (5, None, 8)),
        ("cart", "web-01", (3, 3, 3)),
    ]
    assert shown.times[1] == BEGIN + timedelta(hours=1)
    assert shown.notes == ()


def test_many_services_are_one_beside_the_largest():
    """What the nine largest leave of the whole is one line, which has a gap where the whole has one."""
    services = {f"s{n}": [100 - n, 100 - n, 100 - n] for n in range(12)} | {"s11": [-1, 89, 89]}
    shown = found([1045, 1134, -1], services, {(name, "a"): sizes for name, sizes in services.items()})
    assert [line.service for line in shown.services] == [*(f"s{n}" for n in range(9)), None]
    assert shown.services[-1].sizes == (181, 270, None)
    assert {line.service for line in shown.hosts} == {f"s{n}" for n in range(9)}
    assert shown.notes == ("The 3 smallest services are drawn as one.",)


def test_of_many_hosts_those_that_changed_most():
    """Two hundred lines, in the order of the hosts."""
    hosts = {("s", f"h{n:03}"): [10, 10 + n] for n in range(250)}
    shown = found([2500, 99], {"s": [2500, 99]}, hosts)
    assert [line.host for line in (shown.hosts[0], shown.hosts[-1])] == ["h050", "h249"]
    assert shown.notes == ("50 lines of services on hosts are left out: those that changed least.",)


def test_of_many_runs_some_are_drawn():
    """The first and the last are; a restart between two of them counts before the later one."""
    sizes, lives = [*range(1000)], [int(run >= 501) for run in range(1000)]
    shown = found(sizes, {"s": sizes}, {("s", "a"): sizes}, lives={("s",): lives})
    line = shown.services[0]
    assert (len(shown.times), line.sizes[0], line.sizes[-1]) == (240, 0, 999)
    (restart,) = line.restarts
    assert line.sizes[restart - 1] < 501 <= line.sizes[restart]
    assert shown.notes == ("240 of 1,000 runs are drawn, the first and the last among them.",)


def test_nothing_was_ever_read():
    """Runs without a size have no timeline."""
    nothing = History((), (BEGIN,), (), np.zeros((0, 1), np.int64), np.zeros((0, 1), np.int32), (0,), {}, {}, {}, 0)
    assert timeline({(): nothing, ("service",): nothing, ("service", "host"): nothing}) is None


def test_a_restart_with_other_code_is_a_deploy():
    """Another layout of a file of the same name; not a plugin that came, and not a restart of the same code."""
    sizes = {"api": [10, 10, -1, 10, 10], "cart": [3, 3, 3, 3, 3]}
    lives = {("api",): [0, 1, 2, 2, 3], ("cart",): [0, 0, 0, 1, 1]}
    past_ = found([13] * 5, sizes, {("api", "a"): sizes["api"], ("cart", "a"): sizes["cart"]}, lives=lives)
    old, new = (CodeFile("api", "/usr/bin/api", 4096, kib << 10) for kib in (40, 44))
    plugin = CodeFile("plugin.so", "/usr/lib/plugin.so", 0, 8 << 10)
    runs = [{old}, {old, plugin}, {old}, {new}, {new}]
    code = {time: {"api": frozenset(files)} for time, files in zip(past_.times, runs, strict=True)}
    shown = with_deploys(past_, code.__getitem__)
    assert [(line.service, line.restarts, line.deploys) for line in shown.services] == [
        ("api", (1, 2, 4), (2,)),
        ("cart", (3,), ()),
    ]
    assert shown.notes == ()


def test_the_newest_restarts_are_looked_at():
    """Reading whole runs takes time, so the earlier ones are counted."""
    often = found([9] * 15, {"api": [9] * 15}, {("api", "a"): [9] * 15}, lives={("api",): [*range(15)]})
    asked: set[datetime] = set()
    shown = with_deploys(often, lambda time: asked.add(time) or {})
    assert len(asked) == 11
    assert shown.notes == ("Of 4 earlier restarts it is not known whether they were deploys.",)
