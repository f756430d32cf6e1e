"""All reports of two snapshots, compared byte for byte.   [same_reports] ─► tests of files and of shards"""

from __future__ import annotations

import io
from collections.abc import Iterator

from fleetpmap.export import EXPORTERS
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, Report, ViewOptions, page
from fleetpmap.snapshot import Snapshot


def assert_same(fleet: Snapshot, again: Snapshot) -> None:
    """Fail a test whose second snapshot is not the first, or has another report of any view in any format."""
    assert (again.hosts, again.processes, again.run) == (fleet.hosts, fleet.processes, fleet.run)
    for (view, format_, before), (_, _, after) in zip(_reports(fleet), _reports(again), strict=True):
        assert after == before, f"{view} as {format_}"


def _reports(fleet: Snapshot) -> Iterator[tuple[str, str, bytes]]:
    """Yield every view in every format that holds it; html once, as each page has the other views too."""
    for name, view in VIEWS.items():
        report = view(fleet, ViewOptions())
        yield name, "plain", plain(report).encode("utf-8", "surrogateescape")
        for format_, exporter in EXPORTERS.items():
            if format_ != "html" and (not exporter.format.holds or name in exporter.format.holds):
                yield name, format_, _written(format_, report)
    yield "summary", "html", _written("html", page(VIEWS["summary"], fleet, ViewOptions()))


def _written(format_: str, report: Report) -> bytes:
    file = io.BytesIO()
    EXPORTERS[format_].write(report, file)
    return file.getvalue()
