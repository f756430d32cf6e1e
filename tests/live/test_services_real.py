"""Twelve hosts with real nginx, gunicorn, PostgreSQL and Redis in cgroups as systemd makes them, and fleetpmap's view.

What fleetpmap reports is compared with what support/cgroup_reader.py reads by itself, before and after.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from page_text import page_text
from real_hosts import Fleet, RealHost, Usage, need_hosts, running, wait_until
from real_services import (
    GUNICORN,
    NGINX,
    POSTGRESQL,
    PROCESSES,
    PROGRAMS,
    REDIS,
    gunicorn,
    new_cluster,
    nginx,
    postgresql,
    redis,
    settle,
)
from sshd import Sshd

SERVICE_OF = {"web": NGINX, "app": GUNICORN, "db": POSTGRESQL, "cache": REDIS}
"""The cgroup of its service, by the first part of a host's name."""
SSH, INIT = "/system.slice/ssh.service", "/init.scope"
"""The cgroups that every host has besides."""
NAMES = [f"{kind}-{number:02}" for kind in SERVICE_OF for number in (1, 2, 3)]
LIMITS = {
    "web": (NGINX, 96 << 20),
    "db": ("/system.slice/system-postgresql.slice", 512 << 20),  # above the unit, which has none itself
    "cache": (REDIS, 64 << 20),
}
"""The cgroup that has a limit, and its bytes, by the first part of a host's name."""

EXACT = ("size_kib", "rss_kib", "dirty_kib", "swap_kib", "swap_pss_kib")
"""Sizes of a process at rest that other processes do not change."""
SHARED = ("pss_kib", "uss_kib")
CHARGED_AHEAD_KIB = 256 * (os.cpu_count() or 1)
"""The kernel charges a cgroup ahead, for 64 pages on each processor."""


class Run(NamedTuple):
    """The files of one run, and the reader's figures of each host around it."""

    services: list[dict[str, Any]]
    csv: str
    html: str
    processes: list[dict[str, Any]]
    before: dict[str, Usage]
    after: dict[str, Usage]


def kind(host: str) -> str:
    return host.partition("-")[0]


@pytest.fixture(scope="module")
def fleet(sshd: Sshd) -> Iterator[Fleet]:
    need_hosts(*PROGRAMS)
    with running({name: f"127.0.3.{number}" for number, name in enumerate(NAMES, 1)}, sshd) as fleet:
        cluster = new_cluster(fleet.directory / "cluster")
        make = {"web": nginx, "app": gunicorn, "db": partial(postgresql, cluster=cluster), "cache": redis}
        for host in fleet.hosts:
            if kind(host.name) in LIMITS:
                host.limit(*LIMITS[kind(host.name)])
        settle(fleet, [make[kind(host.name)](host) for host in fleet.hosts])
        yield fleet


def by_unit(usage: Usage) -> dict[str, dict]:
    """Return the figures of the reader by the last part of the cgroup's path."""
    return {path.rpartition("/")[2]: found for path, found in usage.items()}


def assert_sizes(row: dict, before: dict, after: dict) -> None:
    """The sizes of a row are the reader's: to the KiB, but which pages are shared depends on what else runs.

    During a run that is a session on every host: it maps the C library, and OpenSSH's, as the services do.
    """
    for name in EXACT + SHARED:
        slack_kib = 0 if name in EXACT else 160 * row["hosts"] + before[name] // 33
        low, high = sorted((before[name], after[name]))
        assert low - slack_kib <= row[name] <= high + slack_kib, (name, row)


@pytest.fixture(scope="module")
def run(fleet: Fleet) -> Run:
    """One run over everything, which writes the services in three formats."""
    before = fleet.read()
    paths = {name: fleet.directory / name for name in ("services.csv", "services.html", "processes.json")}
    exports = [word for name, path in paths.items() for word in ("--export", f"{name.partition('.')[0]}={path}")]
    services = json.loads(fleet.run("--all", "--view", "services", "--format", "json", *exports))["rows"]
    csv_text, html_text, processes = (path.read_text() for path in paths.values())
    return Run(services, csv_text, html_text, json.loads(processes)["rows"], before, fleet.read())


def test_each_process_is_in_its_service(run: Run):
    """All processes of all hosts are reported, each with the unit whose cgroup the reader found it in."""
    found: dict[str, dict[str, list[int]]] = {}
    for row in run.processes:
        found.setdefault(row["host"], {}).setdefault(row["unit"], []).append(row["pid"])
        assert (row["service"], row["container"], row["pod"], row["status"]) == (row["unit"], None, None, "read")
    expected = {
        name: {unit: usage["pids"] for unit, usage in by_unit(of_host).items()} for name, of_host in run.before.items()
    }
    assert found == expected
    for name in NAMES:
        service = SERVICE_OF[kind(name)]
        assert {unit: len(pids) for unit, pids in found[name].items()} == {
            service.rpartition("/")[2]: PROCESSES[service],
            "ssh.service": 1,
            "init.scope": 1,
        }


def test_the_sizes_of_each_service_on_each_host(fleet: Fleet):
    """Grouped by service and host, every size is the independent reader's."""
    before = fleet.read()
    rows = json.loads(fleet.run("--all", "--by", "service,host", "--format", "json"))["rows"]
    after = fleet.read()
    assert len(rows) == 3 * len(NAMES)
    for row in rows:
        sides = [by_unit(side[row["host"]])[row["service"]] for side in (before, after)]
        assert row["processes"] == len(sides[0]["pids"])
        assert_sizes(row, *sides)


def test_the_charge_and_limit_of_each_cgroup(fleet: Fleet):
    """What each cgroup is charged, by kind, is what the reader found, and the tightest limit is named."""
    before = fleet.read()
    snapshot = fleet.collect()
    after = fleet.read()
    for host in snapshot.hosts:
        cgroups = {cgroup.path: cgroup for cgroup in host.cgroups}
        assert cgroups.keys() == {SERVICE_OF[kind(host.name)], SSH, INIT}
        for path, cgroup in cgroups.items():
            if path == SSH:
                continue  # the session that reads is charged to it, too: there is no systemd to give it a scope
            one, other = before[host.name][path], after[host.name][path]
            low, high = (edge(one["current_kib"], other["current_kib"]) for edge in (min, max))
            assert low - CHARGED_AHEAD_KIB <= cgroup.current_kib <= high + CHARGED_AHEAD_KIB
            assert one["peak_kib"] <= cgroup.peak_kib <= other["peak_kib"]
            for name in ("anon_kib", "file_kib", "shmem_kib", "kernel_kib"):
                assert getattr(cgroup, name) == pytest.approx(one[name], abs=64), (host.name, path, name)
            holder, limit = LIMITS[kind(host.name)] if path != INIT and kind(host.name) in LIMITS else ("", None)
            assert (cgroup.limit_kib, cgroup.limit_path) == (None if limit is None else limit // 1024, holder)
            assert (cgroup.limit_kib, cgroup.limit_path) == (one["limit_kib"], one["limit_path"])
            assert (cgroup.is_unlimited, cgroup.oom_kills) == (limit is None, 0)
            assert cgroup.processes == len(one["pids"])


def over_the_fleet(figures: dict[str, Usage]) -> dict[str, dict[str, Any]]:
    """Add up the reader's figures of each unit over the hosts."""
    found: dict[str, dict[str, Any]] = {}
    for of_host in figures.values():
        for unit, usage in by_unit(of_host).items():
            total = found.setdefault(unit, {"hosts": 0, "processes": 0, "started": math.inf, "newest": 0.0})
            total["hosts"] += 1
            total["processes"] += len(usage["pids"])
            total["started"] = min(total["started"], usage["started"])
            total["newest"] = max(total["newest"], usage["newest"])
            for name in (*EXACT, *SHARED, "current_kib", "oom_kills"):
                total[name] = total.get(name, 0) + usage[name]
            share = 100 * usage["current_kib"] / usage["limit_kib"] if usage["limit_kib"] else 0.0
            total["share"] = max(total.get("share", 0.0), share)
    return found


def test_every_service_of_the_fleet(run: Run):
    """A row for each service: its hosts, processes, sizes and times are the reader's."""
    around = over_the_fleet(run.before), over_the_fleet(run.after)
    assert {row["service"] for row in run.services} == set(around[0])
    assert len(run.services) == len(SERVICE_OF) + 2
    for row in run.services:
        before, after = (side[row["service"]] for side in around)
        assert (row["hosts"], row["processes"]) == (before["hosts"], before["processes"])
        assert_sizes(row, before, after)
        assert row["pss_per_process_kib"] == row["pss_kib"] // row["processes"]
        for name in ("started", "newest"):
            assert datetime.fromisoformat(row[name]).timestamp() == pytest.approx(before[name], abs=3)


def test_services_in_proportion(run: Run):
    """Charge, limit, the share of each that is used, and kills of each service are the reader's."""
    around = over_the_fleet(run.before), over_the_fleet(run.after)
    [memory] = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
    limits = {path.rpartition("/")[2]: LIMITS[key][1] // 1024 for key, path in SERVICE_OF.items() if key in LIMITS}
    for row in run.services:
        before, after = (side[row["service"]] for side in around)
        ram_kib = row["hosts"] * int(memory.split()[1])
        assert row["ram_share"] == pytest.approx(100 * row["pss_kib"] / ram_kib, abs=0.051)
        assert row["oom_kills"] == 0
        if row["service"] == SSH.rpartition("/")[2]:
            continue  # as above: the sessions that read
        low, high = sorted((before["current_kib"], after["current_kib"]))
        slack_kib = CHARGED_AHEAD_KIB * row["hosts"]
        assert low - slack_kib <= row["cgroup_current_kib"] <= high + slack_kib
        assert row["limit_kib"] == limits.get(row["service"], "-")
        if row["limit_kib"] == "-":
            assert row["limit_share"] == "-"
        else:
            slack = 100 * CHARGED_AHEAD_KIB / row["limit_kib"]
            assert row["limit_share"] == pytest.approx(before["share"], abs=slack + 0.051)


def test_services_alike_in_json_csv_and_html(run: Run):
    """The three files of one run have the same rows."""
    rows = [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in run.services]
    assert list(csv.DictReader(run.csv.splitlines())) == rows
    lines = page_text(run.html).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("service | "))
    heads = lines[first].split(" | ")
    assert sorted(heads) == sorted(name.removesuffix("_kib") for name in rows[0])
    for row, line in zip(rows, lines[first + 1 :], strict=False):
        cells = {name.removesuffix("_kib"): cell for name, cell in row.items()}
        shown = [cell.strip().replace(",", "").removesuffix("%") for cell in line.split("|")]
        assert shown == [cells[head] for head in heads]


def test_hosts_that_are_alike_have_no_finding(fleet: Fleet):
    """Ten of ten runs over everything say nothing: a database is not compared with a cache or a web server."""
    for _ in range(10):
        assert json.loads(fleet.run("--all", "--format", "json"))["findings"] == []


def test_a_service_with_400_mib_more_on_one_host_is_told(fleet: Fleet):
    """With its host, its service, the process that has it, and the command that shows more of it."""
    [host] = (host for host in fleet.hosts if host.name == "app-02")
    # Debian's python, as gunicorn's: another one would rightly be told as drift.
    pid = host.start(
        GUNICORN, "/usr/bin/python3", "-c", "import time; kept = b'x' * (400 << 20); print(1); time.sleep(600)"
    )
    wait_until(lambda: usage_kib(host, GUNICORN) > 400 << 10, "the 400 MiB")
    [finding] = json.loads(fleet.run("--all", "--format", "json"))["findings"]
    assert (finding["kind"], finding["host"], finding["pid"]) == ("outlier", "app-02", pid)
    assert finding["service"] == "gunicorn.service"
    assert finding["value_kib"] - finding["reference_kib"] == pytest.approx(400 << 10, rel=0.05)
    assert f"--pid {pid}" in finding["next"]


def usage_kib(host: RealHost, cgroup: str) -> int:
    """Return what a cgroup is charged."""
    return int((host.memory(cgroup) / "memory.usage_in_bytes").read_text()) // 1024
