"""ps: the processes that match, with the status that a run would give each."""

from __future__ import annotations

from dataclasses import replace

from fleetpmap.render import plain
from fleetpmap.report import Shape, ps
from snapshots import ProcessWithMappings, expected, failed, host, process, snapshot


def belonging(one: ProcessWithMappings, **fields: object) -> ProcessWithMappings:
    """The process with these fields: its unit, container, start …"""
    return ProcessWithMappings(replace(one.process, **fields), one.mappings)


NGINX = belonging(
    process(812, "nginx", rss_kib=5312, arguments=("nginx: worker process",)),
    service="nginx.service",
    unit="nginx.service",
    started=1_700_000_000.5,
)
API = belonging(
    process(977, "python3", rss_kib=20_000, status="denied", reason="run with --sudo to read it"),
    service="shop/api",
    container="containerd:api",
    pod="shop/api-7d9",
)
CONTENT = belonging(
    process(913, "Web Content", rss_kib=70412, user=None, uid=1000), service="Web Content", started=1_700_000_001.0
)


def test_a_row_per_process():
    """RSS comes from the listing; the total is an upper bound."""
    report = ps(snapshot(host("web-01", NGINX, API), host("web-02", CONTENT), host("db-01")))
    text = plain(report)
    assert text == expected("ps.txt", text)
    assert (report.tables[0].columns[4].rule, report.tables[0].columns[4].total) == ("upper bound", 95724)


def test_what_a_run_would_leave_out():
    """The same sentence as in a run, with the reason and the remedy."""
    assert ps(snapshot(host("web-01", NGINX, API))).notes == (
        "run reads only RSS and swap of 1 denied process: 977 on web-01 (run with --sudo to read it)",
    )


def test_a_terminal_shows_what_is_there():
    """No column of containers where there are none, and no unit beside the service; --columns shows what it names."""
    fleet = snapshot(host("web-01", NGINX), host("web-02", CONTENT))
    brief = ps(fleet).brief
    assert brief
    assert [column.name for column in brief.tables[0].columns[7:]] == ["service", "started"]
    assert ps(fleet, Shape(columns=("pid", "unit"))).brief is None
    with_api = ps(snapshot(host("web-01", API))).brief
    assert with_api
    assert [column.name for column in with_api.tables[0].columns[7:]] == ["service", "container", "pod"]


def test_total_of_nothing_and_of_nobody():
    """Zero where no process matched, unknown where no host answered."""
    totals = [ps(snapshot(one)).tables[0].column("rss_kib").total for one in (host("a"), failed("b", "dns", "b: no"))]
    assert totals == [0, None]
