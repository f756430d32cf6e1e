"""Save and load a snapshot in one file.   Snapshot ⇄ [parquet] ⇄ FILE.parquet

The rows are the mappings (see frame). The file's key-value metadata hold the rest:

    fleetpmap_kind        snapshot
    fleetpmap_snapshot    JSON: format, version, run, hosts (each with its status, failure, capabilities, …) and
                          columns, which maps the kernel's keys, in order, to the columns
    fleetpmap_processes   every process that matched, in the order of the rows, with `mappings`, the number of its rows:
                          JSON, packed by zlib, in base64
    fleetpmap_cgroups     the memory cgroups of each host, in the order of the hosts, packed alike; a file of a version
                          before it has none
    fleetpmap_groups      the inventory's groups of each host, in the order of the hosts: JSON, null where unknown; a
                          file of a version before it has none
    fleetpmap_shard       JSON: which shard of which run it is; only in the file of a run with --shard
    fleetpmap_fleet       the names of all hosts of that run's fleet, packed alike
    fleetpmap_sha256      checksum of the whole file with zeros in place of it; a file without one is not checked
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fleetpmap.catalogue import MOST_SHARDS
from fleetpmap.collection.rows import Rows
from fleetpmap.errors import UsageError
from fleetpmap.smaps.fields import field_columns
from fleetpmap.snapshot import (
    HOST_STATUSES,
    PROCESS_STATUSES,
    FleetShard,
    HostResult,
    Process,
    Run,
    Snapshot,
    sizes_by_status,
)
from fleetpmap.snapshot_file.frame import mappings_of, needed, to_frame, to_frames, to_table
from fleetpmap.snapshot_file.metadata import from_json, to_json
from fleetpmap.snapshot_file.part import Part, part_of
from fleetpmap.snapshot_file.seal import SEAL, SHA256, UNSEALED, Sealing, checksum_of
from fleetpmap.table import KERNEL_KEYS, concatenate, with_unreadable
from fleetpmap.units import KIB
from fleetpmap.version import __version__
from fleetpmap.wire import CgroupMemory, HostMemory, Pressure, Resident
from fleetpmap.wire.accounting import OOM_SCORES, SIZE_LIMIT

if TYPE_CHECKING:
    import polars

KIND, SNAPSHOT, PROCESSES = "fleetpmap_kind", "fleetpmap_snapshot", "fleetpmap_processes"
CGROUPS, GROUPS = "fleetpmap_cgroups", "fleetpmap_groups"
SHARD, FLEET = "fleetpmap_shard", "fleetpmap_fleet"
FORMAT = 1
"""Version of the format; a change that older programs cannot read adds one."""
_MOST_UNPACKED = 1 << 30
"""Most bytes of the processes' JSON: some millions of processes."""
_HOLES_FROM = 64 << 20
"""Bytes from which on a file may have no holes: a sparse file takes no room on disk and could fill the memory."""
_NOT_OURS = "name a file that --save wrote"
_ONE_VERSION = "use the same version of fleetpmap on both machines"


class OtherVersionError(UsageError):
    """A file that another version of fleetpmap wrote, and this one cannot read."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """A process, and the number of its rows in the table."""

    process: Process
    mappings: int


@dataclass(frozen=True, slots=True)
class _Groups:
    """The cgroups of one host."""

    cgroups: tuple[CgroupMemory, ...] = ()


@dataclass(frozen=True, slots=True)
class _InGroups:
    """The inventory's groups of one host."""

    groups: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The names of all hosts of a run in shards."""

    names: tuple[str, ...]


def write_snapshot(snapshot: Snapshot, file: BinaryIO, rows: Rows | None = None) -> None:
    """Write the snapshot to an open binary file.

    `rows`: those of the run, if the snapshot has only sums of them.

    Raises:
        OSError: the file cannot be written, or the rows could not be put aside.
    """
    from polars.exceptions import PolarsError
    from polars.io.plugins import register_io_source

    if not file.seekable():  # the checksum is written last, and not at the end
        whole = BytesIO()
        write_snapshot(snapshot, whole, rows)
        file.write(whole.getbuffer())
        return
    keys = [*dict.fromkeys(key for host in snapshot.hosts for key in host.keys)] if rows else [*snapshot.table.fields]
    columns = field_columns(keys)
    metadata = _metadata(snapshot, {key: columns[key] for key in keys})
    tables = rows.tables() if rows else [snapshot.table]
    frames = to_frames(snapshot.processes, tables, columns)
    schema = to_frame((), concatenate([]), columns).schema
    sealing = Sealing(file)
    try:
        source = register_io_source(lambda *_: frames, schema=schema)
        source.sink_parquet(sealing, metadata=metadata)  # type: ignore[call-overload]  # it only calls write and flush
    except PolarsError as error:
        raise sealing.error or error from error
    sealing.seal()


def _metadata(snapshot: Snapshot, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the file's metadata, with zeros in place of the checksum; `columns` as there."""
    counts = mappings_of(snapshot.processes, snapshot.table)
    processes = (_Rows(process, count) for process, count in zip(snapshot.processes, counts, strict=True))
    run = to_json(replace(snapshot.run, shard=None))
    about = json.dumps({"format": FORMAT, "version": __version__, "run": run, "columns": columns})
    # As text one by one: the dictionaries of a large fleet take more memory than all else that is written.
    bare = (replace(host, cgroups=(), near=None, groups=None) for host in snapshot.hosts)
    hosts = ", ".join(json.dumps(to_json(host)) for host in bare)
    return {
        KIND: "snapshot",
        SNAPSHOT: f'{about[:-1]}, "hosts": [{hosts}]}}',
        PROCESSES: _packed(processes),
        CGROUPS: _packed(_Groups(host.cgroups) for host in snapshot.hosts),
        GROUPS: json.dumps([host.groups for host in snapshot.hosts]),
        **_of_shard(snapshot.run.shard),
        SHA256: UNSEALED,
    }


def load_snapshot(path: str | Path) -> Snapshot:
    """Load a snapshot from a file. All views of it equal those of the snapshot that was written.

    Raises:
        UsageError: there is no such file; it is damaged, truncated, of another program, a report, or of a newer
            fleetpmap; or its parts do not fit together.
    """
    import polars
    from polars.exceptions import PanicException, PolarsError

    source = _whole(path)
    try:
        metadata = polars.read_parquet_metadata(source)
        source.seek(0)
        return snapshot_of(path, metadata, lambda columns: polars.read_parquet(source, columns=columns))
    except (PolarsError, PanicException) as error:
        raise UsageError(f"{path}: is torn, or not parquet ({_first_line(error)})", hint=_NOT_OURS) from error


def snapshot_of(
    path: str | Path, metadata: Mapping[str, str], frame: Callable[[list[str]], polars.DataFrame]
) -> Snapshot:
    """Build the snapshot from a file's metadata; `frame` returns its rows with the requested columns.

    Raises:
        UsageError: it is of another program, a report, or of a newer fleetpmap; or its parts do not fit together.
        polars.exceptions.PolarsError: the rows cannot be read, or a column is missing.
    """
    try:
        _check_kind(path, metadata)
        about = json.loads(metadata[SNAPSHOT])
        if not isinstance(about, dict) or not isinstance(about.get("columns"), dict):
            raise ValueError("its hosts and columns are missing")
        _check_format(path, about)
        hosts = tuple(from_json(HostResult, host) for host in about["hosts"])
        rows = [from_json(_Rows, entry) for entry in _unpacked(metadata[PROCESSES])]
        processes = tuple(entry.process for entry in rows)
        run = replace(from_json(Run, about["run"]), shard=_shard(metadata))
        _check_order(hosts, processes)
        hosts = _with_groups(_with_cgroups(hosts, metadata), metadata)
        _check_values(hosts, processes, run)
        columns = about["columns"]
        table = to_table(frame(needed(columns)), columns, [entry.mappings for entry in rows])
        return Snapshot(hosts, processes, with_unreadable(table, sizes_by_status(processes)), run)
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError, zlib.error) as error:
        raise _unfit(path, metadata, error) from error


def _of_shard(shard: FleetShard | None) -> dict[str, str]:
    """Return the metadata of a shard; the names of its fleet are packed, since they are the most of it."""
    if shard is None:
        return {}
    about = to_json(replace(shard, fleet=()))
    return {SHARD: json.dumps(about), FLEET: _packed(shard.fleet)}


def _shard(metadata: Mapping[str, str]) -> FleetShard | None:
    if SHARD not in metadata:
        return None
    shard = replace(from_json(FleetShard, json.loads(metadata[SHARD])), fleet=_fleet(metadata[FLEET]))
    if not 1 <= shard.number <= shard.of <= MOST_SHARDS or len({*shard.fleet}) < len(shard.fleet):
        raise ValueError("its shard is none, or a host comes twice in its fleet")
    return shard


@lru_cache(maxsize=4)  # the shards of a run have the same fleet, and so do most runs of a directory
def _fleet(packed: str) -> tuple[str, ...]:
    return from_json(_Fleet, {"names": _unpacked(packed)}).names


def _with_cgroups(hosts: tuple[HostResult, ...], metadata: Mapping[str, str]) -> tuple[HostResult, ...]:
    if CGROUPS not in metadata:
        return hosts
    groups = [from_json(_Groups, entry).cgroups for entry in _unpacked(metadata[CGROUPS])]
    if len(groups) != len(hosts):
        raise ValueError(f"it has the cgroups of {len(groups)} hosts, and {len(hosts)} hosts")
    return tuple(replace(host, cgroups=own) for host, own in zip(hosts, groups, strict=True))


def _with_groups(hosts: tuple[HostResult, ...], metadata: Mapping[str, str]) -> tuple[HostResult, ...]:
    if GROUPS not in metadata:
        return hosts
    entries = json.loads(metadata[GROUPS])
    groups = [from_json(_InGroups, {"groups": entry}).groups for entry in entries]
    return tuple(replace(host, groups=own) for host, own in zip(hosts, groups, strict=True))


def load_part(
    path: str | Path,
    attributes: Sequence[str],
    texts: Sequence[str],
    metric: str,
    keys: Sequence[str] = (),
    *,
    sealed: bool = False,
) -> Part:
    """Load a few attributes of the processes, a few texts of the mappings and one of METRICS, in a tenth of the time.

    `keys`: further keys of the kernel. `sealed`: a file without a checksum is refused, since damage in it could end the
    program.

    Raises:
        UsageError: as `load_snapshot`, as far as what is loaded shows it.
    """
    import polars
    from polars.exceptions import PanicException, PolarsError

    source = _whole(path)
    if sealed and SEAL not in source.getvalue():
        raise UsageError(f"{path}: has no checksum", hint=_NOT_OURS)
    try:
        metadata = polars.read_parquet_metadata(source)
        _check_kind(path, metadata)
        about = json.loads(metadata[SNAPSHOT])
        _check_format(path, about)
        source.seek(0)
        entries = _unpacked(metadata[PROCESSES])
        wanted = (*KERNEL_KEYS.get(metric, ()), *keys)
        columns = {key: name for key in wanted if (name := about["columns"].get(key)) is not None}
        needed = [*texts, *columns.values(), *(() if metric in KERNEL_KEYS else ("start", "end"))]
        part = part_of(about, entries, columns, attributes, texts, polars.read_parquet(source, columns=needed))
        return replace(part, run=replace(part.run, shard=_shard(metadata)))
    except (PolarsError, PanicException) as error:
        raise UsageError(f"{path}: is torn, or not parquet ({_first_line(error)})", hint=_NOT_OURS) from error
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError, zlib.error, AttributeError) as error:
        raise _unfit(path, metadata, error) from error


def _unfit(path: str | Path, metadata: Mapping[str, str], error: Exception) -> UsageError:
    """Return the error for a file whose parts do not fit together, or hold what this version does not know."""
    why = _first_line(error)
    try:
        version = str(json.loads(metadata[SNAPSHOT])["version"])
    except (LookupError, TypeError, ValueError, RecursionError):
        version = __version__
    if version == __version__:
        return UsageError(f"{path}: is not a whole snapshot ({why})", hint=_NOT_OURS)
    message = f"{path}: was written by fleetpmap {version}, and this is {__version__}, which cannot read it ({why})"
    return OtherVersionError(message, hint=_ONE_VERSION)


def _whole(path: str | Path) -> BytesIO:
    content = _read(Path(path))
    place, checksum = checksum_of(content)
    if content[place : place + len(checksum)] != checksum:
        raise UsageError(f"{path}: is damaged: its checksum is wrong", hint="fetch it again from where it was saved")
    return BytesIO(content)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # do not wait for the writer of a pipe
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path}: is no file", hint=_NOT_OURS)
            if status.st_size > _HOLES_FROM and os.lseek(descriptor, 0, os.SEEK_HOLE) < status.st_size:
                raise UsageError(f"{path}: is not whole: it has holes", hint="fetch it again from where it was saved")
            file.seek(0)
            return file.read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint=_NOT_OURS) from error


def _check_kind(path: str | Path, metadata: Mapping[str, str]) -> None:
    kind = metadata.get(KIND)
    if kind == "report":
        report = json.loads(metadata["fleetpmap_report"])
        view = report.get("view") if isinstance(report, dict) else None
        raise UsageError(
            f"{path}: is a report, the view {str(view)[:40]}, which does not hold what the others need",
            hint="save the snapshot itself: fleetpmap run … --save FILE.parquet",
        )
    if kind != "snapshot":
        raise UsageError(f"{path}: is a parquet file of another program", hint=_NOT_OURS)


def _check_format(path: str | Path, about: Mapping[str, Any]) -> None:
    if not isinstance(about["format"], int) or about["format"] < 1:
        raise ValueError(f"there is no format {about['format']}")
    if about["format"] > FORMAT:
        raise OtherVersionError(
            f"{path}: is of format {about['format']}, written by fleetpmap {about['version']}; "
            f"this is {__version__}, which reads up to {FORMAT}",
            hint=_ONE_VERSION,
        )


def _check_order(hosts: tuple[HostResult, ...], processes: tuple[Process, ...]) -> None:
    """Check the order that every report relies on: each host once, and processes in the order of the hosts."""
    names = [host.name for host in hosts]
    order = iter(names)
    if len(set(names)) < len(names):
        raise ValueError("a host comes twice")
    if not all(any(name == host for name in order) for host, _ in groupby(process.host for process in processes)):
        raise ValueError("its processes do not follow the order of its hosts")


def _check_values(hosts: tuple[HostResult, ...], processes: tuple[Process, ...], run: Run) -> None:
    """Check for values that neither a kernel nor a run gives.

    Raises:
        ValueError: the first one.
    """
    statuses = {host.status for host in hosts} | {host.failure.status for host in hosts if host.failure}
    unknown = (statuses - {*HOST_STATUSES}) | ({process.status for process in processes} - {*PROCESS_STATUSES})
    if unknown:
        raise ValueError(f"there is no status {sorted(unknown)[0]}")
    if not all(map(_has_possible_numbers, processes)):
        raise ValueError("a process has a number that no kernel gives")
    if not all(0 <= number < SIZE_LIMIT for host in hosts for number in _numbers(host.memory, *host.cgroups)):
        raise ValueError("a host or cgroup has a number that no kernel gives")
    if not run.has_dates:
        raise ValueError("its run's started and elapsed_s are no time that every time zone has")


def _has_possible_numbers(process: Process) -> bool:
    unsigned = (process.uid or 0, process.start_stack or 0, process.read_s or 0, process.started or 0)
    in_range = 0 <= process.pid < 2**31 and 0 <= process.start_ticks < 2**63 and -1 <= process.rss_kib < 2**53
    has_score = process.oom_score_adj is None or process.oom_score_adj in OOM_SCORES
    sizes = _numbers(process.resident)
    return in_range and min(unsigned) >= 0 and has_score and all(0 <= size <= SIZE_LIMIT // KIB for size in sizes)


def _numbers(*measured: HostMemory | CgroupMemory | Resident | Pressure | None) -> Iterator[float]:
    """Yield every number in these."""
    for values in measured:
        for value in () if values is None else (getattr(values, field.name) for field in fields(values)):
            if isinstance(value, Pressure):
                yield from _numbers(value)
            elif isinstance(value, int | float):
                yield value


def _packed(values: Iterable[object]) -> str:
    """Pack a list; its JSON is never there as a whole."""
    packer = zlib.compressobj()
    packed, size, before = [], 0, b"["
    for value in values:
        text = before + json.dumps(to_json(value), separators=(",", ":")).encode()
        packed.append(packer.compress(text))
        size, before = size + len(text), b","
    if size > _MOST_UNPACKED:
        raise UsageError(
            "--save: more processes than a snapshot holds",
            hint="select fewer processes, or save each group of hosts by itself",
        )
    packed += [packer.compress(b"]" if size else b"[]"), packer.flush()]
    return b64encode(b"".join(packed)).decode()


def _unpacked(text: str) -> list[Any]:
    unpack = zlib.decompressobj()
    unpacked = unpack.decompress(b64decode(text, validate=True), _MOST_UNPACKED)
    if not unpack.eof:
        raise ValueError("its processes, cgroups or hosts are cut off, or too many")
    processes = json.loads(unpacked)
    if not isinstance(processes, list):
        raise ValueError("its processes, cgroups or hosts are no list")
    return processes


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
