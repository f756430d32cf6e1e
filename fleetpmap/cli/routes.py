"""How each host would be reached, as a report.   hosts ─► transport.route ─► [routes] ─► Report"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from fleetpmap.inventory import Host
from fleetpmap.report import Cell, Column, Report, Table
from fleetpmap.snapshot import Coverage, Run
from fleetpmap.transport import SshOptions, route

_COLUMNS = ("host", "transport", "address", "port", "user", "sudo", "groups", "note")


def routes(hosts: Sequence[Host], options: SshOptions, command: str) -> Report:
    """A row for each host, in order; contacts nobody.

    Raises:
        UsageError: ssh does not accept its configuration.
        HostError: ssh does not accept a name.
    """
    rows = [_row(host, options) for host in hosts]
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
    way = route(host, options)
    address, port, user = (
        (way.settings.hostname, way.settings.port, way.settings.user) if way.settings else (None, None, None)
    )
    return (host.name, way.transport, address, port, user, host.sudo, ",".join(host.groups), way.note)
