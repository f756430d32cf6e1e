"""Saved snapshots: the three documents in a parquet file's metadata, and rows that do not go with them.

An input is the json of all documents in one object; every second one has odd values instead of other bytes. The rows
are a frame in memory. One input in 128 has the documents as they were and an odd frame: a column is missing, of
another type, has nulls, or values that no kernel prints. Of the documents that fit together one in sixteen is made a
snapshot and shown in two views, since polars takes a millisecond for each column. The bytes of whole files are another
matter, for the parquet reader may abort: see fuzz_parquet.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # for five rows, others only cost
import polars as pl
from polars.exceptions import PolarsError

from fleetpmap.errors import UsageError
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, ViewOptions
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.snapshot_file import write_snapshot
from fleetpmap.snapshot_file.parquet import CGROUPS, KIND, PROCESSES, SNAPSHOT, snapshot_of
from fleetpmap.wire import CgroupMemory, HostMemory, Pressure, Resident
from odd_json import with_odd_values
from snapshots import failed, host, mapping, process, snapshot

_PRESSURE = Pressure(1.0, 0.5, 0.0, 0.25, 0.0, 0.0)
_GROUP = CgroupMemory("/a.slice/x.service", 12, 16, 32, False, "/a.slice", 24, 0, None, 8, 4, pressure=_PRESSURE, oom=1)
_OF_A_PROCESS = {
    "unit": "x.service",
    "container": "docker:x",
    "service": "x.service",
    "cgroup": _GROUP.path,
    "started": 1764434123.25,
    "oom_score_adj": -1000,
    "resident": Resident(7, 4, 3, 0, 0, 9),
}


def _of_services(one: HostSnapshot) -> HostSnapshot:
    processes = tuple(replace(each, **_OF_A_PROCESS) for each in one.processes)
    return replace(one, processes=processes, memory=HostMemory(64, 32, 0, 0, _PRESSURE), cgroups=(_GROUP,))


_X = process(1, "x", mapping("/lib/x.so", perms="r-xp", flags="rd ex", Rss=7, Pss=5), start_stack=3)
_FLEET = snapshot(
    _of_services(host("a", _X)),
    host("b", process(9, "z", status="denied")),
    failed("c", "auth", "c: cannot log in"),
)


def _parts() -> tuple[bytes, pl.DataFrame]:
    file = io.BytesIO()
    write_snapshot(_FLEET, file)
    file.seek(0)
    metadata = pl.read_parquet_metadata(file)
    about = json.loads(metadata[SNAPSHOT])
    processes, groups = (json.loads(zlib.decompress(b64decode(metadata[key]))) for key in (PROCESSES, CGROUPS))
    file.seek(0)
    return json.dumps({"about": about, "processes": processes, "groups": groups}).encode(), pl.read_parquet(file)


_SEED, _ROWS = _parts()
SEEDS = (_SEED,)
_DOCUMENTS = json.loads(_SEED)
WORDS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b'"',
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e308",
    b"\\ud800",
    b"\\u0000",
    b'"host"',
    b'"rss_kib"',
    b'"vm_flags"',
    b'"start"',
    b'"a"',
    b'"mappings": 2',
    b'"mappings": -1',
    b'"format": 2',
    b"9999-12-31T23:59:59+00:00",
    b"0001-01-01T00:00:00+14:00",
    b'"zombie"',
    b'"checks"',
    b'"verdicts"',
    b'"resident"',
    b'"cgroups"',
    b'"pressure"',
    b'"limit_kib"',
)

_COLUMNS = (
    "start",
    "end",
    "perms",
    "offset",
    "device",
    "inode",
    "mapping",
    "path",
    "deleted",
    "kind",
    "rss_kib",
    "vm_flags",
)
_VALUES = (
    pl.lit(None, pl.UInt64),
    pl.lit(None, pl.String),
    pl.lit(None, pl.Null),
    pl.lit(2**64 - 1, pl.UInt64),
    pl.lit(2**63 - 1, pl.Int64),
    pl.lit(-1, pl.Int64),
    pl.lit(float("nan"), pl.Float64),
    pl.lit(True, pl.Boolean),
    pl.lit("", pl.String),
    pl.lit("rwxp", pl.String),
    pl.lit("\\Uffffffff \\xff\x1b[31m\n", pl.String),
    pl.lit(b"\xff", pl.Binary),
    pl.lit([1, 2], pl.List(pl.Int64)),
    pl.lit("é" * 1000, pl.Categorical),
)
_ODD = (
    *(_ROWS.drop(name) for name in _COLUMNS),
    *(_ROWS.with_columns(value.alias(name)) for name in _COLUMNS for value in _VALUES),
)


def read(data: bytes) -> object:
    """Put the documents back into metadata, and read those with a frame."""
    number = zlib.crc32(data)
    if data in SEEDS:
        return _shown(*_texts(_DOCUMENTS), _ROWS)
    if number % 128 == 0:
        return _shown(*_texts(_DOCUMENTS), _ODD[number // 128 % len(_ODD)])
    rows = _ROWS if number % 16 == 1 else None
    if number % 2:
        return _shown(*_texts(with_odd_values(_SEED, number)), rows)
    return _shown(*_raw(data), rows)


def _texts(documents: dict[str, Any]) -> tuple[str, str, str]:
    about, processes, groups = (json.dumps(documents.get(key)) for key in ("about", "processes", "groups"))
    return about, processes, groups


def _shown(about: str, processes: str, groups: str, rows: pl.DataFrame | None) -> list[str]:
    snapshot = _read(about, processes, groups, rows)
    return [plain(VIEWS[view](snapshot, ViewOptions())) for view in ("merged", "processes", "hosts", "pmap")]


def _read(about: str, processes: str, groups: str, rows: pl.DataFrame | None) -> Snapshot:
    def frame(columns: list[str]) -> pl.DataFrame:
        if rows is None:
            raise UsageError("not one of those that are read on")
        return rows.select(columns)

    metadata = {KIND: "snapshot", SNAPSHOT: about}
    for key, text in ((PROCESSES, processes), (CGROUPS, groups)):
        metadata[key] = b64encode(zlib.compress(text.encode())).decode()
    try:
        return snapshot_of("x.parquet", metadata, frame)
    except PolarsError as error:  # which load_snapshot turns into the same
        raise UsageError(str(error)) from error


def _raw(data: bytes) -> tuple[str, str, str]:
    """What is between the keys, as text that need not be json."""
    about, _, rest = data.removeprefix(b'{"about": ').removesuffix(b"}").partition(b', "processes": ')
    processes, _, groups = rest.partition(b', "groups": ')
    first, second, third = (text.decode("utf-8", "replace") for text in (about, processes, groups))
    return first, second, third
