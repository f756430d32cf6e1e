"""How each host would be reached, as a report.   hosts ─► transport.route ─► [routes] ─► Report"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import repeat

from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.report import Cell, Column, Report, Table
from fleetpmap.snapshot import Coverage, Run
from fleetpmap.transport import SshOptions, route

_COLUMNS = ("host", "transport", "address", "port", "user", "via", "sudo", "groups", "note")
_AT_ONCE = 8
"""Hosts that ssh is asked for at once, where ssh_config tells them apart."""


def routes(hosts: Sequence[Host], options: SshOptions, command: str) -> Report:
    """A row for each host, in order; contacts nobody.

    Raises:
        UsageError: ssh does not accept its configuration.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
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
    groups = ",".join(host.groups)
    try:
        way = route(host, options)
    except HostError as error:
        return (host.name, host.transport, None, None, None, "", host.sudo, groups, f"no way: {error.message}")
    address, port, user = (
        (way.settings.hostname, way.settings.port, way.settings.user) if way.settings else (None, None, None)
    )
    return (host.name, way.transport, address, port, user, way.via, host.sudo, groups, way.note)
