"""fleetpmap explore.   options ─► Rounds, a stored run, or a directory of runs ─► Source ─► [explore] ─► screen"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.interrupt import interruptible
from fleetpmap.cli.options import ExploreOptions, HostOptions, ProcessOptions, RunningOptions
from fleetpmap.cli.pipeline import command_line, fleet_from, question_from, rounds_over
from fleetpmap.cli.pmap_options import is_c_locale
from fleetpmap.cli.run_loader import RunLoader
from fleetpmap.cli.screen import has_screen, live_source, show, show_live, write
from fleetpmap.cli.storage import dataset_of, snapshot_from
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.explore.source import Source, StoredRun
    from fleetpmap.processes import Selection
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.snapshot_file import Entry


def explore(which: HostOptions, matching: ProcessOptions, what: ExploreOptions, how: RunningOptions) -> int:
    """Walk through the memory of a fleet on a screen: service, host, process, mapping, VMA, and back."""
    _check(what, which, how)
    if what.paths:
        with closing(RunLoader()) as loader:
            return show(_stored(what.paths, matching, how, loader))
    selection = selection_from(matching, required=True)
    fleet = fleet_from(which, how)
    question = question_from(fleet, selection, how)
    with interruptible() as stop:
        rounds = rounds_over(fleet, question, how, stop)
        source = replace(live_source(rounds, fleet, question), interval_s=what.interval)
        return show_live(rounds, source, stop)


def _check(what: ExploreOptions, which: HostOptions, how: RunningOptions) -> None:
    """Check what can be known before a host is asked or a file is read.

    Raises:
        UsageError: there is no terminal, or options exclude each other.
    """
    if not has_screen():
        raise UsageError("explore: there is no terminal to draw on", hint="use run, or show for a stored run")
    if how.rollup:
        raise UsageError("--rollup reads no mappings, and explore walks through them", hint="leave out --rollup")
    if what.paths and (which != HostOptions() or what.interval is not None):
        hint = "leave out the options of hosts and --interval, or the paths"
        raise UsageError(f"explore: {what.paths[0]} is a stored run, for which no host is asked", hint=hint)


def _stored(paths: Sequence[str], matching: ProcessOptions, how: RunningOptions, loader: RunLoader) -> Source:
    from fleetpmap.cli.confined import reader
    from fleetpmap.cli.no_match import hints
    from fleetpmap.explore.source import Source

    selection, child = selection_from(matching, required=False), reader()
    snapshot = snapshot_from(paths, selection, command_line(), child, quiet=how.quiet)
    name = paths[0] if len(paths) == 1 else f"{len(paths)} stored runs"
    directory = dataset_of(paths[0]) if len(paths) == 1 else None
    runs = partial(_runs, directory, loader, selection) if directory else None
    told = partial(hints, selection=selection)
    return Source(name=name, snapshot=snapshot, runs=runs, write=write, hints=told, ascii_only=is_c_locale())


def _runs(directory: Path, loader: RunLoader, selection: Selection) -> list[StoredRun]:
    """List the runs of a directory, each to be loaded with the processes of the selection.

    Raises:
        UsageError: it cannot be listed any more.
    """
    from fleetpmap.explore.source import StoredRun
    from fleetpmap.snapshot_file import entries

    try:
        found = entries(directory)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}") from error
    return [StoredRun(run.path.name, run.started, partial(_load, loader, selection, run), run.notes) for run in found]


def _load(loader: RunLoader, selection: Selection, run: Entry) -> Snapshot:
    from fleetpmap.snapshot_file.selected import selected

    return selected(loader.load(run), selection)
