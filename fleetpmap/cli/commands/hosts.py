"""fleetpmap hosts.   hosts ─► transport.route ─► [hosts] ─► report"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import deliver
from fleetpmap.cli.inputs import ssh_options_from
from fleetpmap.cli.options import HostOptions, OutputOptions, RunningOptions
from fleetpmap.cli.outputs import output_of
from fleetpmap.cli.pipeline import command_line, fleet_from, refuse_rollup
from fleetpmap.errors import HostError

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.report import Cell, Report
    from fleetpmap.transport import SshOptions

_COLUMNS = ("host", "transport", "address", "port", "user", "via", "sudo", "groups", "note")


def hosts(which: HostOptions, to: OutputOptions, how: RunningOptions) -> int:
    """List the hosts that the options select, and how each would be reached, without contacting any."""
    refuse_rollup(how, "hosts")
    plan = output_of("routes", to)
    report = routes(fleet_from(which, how), ssh_options_from(how), command_line())
    deliver(report, plan, to.color, quiet=how.quiet)
    return 0


def routes(hosts: Sequence[Host], options: SshOptions, command: str) -> Report:
    """Return a report with a row for each host, in order, without contacting any.

    Raises:
        UsageError: ssh rejects its configuration.
    """
    from concurrent.futures import ThreadPoolExecutor

    from fleetpmap.cli.passwords import THREADS
    from fleetpmap.report import Column, Report, Table
    from fleetpmap.snapshot import Coverage, Run

    with ThreadPoolExecutor(THREADS) as threads:
        rows = list(threads.map(_row, hosts, repeat(options)))
    columns = (
        Column(name, "number" if name == "port" else "flag" if name == "sudo" else "text", cells)
        for name, cells in zip(_COLUMNS, zip(*rows, strict=True), strict=True)
    )
    return Report(
        view="routes",
        tables=(Table("rows", tuple(columns), last="note"),),
        notes=(),
        coverage=Coverage(Counter({"not-asked": len(hosts)}), Counter(), ()),
        run=Run(datetime.now().astimezone(), 0.0, command),
    )


def _row(host: Host, options: SshOptions) -> tuple[Cell, ...]:
    from fleetpmap.transport import route

    groups = ",".join(host.groups)
    try:
        way = route(host, options)
    except HostError as error:
        return (host.name, host.transport, None, None, None, "", host.sudo, groups, f"no way: {error.message}")
    address, port, user = (
        (way.settings.hostname, way.settings.port, way.settings.user) if way.settings else (None, None, None)
    )
    return (host.name, way.transport, address, port, user, way.via, host.sudo, groups, way.note)
