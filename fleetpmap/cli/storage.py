"""Runs on disk: --save and --capture write them, show and diff read them.   [storage] ─► capture, snapshot_file

FILE.parquet        a snapshot
DIR/                a dataset: each run adds a file; the files of the shards of one run (run --shard) are one run
DIR, DIR@last       its last run;   DIR@first its first;   DIR@2026-11-23T05:00 the last that had started by then
anything else       a capture
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleetpmap.cli import files
from fleetpmap.cli.deliver import print_error, print_stderr
from fleetpmap.cli.options import KeepOptions, RunningOptions
from fleetpmap.errors import UsageError
from fleetpmap.installation import command_for

if TYPE_CHECKING:
    from fleetpmap.capture import CaptureWriter
    from fleetpmap.cli.confined import Reader
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.collection.parts import OnRows
    from fleetpmap.collection.rows import Rows
    from fleetpmap.processes import Selection
    from fleetpmap.snapshot import FleetShard, Snapshot
    from fleetpmap.snapshot_file import Entry

_SUFFIX = ".parquet"
_MAGIC = b"PAR1"
"""The first bytes of a parquet file."""


class Save(Protocol):
    """Writes a snapshot, and its rows if it has only sums; raises UsageError if that fails."""

    def __call__(self, snapshot: Snapshot, rows: Rows | None = None) -> None:
        """See the class."""


@dataclass(frozen=True, slots=True)
class RunStorage:
    """The open capture of --capture and the destination of --save."""

    capture: CaptureWriter | None
    save: Save | None
    sums: Collection[str] | None
    """Keys that `collect` may sum by; None if it has to keep every row."""
    rows: Rows | None
    """Where the rows go meanwhile if they are to be saved, and the snapshot has sums; else None."""

    @property
    def keep(self) -> Keep | None:
        """The `keep` of `collect`: called for every host that answers; None without --capture."""
        return self.capture.keep if self.capture else None

    @property
    def on_rows(self) -> OnRows | None:
        """The `on_rows` of `collect`; None if the snapshot has the rows, or nothing is saved."""
        return self.rows.add if self.rows else None

    def finish(self, snapshot: Snapshot, how: RunningOptions) -> bool:
        """Write what --capture and --save asked for. Returns False if any of it failed.

        Failures are printed on stderr, and do not stop the report.
        """
        steps: list[Callable[[], None]] = []
        if self.capture is not None:
            once = how.once_per_machine
            steps.append(partial(self.capture.finish, snapshot, rollups=how.verbose > 1, machines_once=once))
        if self.save is not None:
            steps.append(partial(self.save, snapshot, self.rows))
        succeeded = [_succeeds(step) for step in steps]
        return all(succeeded)


def _succeeds(step: Callable[[], None]) -> bool:
    try:
        step()
    except UsageError as error:
        print_error(error)
        return False
    return True


@contextlib.contextmanager
def open_storage(options: KeepOptions, sums: Collection[str] | None = None) -> Iterator[RunStorage]:
    """Open the files that the options name, before any host is asked; an unfinished capture is removed at the end.

    `sums`: the keys by which the reports of the run may be summed; None if they need every row.

    Raises:
        UsageError: one of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        save, rows = save_to(options.save), None
        if options.save is not None and sums is not None:
            path = Path(options.save)
            if rows := _rows_for(path):
                stack.enter_context(contextlib.closing(rows))
                sums = {*sums, "path"} if path.is_dir() else sums  # for growth since an earlier run there
            else:
                sums = None
        capture = None
        if options.capture is not None:
            from fleetpmap.capture import CaptureWriter

            capture = stack.enter_context(CaptureWriter(Path(options.capture)))
        yield RunStorage(capture, save, sums, rows)


def _rows_for(path: Path) -> Rows | None:
    """Return a place for the rows of a run beside the file that will have them; None where there is none.

    Such a place is a file in the same directory, which a file that is replaced as it stands need not allow.
    """
    from fleetpmap.collection.rows import Rows

    with contextlib.suppress(OSError):
        return Rows(path if path.is_dir() else path.resolve().parent)
    return None


def save_to(text: str | None) -> Save | None:
    """Return the function that saves a snapshot as --save FILE.parquet or DIR/ says; None without --save.

    Raises:
        UsageError: the name fits neither, it cannot be written, or the extra [parquet] is not installed.
    """
    if text is None:
        return None
    needs_polars(f"--save {text}")
    path = Path(text)
    try:
        is_there, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise files.unwritable("--save", text, error) from error
    if text.endswith("/") and is_file:
        raise UsageError(f"--save {text}: is a file", hint="leave out the / to replace it, or name a directory")
    if is_there and not os.access(path, os.W_OK | os.X_OK):
        raise files.unwritable("--save", text, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if text.endswith("/") or is_there:
        if not is_there:
            files.writable("--save", text)
        return partial(_save_in, text, path)
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(
            f"--save {text}: is neither a parquet file nor a directory",
            hint="write --save FILE.parquet for one run, or --save DIR/ to add each run to a directory",
        )
    return partial(_save_as, text, files.writable("--save", text))


def needs_polars(what: str) -> None:
    """Check that polars is installed.

    Raises:
        UsageError: it is not; the hint says how to install it.
    """
    if find_spec("polars") is None:
        raise UsageError(f"{what}: needs polars, not installed here", hint=f"run `{command_for('parquet')}`")


def _save_as(text: str, path: Path, snapshot: Snapshot, rows: Rows | None = None) -> None:
    from fleetpmap.snapshot_file import write_snapshot

    try:
        files.write(path, lambda file: write_snapshot(snapshot, file, rows))
    except OSError as error:
        raise files.unwritable("--save", text, error) from error


def _save_in(text: str, directory: Path, snapshot: Snapshot, rows: Rows | None = None) -> None:
    from fleetpmap.snapshot_file import save_in

    try:
        save_in(directory, snapshot, rows)
    except OSError as error:
        raise files.unwritable("--save", text, error) from error


def snapshot_from(
    paths: Sequence[str], selection: Selection, command: str, reader: Reader, *, quiet: bool = False
) -> Snapshot:
    """Read captures and saved snapshots into one snapshot; `reader` enforces the limits of each.

    What a path lacks of the shards of a run is printed on stderr, unless `quiet`.

    Raises:
        UsageError: one of them cannot be read, or two hold the same host.
    """
    from fleetpmap.snapshot import Snapshot

    snapshot = Snapshot.joined([_loaded(path, selection, command, reader, quiet=quiet) for path in paths])
    names = Counter(host.name for host in snapshot.hosts)
    if twice := next((name for name, count in names.items() if count > 1), None):
        hint = "show them one by one, or see what grew from one to the other with diff"
        raise UsageError(f"{twice} is in more than one of them", hint=hint)
    return snapshot


def _loaded(path: str, selection: Selection, command: str, reader: Reader, *, quiet: bool) -> Snapshot:
    # Imports, and polars' threads, come first: their memory must not count as the file's.
    if not is_saved(path):
        from fleetpmap.capture import load

        with reader.reading(path):
            return load(Path(path), selection, command=command)
    snapshot = _saved(path, reader, quiet=quiet)
    from fleetpmap.snapshot_file.selected import selected

    part = selected(snapshot, selection)
    if snapshot.processes and not part.processes and not quiet:
        print_stderr(f"{path}: has the processes of `{snapshot.run.command}`")
    return part


def _saved(path: str, reader: Reader, *, quiet: bool) -> Snapshot:
    run = saved_run(path)
    import polars

    from fleetpmap.snapshot_file import load_snapshot

    polars.thread_pool_size()  # starts the threads
    if not isinstance(run, Path):
        return load_run(run, reader, quiet=quiet)
    with reader.reading(path):
        snapshot = load_snapshot(run)
    if (shard := snapshot.run.shard) and not quiet:
        print_stderr(f"{path}: {shard_sentence(shard, [host.name for host in snapshot.hosts])}")
    return snapshot


def load_run(run: Entry, reader: Reader, *, quiet: bool) -> Snapshot:
    """Load a run of a dataset. Shards are merged; files of its time that are no part of it are named on stderr.

    Raises:
        UsageError: it cannot be read; of a run in shards, none of them.
    """
    from fleetpmap.shards.merging import merged
    from fleetpmap.snapshot_file import OtherVersionError, load_snapshot

    directory = run.path.parent
    hint = f"the other runs of {directory} are as they were: show one with {directory}@TIME"
    for note in () if quiet else run.notes:
        print_stderr(note)
    loaded: list[Snapshot] = []
    unread: dict[int, UsageError] = {}
    for place, path in enumerate(run.paths):
        try:
            with reader.reading(str(path), hint):
                loaded.append(load_snapshot(path))
        except UsageError as error:
            if place == len(run.paths) - 1 and not loaded:
                hint = error.hint if isinstance(error, OtherVersionError) else hint
                raise UsageError(error.message, hint=hint) from error
            unread[run.shards[place].number] = error
    if not run.shards:
        return loaded[0]
    try:
        return merged(loaded, unread)
    except ValueError as error:
        raise UsageError(f"{run.path}: is not a shard of the run that its name tells ({error})", hint=hint) from error


def shard_sentence(shard: FleetShard, hosts: Sequence[str]) -> str:
    """Return what a shard has of its fleet: `shard 3 of 10: 10 of 100 hosts, from web-21 to web-30`."""
    sentence = f"shard {shard.number} of {shard.of}: {len(hosts)} of {len(shard.fleet)} hosts"
    if not hosts:
        return f"{sentence}, as there are more shards than hosts"
    return f"{sentence}, {hosts[0]}" if len(hosts) == 1 else f"{sentence}, from {hosts[0]} to {hosts[-1]}"


def is_saved(text: str) -> bool:
    """Return whether the text names a snapshot's file or a run of a dataset; otherwise it names a capture.

    Raises:
        UsageError: the file cannot be opened.
    """
    from fleetpmap.snapshot_file import entries

    try:
        path, at, _ = parted(text)
        if path.is_dir():
            return bool(at or entries(path))
        if not stat.S_ISREG(path.stat().st_mode):
            return False  # opening a pipe would wait for its writer
        with path.open("rb") as file:
            return path.suffix.lower() == _SUFFIX or file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise UsageError(
            f"{text}: {error.strerror}", hint="name a capture, or a file or directory that --save wrote"
        ) from error


def saved_run(text: str) -> Path | Entry:
    """Return the file of the snapshot that FILE.parquet names, or the run that DIR or DIR@WHEN names.

    Raises:
        UsageError: there is no such run, or the extra [parquet] is not installed.
    """
    from fleetpmap.snapshot_file import entry_at

    needs_polars(text)
    path, at, when = parted(text)
    if path.is_dir():
        return entry_at(path, when or "last")
    if at:
        raise UsageError(f"{text}: {path} is a single run", hint=f"leave out {at}{when}, which is for a directory")
    return path


def two_runs(old: str, new: str | None) -> tuple[str, str]:
    """Return the names of the runs to compare: those given, or the last two of the directory that is given alone.

    Raises:
        UsageError: one run alone is named, or the directory has no two.
    """
    from fleetpmap.snapshot_file import entries

    if new is not None:
        return old, new
    directory = dataset_of(old)
    if directory is None:
        raise UsageError(f"diff {old}: compares two runs", hint=f"name the later one too: `fleetpmap diff {old} NEW`")
    runs = entries(directory)
    if len(runs) < 2:
        raise UsageError(f"{directory}: has one run, and diff compares two", hint=f"add one with --save {directory}/")
    before, last = (f"{directory}@{run.started.isoformat()}" for run in runs[-2:])
    return before, last


def dataset_of(text: str) -> Path | None:
    """Return the directory if the text names one that --save wrote to, without @WHEN; else None.

    Raises:
        UsageError: it cannot be read.
    """
    path = Path(text)
    return path if path.is_dir() and is_saved(text) else None


def parted(text: str) -> tuple[Path, str, str]:
    """Split `DIR@WHEN` into path, `@` and time; a path that exists as it is written has no time."""
    before, at, when = text.rpartition("@")
    return (Path(before), at, when) if at and not Path(text).exists() else (Path(text), "", "")
