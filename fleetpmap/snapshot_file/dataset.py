"""A directory of snapshots, one file per run.   Snapshot ─► [dataset] ─► DIR/, and back by time

A file's name is the start time of its run and a random number (20261123T050000.000000Z-1a2b3c4d.parquet), so the names
sort by time and several writers do not collide. The name of a shard's file also has its number, and digests of what it
shares with the other shards: …Z-shard-3-of-10-LOOKED_FOR-FLEET-1a2b3c4d.parquet. Several such files are one run, see
rounds. A file is written under a hidden temporary name, flushed to disk and then renamed. So a reader finds only whole
files, even if a writer is killed. The temporary file of a killed writer is removed a day later.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from fleetpmap.collection.rows import Rows
from fleetpmap.errors import UsageError
from fleetpmap.snapshot import FleetShard, Snapshot
from fleetpmap.snapshot_file.parquet import write_snapshot
from fleetpmap.snapshot_file.rounds import ShardFile, rounds

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<stamp>[0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-"
    r"(?P<shard>shard-(?P<number>[0-9]{1,4})-of-(?P<of>[0-9]{1,4})-"
    r"(?P<looked_for>[0-9a-f]{8})-(?P<fleet>[0-9a-f]{8})-)?"
    r"[0-9a-f]{8}\.parquet"
)
_AGO = re.compile(r"(?P<number>[0-9]{1,5})(?P<unit>[mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = ".part"
_SWEPT_AFTER_S = 24 * 3600


class Entry(NamedTuple):
    """One run of a dataset."""

    started: datetime
    path: Path
    """Its file; of a run in shards, that of the first shard there is."""
    shards: tuple[ShardFile, ...] = ()
    """The files of a run in shards."""
    notes: tuple[str, ...] = ()
    """Why files of its time are no part of it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All its files."""
        return tuple(file.path for file in self.shards) or (self.path,)


def save_in(directory: Path, snapshot: Snapshot, rows: Rows | None = None) -> Path:
    """Add the snapshot to the dataset, which is created if needed, and return its file; `rows` as in write_snapshot.

    Raises:
        OSError: it cannot be written; the dataset is unchanged.
    """
    directory.mkdir(exist_ok=True)
    _sweep(directory)
    stamp = snapshot.run.started.astimezone(UTC).strftime(_STAMP)
    target = directory / f"{stamp}-{_shard_words(snapshot.run.shard)}{secrets.token_hex(4)}.parquet"
    aside = directory / f".{target.stem}{_PART}"
    try:
        with aside.open("xb") as file:
            write_snapshot(snapshot, file, rows)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(target)
    except BaseException:  # an interrupt too removes the temporary file
        aside.unlink(missing_ok=True)
        raise
    _sync(directory)
    return target


def entries(directory: Path) -> list[Entry]:
    """Return the runs of a dataset, in the order of time; the shards of one run are one entry.

    Raises:
        OSError: the directory cannot be listed.
    """
    whole: list[Entry] = []
    shards: list[ShardFile] = []
    for path in directory.iterdir():
        name = _NAME.fullmatch(path.name)
        if not name or not (started := _time_of(name["stamp"])):
            continue
        if name["shard"] is None:
            whole.append(Entry(started, path))
        elif 1 <= int(name["number"]) <= int(name["of"]):
            numbers = int(name["number"]), int(name["of"])
            shards.append(ShardFile(started, path, *numbers, name["looked_for"], name["fleet"]))
    in_shards = (Entry(run.started, run.shards[0].path, run.shards, tuple(run.notes())) for run in rounds(shards))
    return sorted([*whole, *in_shards])


def _shard_words(shard: FleetShard | None) -> str:
    """Return the part of a name that tells the shard."""
    if shard is None:
        return ""
    digests = "-".join(sha256(json.dumps(part).encode()).hexdigest()[:8] for part in (shard.looked_for, shard.fleet))
    return f"shard-{shard.number}-of-{shard.of}-{digests}-"


def _time_of(stamp: str) -> datetime | None:
    """Parse the time in a name; None if it is not in the calendar, such as a 13th month."""
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def entry_at(directory: Path, when: str) -> Entry:
    """Return a run by `when`: `first`, `last`, or a time in ISO 8601 for the last run that started by then.

    A time without a zone is in this machine's zone. `90m`, `24h`, `7d` and `2w` are so long ago.

    Raises:
        UsageError: the directory has no runs, or none by then; or `when` is not a time.
    """
    runs = _some_entries(directory)
    if when in ("first", "last"):
        return runs[0] if when == "first" else runs[-1]
    moment = _moment(directory, when)
    before = [run for run in runs if run.started <= moment]
    if not before:
        first = runs[0].started.astimezone(moment.tzinfo).isoformat(" ", "seconds")
        by = f"{when} ago" if _AGO.fullmatch(when) else when
        raise UsageError(f"{directory}: has no run by {by}", hint=f"the first one started at {first}")
    return before[-1]


def entries_between(directory: Path, since: str = "first", until: str = "last") -> list[Entry]:
    """Return the runs that started from `since` to `until`, both as in `entry_at`, in the order of time.

    Raises:
        UsageError: the directory has no runs, or none between the two; or one of these is not a time.
    """
    runs = _some_entries(directory)
    ends = {"first": runs[0].started, "last": runs[-1].started}
    low, high = (ends.get(when) or _moment(directory, when) for when in (since, until))
    between = [run for run in runs if low <= run.started <= high]
    if not between:
        first, last = (run.started.astimezone().isoformat(" ", "seconds") for run in (runs[0], runs[-1]))
        hint = f"its runs started from {first} to {last}"
        raise UsageError(f"{directory}: has no run from {since} to {until}", hint=hint)
    return between


def _some_entries(directory: Path) -> list[Entry]:
    """Return the runs of a dataset that has any.

    Raises:
        UsageError: it has none, or cannot be listed.
    """
    try:
        runs = entries(directory)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}", hint="name a directory that --save wrote to") from error
    if not runs:
        hint = "fill it with fleetpmap run … --save DIR/; a capture takes no @"
        raise UsageError(f"{directory}: has no snapshots", hint=hint)
    return runs


def _moment(directory: Path, when: str) -> datetime:
    try:
        if ago := _AGO.fullmatch(when):
            return datetime.now().astimezone() - timedelta(**{_UNITS[ago["unit"]]: int(ago["number"])})
        return datetime.fromisoformat(when).astimezone()
    except (ValueError, OverflowError) as error:
        hint = "write first, last, a time such as 2026-11-23T05:00, or how long ago: 90m, 24h, 7d"
        raise UsageError(f'{directory}: "{when}" is not a time', hint=hint) from error


def _sweep(directory: Path) -> None:
    """Remove temporary files of killed writers, so old that no writer can still be using them."""
    for path in directory.glob(f".*{_PART}"):
        with suppress(OSError):  # another writer has removed it, or another user owns it
            if _NAME.fullmatch(f"{path.stem[1:]}.parquet") and path.stat().st_mtime < time.time() - _SWEPT_AFTER_S:
                path.unlink()


def _sync(directory: Path) -> None:
    """Flush the new name to disk. Not every network file system can flush a directory, so a failure is ignored."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
