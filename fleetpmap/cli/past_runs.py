"""Many stored runs, read one after the other.   DIR/ ─► snapshot_file ─► [past_runs] ─► history

Each is read under the limits of `confined`, and only as far as the sums need it. A file that cannot be read is left
out, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.selections import selection_of_command
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.cli.confined import Reader
    from fleetpmap.evidence.code import CodeFile
    from fleetpmap.history import History
    from fleetpmap.snapshot_file import Entry, Part

_MOST_NAMED = 5
"""Files that could not be read, each with its reason; further ones are counted."""


class PastRuns:
    """Reads runs for the histories of some sums, and remembers those that cannot be read."""

    def __init__(self, child: Reader, sums: Sequence[tuple[str, ...]], metric: str) -> None:
        self._child, self._sums, self._metric = child, sums, metric
        self._selections: Counter[str] = Counter()
        self.read: list[Entry] = []
        """The runs that could be read."""
        self._entries: dict[datetime, Entry] = {}
        """These by the time at which they began."""
        self._code: dict[datetime, Mapping[str, frozenset[CodeFile]]] = {}
        self.unread: list[str] = []
        """Why a file could not be read, for each of these."""
        self.others = 0
        """Number of runs that looked for other processes."""

    def histories(self, runs: Sequence[Entry], of: str | None = None) -> Mapping[tuple[str, ...], History]:
        """Return what the runs have in common, by each of the keys to sum by.

        `of`: the command of a run; those that looked for other processes are left out.

        Raises:
            UsageError: none of them can be read.
        """
        import polars

        from fleetpmap.history import Gathering, attributes_for, texts_for
        from fleetpmap.snapshot_file import load_part

        polars.thread_pool_size()  # starts its threads, whose memory must not count as a file's
        gatherings = {by: Gathering(by, self._metric) for by in self._sums}
        keys = dict.fromkeys(key for by in self._sums for key in by)
        attributes, texts = attributes_for(keys), texts_for(keys)
        wanted = None if of is None else selection_of_command(of)
        for run in runs:
            part = self._part(run, lambda path: load_part(path, attributes, texts, self._metric))
            if part is None:
                continue
            if wanted is not None and selection_of_command(part.run.command) != wanted:
                self.others += 1
                continue
            for gathering in gatherings.values():
                gathering.add(part)
            self._selections[part.run.command] += 1
            self.read.append(run)
            self._entries[part.run.started] = run
        if not self.read:
            raise self._nothing(runs)
        return {by: gathering.history() for by, gathering in gatherings.items()}

    def code_at(self, started: datetime) -> Mapping[str, frozenset[CodeFile]]:
        """Return the files that each service ran in the run that began then; none if it cannot be read again."""
        from fleetpmap.cli.storage import load_run
        from fleetpmap.snapshot import service_of

        if started not in self._code:
            files: dict[str, set[CodeFile]] = {}
            with suppress(UsageError):
                snapshot = load_run(self._entries[started], self._child, quiet=True)
                evidence = snapshot.evidence_by()
                for process, code in zip(snapshot.processes, evidence.code.tolist(), strict=True):
                    if code >= 0:
                        files.setdefault(service_of(process), set()).update(evidence.codes[code].files)
            self._code[started] = {service: frozenset(run) for service, run in files.items()}
        return self._code[started]

    def _part(self, run: Entry, load: Callable[[Path], Part]) -> Part | None:
        """Load the part of a run, put together from its shards; None if no file of it can be read."""
        from fleetpmap.snapshot_file import joined

        parts: list[Part] = []
        for path in run.paths:
            try:
                with self._child.reading(str(path), _hint(path)):
                    parts.append(load(path))
            except UsageError as error:
                self.unread.append(error.message)
        try:
            return joined(parts, run.path) if run.shards and parts else next(iter(parts), None)
        except UsageError as error:
            self.unread.append(error.message)
            return None

    def _nothing(self, runs: Sequence[Entry]) -> UsageError:
        why = f"can be read; {self.unread[0]}" if self.unread else "looked for the same processes"
        return UsageError(
            f"{runs[0].path.parent}: none of its {len(runs)} runs {why}",
            hint="fetch them again from where they were saved",
        )

    def notes(self, runs: Sequence[Entry]) -> Iterator[str]:
        """Yield notes on the files that were not read, and on runs that looked for other processes."""
        if self.unread:
            files, kind = sum(len(run.paths) for run in runs), "files" if any(run.shards for run in runs) else "runs"
            yield f"{len(self.unread)} of {files} {kind} could not be read, and are left out:"
            yield from _some(self.unread)
        if left_out := [note for run in runs for note in run.notes]:
            yield f"{len(left_out)} files of shards are in no run:"
            yield from _some(left_out)
        looked_for: Counter[str] = Counter()
        for command, count in self._selections.items():
            looked_for[selection_of_command(command) or "processes of an unknown selection"] += count
        if len(looked_for) > 1:
            named = "; ".join(f"{what} ({count})" for what, count in looked_for.most_common(_MOST_NAMED))
            yield f"the runs looked for different processes, which come and go with that: {named}"


def _some(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:_MOST_NAMED]
    if (more := len(sentences) - _MOST_NAMED) > 0:
        yield f"and {more} more"


def _hint(path: Path) -> str:
    return f"move it away: the other runs of {path.parent} are as they were"
