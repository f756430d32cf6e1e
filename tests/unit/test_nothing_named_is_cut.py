"""What a terminal has no room for is never a row or a column that a finding names."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from charged import cgroup, of, with_memory
from fleetpmap.render import table
from fleetpmap.report import VIEWS, ViewOptions
from fleetpmap.report.finding import rows_named, told
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.snapshot import Snapshot
from snapshots import ProcessWithMappings, host, mapping, process, snapshot

MIB = 1024
WIDTHS = (60, 80, 100, 120)


def _app(number: int, extra: dict[int, int], mappings: int) -> ProcessWithMappings:
    """A process with so many files of 100 to 160 MiB; of some it holds so many MiB more."""
    held = {n: (100 + n % 60 + extra.get(n, 0)) * MIB + 7 * number for n in range(mappings)}
    files = (
        mapping(f"/srv/data/{n:02}.db", start=n << 32, size=kib, Rss=kib, Pss=kib, Private_Dirty=kib, Private_Clean=0)
        for n, kib in held.items()
    )
    one = process(900 + number, "app", *files)
    return replace(one, process=replace(one.process, service="app.service", unit="app.service"))


def _fleet(hosts: int, leaks: dict[int, dict[int, int]], mappings: int = 40) -> Snapshot:
    """So many hosts; `leaks`: MiB that a mapping of a host has more, by host and mapping."""
    return snapshot(*(host(f"web-{n:02}", _app(n, leaks.get(n, {}), mappings)) for n in range(1, hosts + 1)))


FLEETS = {
    "12 hosts": _fleet(12, {11: {3: 400}}),
    "40 hosts": _fleet(40, {37: {3: 400}}),
    # The spread of the others is larger, and rows are in the order of their spread.
    "more mappings than rows": _fleet(
        12, {5: {30: 150}, 8: {31: 160}, 11: dict.fromkeys(range(25), 100), 12: dict.fromkeys(range(25), -90)}
    ),
    "more outliers than columns": _fleet(90, {n: {n % 40: 100 + 3 * n} for n in range(60, 90)}),
}


def _screen(fleet: Snapshot, view: str, width: int, **options) -> tuple[tuple, list[str]]:
    """Return the findings that are told, and the lines below them."""
    found = standing_out(fleet)
    kept = rows_named(told(found)[0])
    report = VIEWS[view](fleet, ViewOptions(services=True, kept=kept, **options))
    report = with_findings(report, partial(standing_out, fleet))
    console = Console(width=width, soft_wrap=True, color_system=None)
    with console.capture() as drawn:
        console.print(table(report))
    lines = drawn.get().partition("\n\n")[2].splitlines()
    assert max(map(len, lines)) <= width
    return told(report.findings)[0], lines


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FLEETS)
def test_hosts_and_mappings_of_findings_have_their_column_and_row_in_compare(name: str, width: int):
    """At any number of hosts; the hosts that are alike share a column, or have none."""
    findings, lines = _screen(FLEETS[name], "compare", width)
    headings = [line.split() for line in lines if line.startswith("mapping ")]
    assert findings
    for finding in findings:
        assert any(finding.host in heading for heading in headings)
        assert any(line.startswith(f"{finding.mapping} ") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FLEETS)
def test_a_summary_has_the_rows_of_findings(name: str, width: int):
    """Hosts, services and mappings, however small beside the others."""
    findings, lines = _screen(FLEETS[name], "summary", width)
    assert findings
    for finding in findings:
        assert any(line.startswith(f"{finding.host} ") for line in lines)
        assert any(line.startswith(f"{finding.service} ") for line in lines)
        assert any(line.endswith(f"  {finding.mapping}") for line in lines)
        assert sum(line.startswith("host ") for line in lines) == 1


def test_a_finding_keeps_its_own_rows_and_no_others():
    """By host and mapping it names one row: neither all of the host nor all of the mapping."""
    findings, lines = _screen(FLEETS["12 hosts"], "summary", 100, by=("host", "mapping"))
    (finding,) = findings
    rows = [line for line in lines if line.endswith(".db")]
    assert len(rows) == 20
    assert [line for line in rows if line.split()[-2:] == [finding.host, finding.mapping]]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_columns_of_a_limit_are_shown(width: int):
    """Its share and the kills, beside the PSS: if they do not fit side by side, the table continues below itself."""
    long = "user@1000/app-org.example.Shop.service"
    one = host("web-01", of(long, process(7, "shop", mapping(Rss=9_000_000, Pss=9_000_000)), cgroup="/s", started=1e9))
    charge = cgroup("/s", current=9_500_000, peak=9_900_000, limit=10_000_000, oom=1, oom_kills=1)
    findings, lines = _screen(snapshot(with_memory(one, charge, total=64_000_000)), "services", width)
    assert [finding.kind for finding in findings] == ["limit"]
    headings = [line.split() for line in lines if line.startswith("service ")]
    assert {"pss", "limit_share", "oom_kills"} <= {name for heading in headings for name in heading}
