r"""Gauges for Prometheus.   report ─► [as_openmetrics] ─► file

OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/), limited to what is also valid in
Prometheus' text format 0.0.4, where UNIT and EOF are comments: node_exporter's textfile collector reads only that.

    # TYPE fleetpmap_pss_bytes gauge
    # UNIT fleetpmap_pss_bytes bytes
    # HELP fleetpmap_pss_bytes Proportional set size: what is shared is divided by its users.
    fleetpmap_pss_bytes{host="web-01"} 21538816

An unknown value has no sample. The labels of a row identify it; the rows that --top leaves out have one label together,
`more="true"`. Behind them, and in every sample of the coverage, stand the labels of the run (--label), so the files of
several runs can stand beside each other. A metric means the same in every view, so that files of several views do not
contradict each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

from fleetpmap.catalogue import OF_A_RUN, REPORTS, SIZES
from fleetpmap.escape import escape
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.snapshot import HOST_STATUSES, PROCESS_STATUSES
from fleetpmap.units import KIB

_LABELS = {report.name: report.labels or report.keys for report in REPORTS if report.labels is not None}
_LABELS["processes"] = ("host", "pid", "name")
"""Label columns by view; for summary, merged and services those of the keys of --by that are there."""
_AT_MOST = "In a sum over processes, shared memory is counted once for each."


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, help text and unit of one gauge."""

    name: str
    help: str
    unit: str = ""


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{
            size.column: Metric(
                f"fleetpmap_{size.name}_bytes",
                f"{size.meaning} {_AT_MOST}" if size.rule == "upper bound" else size.meaning,
                "bytes",
            )
            for size in SIZES
        },
        "pss_per_process_kib": Metric(
            "fleetpmap_pss_per_process_bytes", "Proportional set size, divided by the processes read.", "bytes"
        ),
        "cgroup_current_kib": Metric(
            "fleetpmap_cgroup_current_bytes", "Memory that the kernel charges to the cgroups of the processes.", "bytes"
        ),
        "cgroup_peak_kib": Metric(
            "fleetpmap_cgroup_peak_bytes", "The most that each of these cgroups was charged, added up.", "bytes"
        ),
        "limit_kib": Metric(
            "fleetpmap_cgroup_limit_bytes", "Memory limit that is nearest to being reached; no sample without.", "bytes"
        ),
        "limit_share": Metric("fleetpmap_cgroup_limit_ratio", "The part of this limit that is charged.", "ratio"),
        "ram_share": Metric("fleetpmap_ram_ratio", "The part of the hosts' memory that the processes hold.", "ratio"),
        "oom_kills": Metric("fleetpmap_cgroup_oom_kills", "Processes killed since their cgroup was out of memory."),
        "mem_total_kib": Metric("fleetpmap_mem_total_bytes", "Memory of the host.", "bytes"),
        "mem_available_kib": Metric(
            "fleetpmap_mem_available_bytes", "Memory of the host that programs can have without swapping.", "bytes"
        ),
        "hosts": Metric("fleetpmap_hosts_read", "Hosts on which it is."),
        "processes": Metric("fleetpmap_processes_read", "Processes whose memory is in the sizes."),
        "absent": Metric("fleetpmap_processes_absent", "Processes that matched and were not read."),
        "mappings": Metric("fleetpmap_mappings", "Mappings that were read."),
        "paths": Metric("fleetpmap_paths", "Different paths of these mappings."),
    }
)
"""Columns to metrics; any other column is a label, or left out."""
HOSTS = Metric("fleetpmap_hosts", "Hosts asked, by status.")
PROCESSES = Metric("fleetpmap_processes", "Processes that matched, by status.")
FINDINGS = Metric("fleetpmap_findings", "What stands out, by kind.")


def write_openmetrics(report: Report, file: BinaryIO) -> None:
    """Write a gauge for each size and count of the first table, then the coverage and the number of findings."""
    table = report.tables[0]
    labels = _labels(report, table)
    for column in table.columns:
        if metric := METRICS.get(column.name):
            _write(file, metric, _samples(column, labels))
    of_run = [_label(label.key, escape(label.value)) for label in report.run.labels]

    def counts(key: str, counted: Mapping[str, int], values: Iterable[str]) -> Iterator[tuple[str, int]]:
        # All values, even with 0: an alert on a series that is sometimes missing does not fire.
        return ((",".join([_label(key, value), *of_run]), counted.get(value, 0)) for value in values)

    _write(file, HOSTS, counts("status", report.coverage.hosts, HOST_STATUSES))
    _write(file, PROCESSES, counts("status", report.coverage.processes, PROCESS_STATUSES))
    _write(file, FINDINGS, counts("kind", Counter(finding.kind for finding in report.findings), OF_A_RUN))
    file.write(b"# EOF\n")


def _labels(report: Report, table: Table) -> list[str]:
    """Return the labels of each row, as they are written between the braces: its own, then those of the run."""
    columns = [column.with_texts(escape) for column in table.columns if column.name in _LABELS[report.view]]
    own = {column.name for column in columns}
    of_run = [_label(label.key, escape(label.value)) for label in report.run.labels if label.key not in own]
    texts = [[_label(column.name, cell) for cell in column.cells()] for column in columns]
    labels = [",".join(filter(None, [*row, *of_run])) for row in zip(*texts, strict=True)]
    return [*labels[:-1], ",".join([_label("more", "true"), *of_run])] if table.more else labels


def _label(name: str, value: object) -> str:
    """Format one label; empty if the value is unknown. The value has no line end: it was escaped before."""
    if value is None:
        return ""
    quoted = str(value).replace("\\", r"\\").replace('"', r"\"")
    return f'{name}="{quoted}"'


def _samples(column: Column, labels: Sequence[str]) -> Iterator[tuple[str, int | float]]:
    factor = KIB if column.unit == "KiB" else 1
    for label, cell in zip(labels, column.cells(), strict=True):
        if isinstance(cell, float):
            yield label, round(cell / 100, 3)
        elif isinstance(cell, int):
            yield label, cell * factor


def _write(file: BinaryIO, metric: Metric, samples: Iterable[tuple[str, int | float]]) -> None:
    lines = [f"# TYPE {metric.name} gauge"]
    lines += [f"# UNIT {metric.name} {metric.unit}"] if metric.unit else []
    lines.append(f"# HELP {metric.name} {metric.help}")
    lines += [f"{metric.name}{{{label}}} {value}" for label, value in samples]
    file.write("".join(f"{line}\n" for line in lines).encode())
