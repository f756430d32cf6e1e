"""The manifest of a capture: facts that its files do not hold.   writer ─► [manifest] ⇄ manifest.json ─► loader

    {"fleetpmap": {"capture": 1, "version": "0.3.0"},
     "run": {"started", "elapsed_s", "command", "ended", "rollups", "machines_once"},
     "coverage": {"hosts": {STATUS: n…}, "processes": {STATUS: n…}},
     "rebuilt": {FILE: the part of it that differs from the file in /proc},
     "hosts": [{"name", "directory", "status", "failure", "capabilities", "sudo", "local", "notes", "said",
                "read_s", "groups",
                "processes": [{"pid", "status", "reason", "uid", "user", "left_out", "reading": {…}}],
                "files": {PATH: SHA256}}]}

A manifest may be hostile: the type of every value is checked, and no path in it is ever opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from fleetpmap.capture.tree import directory_of, is_known
from fleetpmap.escape import is_from_bytes
from fleetpmap.snapshot import HOST_STATUSES, PROCESS_STATUSES, HostFailure, Run, Snapshot
from fleetpmap.version import __version__
from fleetpmap.wire import Capabilities, ProcessReading
from fleetpmap.wire.replies import PAGE_SIZES

FORMAT = 1
"""Version of the format; a manifest of any other is refused."""
REBUILT = {
    "stat": "of a process that was read it is that of after the reading, with the name of before; if its main thread"
    " has ended, the state and memory are those of another thread",
    "status": "of a process that was not to be read, only the Uid line; if the main thread has ended, that of another"
    " thread",
    "cmdline": "an argument that no NUL closes has one now",
    "cgroup": "of a process that was read it is that of after the reading",
    "sys/kernel/osrelease": "without the line's other words, if it had any",
    "meminfo": "only these lines were read, without the unit",
    "pressure/memory": "without the totals",
    "container-names": "what was found in the configurations of docker, podman, containerd and cri-o: FILE:TEXT",
    "sys/fs/cgroup": "only the memory files of the cgroups of these processes were read, and of their ancestors the"
    " limit",
}

_SHA256 = re.compile("[0-9a-f]{64}")
_NOT_FACTS = frozenset(
    {"pid", "status", "start", "stop", "rollup", "uid", "arguments", "name"}
    | {"cgroups", "memory_cgroup", "oom_score_adj", "resident"}
)
"""Fields of a ProcessReading that stand elsewhere in the manifest, or come from the files."""
_LARGEST = 1 << 64

T = TypeVar("T")


class ManifestError(Exception):
    """A text that is not a valid manifest; the message gives place and fault."""


@dataclass(frozen=True, slots=True)
class KeptProcess:
    """One process that matched."""

    pid: int
    status: str
    reason: str
    uid: int | None
    user: str | None
    left_out: bool
    """True if it was skipped before the read phase, by the guard or as a zombie."""
    reading: Mapping[str, Any]
    """The fields of its ProcessReading that stand nowhere else in the capture."""


@dataclass(frozen=True, slots=True)
class KeptHost:
    """One host of the run."""

    name: str
    directory: str
    status: str
    failure: HostFailure | None
    capabilities: Capabilities | None
    """None if the host failed."""
    sudo: bool
    local: bool
    notes: tuple[str, ...]
    said: str
    processes: tuple[KeptProcess, ...]
    """The processes read, in the order read, then the skipped ones."""
    files: Mapping[str, str]
    """SHA-256 by path below `directory`."""
    read_s: float | None = None
    """Seconds that reading took on the host; None if it read nothing, or has no uptime."""
    groups: tuple[str, ...] | None = None
    """Its groups in the inventory; None in a capture of a version that did not keep them."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole manifest."""

    run: Run
    rollups: bool
    """True if smaps_rollup was read for the self-check."""
    machines_once: bool
    """True if a machine with several names was counted once."""
    hosts: tuple[KeptHost, ...]


def facts_of(reading: ProcessReading) -> dict[str, Any]:
    """Return the fields of a process's reading that the manifest stores."""
    return {field.name: getattr(reading, field.name) for field in fields(reading) if field.name not in _NOT_FACTS}


def dump(manifest: Manifest, snapshot: Snapshot) -> bytes:
    """Return the text of manifest.json; `snapshot` is the result of the run, for the coverage."""
    run, coverage = manifest.run, snapshot.coverage
    document = {
        "fleetpmap": {"capture": FORMAT, "version": __version__},
        "run": {
            "started": run.started.isoformat(),
            "elapsed_s": run.elapsed_s,
            "command": run.command,
            "ended": run.ended,
            "rollups": manifest.rollups,
            "machines_once": manifest.machines_once,
        },
        "coverage": {"hosts": coverage.hosts, "processes": coverage.processes},
        "rebuilt": REBUILT,
        "hosts": [asdict(host) for host in manifest.hosts],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def parse(text: bytes) -> Manifest:
    """Parse and check the text of manifest.json.

    Raises:
        ManifestError: it is not a valid manifest, or of an unknown version.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"the manifest is not JSON ({str(error).partition(';')[0]})") from error
    head = _value(document, "fleetpmap", dict, "the manifest")
    version = _value(head, "capture", int, "the manifest")
    if version != FORMAT:
        raise ManifestError(f"a capture of version {version}, and this program knows only version {FORMAT}")
    run = _value(document, "run", dict, "the manifest")
    hosts = tuple(
        _host(entry, f"host {place}") for place, entry in enumerate(_value(document, "hosts", list, "the run"), 1)
    )
    if len({host.name for host in hosts}) < len(hosts):
        raise ManifestError("the manifest names a host twice")
    return Manifest(
        _run(run), _value(run, "rollups", bool, "the run"), _value(run, "machines_once", bool, "the run"), hosts
    )


def _run(run: dict[str, Any]) -> Run:
    elapsed = float(_value(run, "elapsed_s", float | int, "the run"))
    try:
        started = datetime.fromisoformat(_value(run, "started", str, "the run"))
    except ValueError as error:
        raise ManifestError(f"the run's started is no time ({error})") from error
    if started.tzinfo is None:
        raise ManifestError("the run's started has no time zone")
    ended = _one_of(run, "ended", get_args(_hints(Run)["ended"]), "the run")
    made = Run(started, elapsed, _value(run, "command", str, "the run"), ended)  # type: ignore[arg-type]  # one of them
    if not made.has_dates:
        raise ManifestError("the run's started and elapsed_s are no time that every time zone has")
    return made


def _host(entry: object, where: str) -> KeptHost:
    name = _value(entry, "name", str, where)
    if not name or _value(entry, "directory", str, name) != directory_of(name):
        raise ManifestError(f'{name or where}: its directory cannot be "{_value(entry, "directory", str, name)[:60]}"')
    failure, can = _value(entry, "failure", dict | None, name), _value(entry, "capabilities", dict | None, name)
    if (failure is None) == (can is None):
        raise ManifestError(f"{name}: it either failed or has capabilities")
    return KeptHost(
        name,
        directory_of(name),
        _one_of(entry, "status", HOST_STATUSES, name),
        None if failure is None else _failure(failure, name),
        None if can is None else _capabilities(can, name),
        sudo=_value(entry, "sudo", bool, name),
        local=_value(entry, "local", bool, name),
        notes=tuple(_texts(entry, "notes", name)),
        said=_value(entry, "said", str, name),
        processes=_processes(_value(entry, "processes", list, name), name),
        files=_files(_value(entry, "files", dict, name), name),
        read_s=_value(entry, "read_s", float | int | None, name),
        groups=_groups(entry, name),
    )


def _groups(entry: object, host: str) -> tuple[str, ...] | None:
    is_kept = isinstance(entry, dict) and entry.get("groups") is not None
    return tuple(_texts(entry, "groups", host)) if is_kept else None


def _failure(values: dict[str, Any], host: str) -> HostFailure:
    failure = _built(HostFailure, values, host)
    if failure.host != host or failure.status not in HOST_STATUSES:
        raise ManifestError(f"{host}: its failure is another host's, or of no known status")
    return failure


def _capabilities(values: dict[str, Any], host: str) -> Capabilities:
    can = _built(Capabilities, values, host)
    if can.page_size not in PAGE_SIZES:
        raise ManifestError(f"{host}: a page size of {can.page_size}")
    return can


def _files(digests: dict[str, Any], host: str) -> dict[str, str]:
    for path, digest in digests.items():
        if not is_known(path):
            raise ManifestError(f'{host}: "{path[:60]}" is not the path of a file of a capture')
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ManifestError(f"{host}: {path} has no SHA-256")
    return digests


def _processes(entries: list[object], host: str) -> tuple[KeptProcess, ...]:
    processes = tuple(_process(entry, host) for entry in entries)
    if len({process.pid for process in processes}) < len(processes):
        raise ManifestError(f"{host}: a process is there twice")
    return processes


def _process(entry: object, host: str) -> KeptProcess:
    process = _built(KeptProcess, _checked(entry, dict, f"{host}: a process"), host)
    if process.status not in PROCESS_STATUSES:
        raise ManifestError(f'{host}: process {process.pid} has no status "{process.status[:40]}"')
    hints = _hints(ProcessReading)
    for name, value in process.reading.items():
        if name not in hints or name in _NOT_FACTS:
            raise ManifestError(f'{host}: this version does not know "{name[:40]}" of process {process.pid}')
        _checked(value, hints[name], f"{host}: {name} of process {process.pid}")
    return process


def _built(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from a JSON object with a key for each field; fields with a default may be missing."""
    hints = _hints(kind)  # type: ignore[arg-type]  # mypy assumes that a type[T] cannot be hashed
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # every caller passes a dataclass
    unknown = next((name for name in values if name not in known), None)
    if unknown is not None:  # not `if unknown`: the key may be empty
        raise ManifestError(f'{where}: this version does not know "{unknown[:40]}"')
    needed = [name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING]
    if missing := next((name for name in needed if name not in values), None):
        raise ManifestError(f'{where}: "{missing}" is missing')
    return kind(**{name: _checked(value, hints[name], f"{where}: {name}") for name, value in values.items()})


@cache  # a manifest has a thousand processes, and reading hints takes time
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _one_of(entry: object, key: str, allowed: tuple[str, ...], where: str) -> str:
    text = _value(entry, key, str, where)
    if text not in allowed:
        raise ManifestError(f'{where}: there is no {key} "{text[:40]}"')
    return str(text)


def _texts(entry: object, key: str, where: str) -> list[str]:
    return [_checked(text, str, f"{where}: {key}") for text in _value(entry, key, list, where)]


def _value(entry: object, key: str, kind: Any, where: str) -> Any:
    if not isinstance(entry, dict):
        raise ManifestError(f"{where} is not an object")
    if key not in entry:
        raise ManifestError(f'{where}: "{key}" is missing')
    return _checked(entry[key], kind, f"{where}: {key}")


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return the value if it has this type. Numbers must be from 0 to 2**64 - 1, so that they fit into a column."""
    wanted = dict if getattr(kind, "__origin__", None) is not None else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ManifestError(f"{where} is not what it should be")
    if isinstance(value, str) and not is_from_bytes(value):
        raise ManifestError(f"{where} is no text")
    if isinstance(value, int | float) and not 0 <= value < _LARGEST:
        raise ManifestError(f"{where} is out of range")
    return value
