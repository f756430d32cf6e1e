"""What was kept, on disk, to one snapshot.   PATH… ─► [kept] ─► Snapshot"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.confined import Reader
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.options import ProcessOptions
from fleetpmap.cli.saving import is_saved, saved_path
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.processes import Selection
    from fleetpmap.snapshot import Snapshot


def snapshot_from(paths: Sequence[str], selection: Selection, command: str, reader: Reader) -> Snapshot:
    """The snapshot that these captures and saved snapshots come to together; `reader` holds each to its limits.

    Raises:
        UsageError: one of them cannot be read, or two hold the same host.
    """
    from fleetpmap.snapshot import Snapshot

    snapshot = Snapshot.joined([_loaded(path, selection, command, reader) for path in paths])
    names = Counter(host.name for host in snapshot.hosts)
    if twice := next((name for name, count in names.items() if count > 1), None):
        hint = "show them one by one, or see what grew from one to the other with diff"
        raise UsageError(f"{twice} is in more than one of them", hint=hint)
    return snapshot


def _loaded(path: str, selection: Selection, command: str, reader: Reader) -> Snapshot:
    # What is imported, and the threads of polars, must not count as the file's memory.
    if not is_saved(path):
        from fleetpmap.capture import load

        with reader.reading(path):
            return load(Path(path), selection, command=command)
    if selection != selection_from(ProcessOptions(), required=False):
        raise UsageError(
            f"{path}: a saved snapshot is shown whole", hint="leave out the process options: only a capture takes them"
        )
    file = saved_path(path)
    import polars

    from fleetpmap.snapshot_file import load_snapshot

    polars.thread_pool_size()  # starts them
    if file == Path(path):
        with reader.reading(path):
            return load_snapshot(file)
    beside = f"the other runs of {file.parent} are as they were: show one with {file.parent}@TIME"
    try:
        with reader.reading(str(file), beside):
            return load_snapshot(file)
    except UsageError as error:
        raise UsageError(error.message, hint=beside) from error
