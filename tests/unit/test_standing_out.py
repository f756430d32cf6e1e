"""What stands out in a run, unasked."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from fleet_of_forty import LEAKING, forty_hosts
from fleet_of_twenty import twenty_hosts
from fleetpmap.export import EXPORTERS
from fleetpmap.render import table
from fleetpmap.report import VIEWS, Report, ViewOptions, compare
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot

MIB = 1024
LEAK = 400 * MIB


def _report(fleet: Snapshot, view: str = "summary", **options) -> Report:
    shown = VIEWS[view](fleet, ViewOptions(services=True, **options))
    return with_findings(shown, partial(standing_out, fleet))


def _screen(report: Report, width: int = 80) -> list[str]:
    console = Console(width=width, soft_wrap=True, color_system=None)
    with console.capture() as drawn:
        console.print(table(report))
    return drawn.get().splitlines()


def test_a_leak_is_said_on_the_first_screen():
    """Of forty hosts of four services, the one with 400 MB more: with its process and the next command."""
    first = _screen(_report(forty_hosts(0, LEAK)))[:24]
    said = " ".join(line.strip() for line in first)
    assert f"gunicorn.service on {LEAKING} (pid 8961): [anon] " in said
    assert f"fleetpmap run -H {LEAKING} --pid 8961 --view mappings" in said


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_is_the_only_finding(seed: int):
    """Nothing is said of databases being databases."""
    (finding,) = standing_out(forty_hosts(seed, LEAK))
    assert (finding.kind, finding.host, finding.service) == ("outlier", LEAKING, "gunicorn.service")
    assert (finding.pid, finding.mapping, finding.metric) == (8961, "[anon]", "pss_kib")
    assert (finding.value_kib or 0) - (finding.reference_kib or 0) > 300 * MIB


@pytest.mark.parametrize("seed", range(10))
def test_ordinary_noise_is_no_finding(seed: int):
    """Other numbers of workers, connections and data, and names that no other host has."""
    assert standing_out(forty_hosts(seed)) == ()
