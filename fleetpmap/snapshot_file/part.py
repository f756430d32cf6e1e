"""A part of a run: what a trend over many runs needs of each.   parquet ─► [part] ─► history

Checking every attribute of every process takes most of the time of loading a snapshot. A part has only the attributes
that it is asked for, as one list each, and checks each list as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from fleetpmap.errors import UsageError
from fleetpmap.escape import is_from_bytes
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import HOST_STATUSES, PROCESS_STATUSES, Process, Run
from fleetpmap.snapshot_file.frame import to_part
from fleetpmap.snapshot_file.metadata import from_json
from fleetpmap.snapshot_file.rounds import are_of_one_run
from fleetpmap.table import MappingTable, concatenate

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one stored run."""

    run: Run
    hosts: Mapping[str, str]
    """Status of each host asked."""
    boots: Mapping[str, str]
    """Id of the boot of each host that told one."""
    processes: Mapping[str, list[Any]]
    """The attributes asked for: a value for each process, in the order of the rows."""
    table: MappingTable
    """The texts and fields asked for; its other columns have no rows."""

    def whole_table(self) -> MappingTable:
        """Return the table with all columns: those that were not asked for are null or 0."""
        table, rows = self.table, len(self.table)
        lacking = {each.name: getattr(table, each.name) for each in fields(table) if each.name != "fields"}
        lacking = {name: column for name, column in lacking.items() if len(_values_of(column)) < rows}
        nulls = np.broadcast_to(np.int32(NULL), rows)
        filled: dict[str, Any] = {
            name: Coded(nulls, ()) if isinstance(column, Coded) else np.broadcast_to(column.dtype.type(0), rows)
            for name, column in lacking.items()
        }
        filled["mappings"] = np.broadcast_to(np.int64(1), rows)
        return replace(table, **filled)


def part_of(
    about: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    attributes: Sequence[str],
    texts: Sequence[str],
    frame: polars.DataFrame,
) -> Part:
    """Check the parts of a file and put them together; `columns` maps the kernel's keys to the columns of `frame`.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: a part is missing, or of another type than it has to be.
        polars.exceptions.PolarsError: a column is missing.
    """
    run = from_json(Run, about["run"])
    hosts = dict(zip(_texts(about["hosts"], "name"), _texts(about["hosts"], "status"), strict=True))
    processes = [entry["process"] for entry in entries]
    values = {name: _values(processes, name) for name in attributes}
    statuses = {*hosts.values()} - {*HOST_STATUSES} | {*values.get("status", ())} - {*PROCESS_STATUSES}
    if statuses or not run.has_dates or len(hosts) < len(about["hosts"]):
        raise ValueError("it has a status that there is not, a time that no calendar has, or a host twice")
    counts = [entry["mappings"] for entry in entries]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("its numbers of mappings are none")
    boots = {entry["name"]: _boot_of(entry) for entry in about["hosts"]}
    known = {name: boot for name, boot in boots.items() if boot}
    return Part(run, hosts, known, values, to_part(frame, columns, counts, texts))


def _boot_of(entry: Mapping[str, Any]) -> str:
    boot = (entry.get("capabilities") or {}).get("boot_id") or ""
    if not isinstance(boot, str):
        raise ValueError("the boot of a host is no text")
    return boot


def _values_of(column: Coded | NDArray[Any]) -> NDArray[Any]:
    return column.codes if isinstance(column, Coded) else column


def joined(parts: Sequence[Part], path: Path) -> Part:
    """Join the parts of the shards of one run. A host of the fleet that none of them asked is `not-asked`.

    Raises:
        UsageError: they are not the shards of one run, each once, or have a host in common; `path` is named for it.
    """
    first = parts[0]
    hosts_once = len({name for part in parts for name in part.hosts}) == sum(len(part.hosts) for part in parts)
    if not hosts_once or not are_of_one_run([part.run.shard for part in parts]):
        raise UsageError(
            f"{path}: is not a shard of the run that its name tells",
            hint=f"move it away: the other runs of {path.parent} are as they were",
        )
    run = replace(first.run, started=min(part.run.started for part in parts))
    hosts = {name: status for part in parts for name, status in part.hosts.items()}
    asked = dict.fromkeys(run.shard.fleet if run.shard else (), "not-asked") | hosts
    processes = {name: [value for part in parts for value in part.processes[name]] for name in first.processes}
    bases = np.cumsum([0, *(len(next(iter(part.processes.values()))) for part in parts)]).tolist()
    tables = ((part.whole_table(), base) for part, base in zip(parts, bases, strict=False))
    boots = {name: boot for part in parts for name, boot in part.boots.items()}
    return replace(first, run=run, hosts=asked, boots=boots, processes=processes, table=concatenate(tables))


def _texts(entries: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    values = [entry[name] for entry in entries]
    if {*map(type, values)} - {str} or not all(map(is_from_bytes, {*values})):
        raise ValueError(f"the {name} of a host is no text")
    return values


def _values(processes: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    kinds, default = _attribute(name)
    values = [process.get(name, default) for process in processes]
    if not {*map(type, values)} <= kinds or not all(is_from_bytes(text) for text in {*values} if type(text) is str):
        raise ValueError(f"a process has no {name} that can be")
    return values


@cache
def _attribute(name: str) -> tuple[frozenset[type], Any]:
    """Return the types that an attribute of a process may have, and its default."""
    hint = get_type_hints(Process)[name]
    default = Process.__dataclass_fields__[name].default
    return frozenset(get_args(hint) or (hint,)), default
