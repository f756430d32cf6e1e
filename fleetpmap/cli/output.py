"""stdout is the report, stderr is talk, the exit status is for scripts.   Report, Snapshot ─► [output] ─► the user"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from fleetpmap.cli.choices import Output
from fleetpmap.cli.interrupt import INTERRUPTED
from fleetpmap.cli.options import Color, Format, RunningOptions
from fleetpmap.errors import UsageError
from fleetpmap.escape import escape

if TYPE_CHECKING:
    from fleetpmap.report import Report
    from fleetpmap.snapshot import HostResult, Snapshot

DEADLINE = 124
"""Exit status of a run that --deadline cut short, as timeout(1) gives it."""


def deliver(report: Report, output: Output, color: Color) -> None:
    """Write the report where and as the options say.

    Raises:
        UsageError: the file cannot be written after all.
    """
    if output.path is None and output.format is Format.table:
        from fleetpmap.render import console, table

        console(color.value).print(table(report))
    elif output.path is None:
        _write(report, output.format, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        try:
            with output.path.open("wb") as file:
                _write(report, output.format, file)
        except OSError as error:
            raise UsageError(f"-o {output.path}: {error.strerror}", hint="choose another place") from error


def _write(report: Report, format_: Format, file: BinaryIO) -> None:
    from fleetpmap.export import EXPORTERS
    from fleetpmap.render import plain

    if format_ in EXPORTERS:
        EXPORTERS[format_].write(report, file)
    else:
        file.write(plain(report).encode())


def talk(report: Report, snapshot: Snapshot, output: Output, how: RunningOptions) -> None:
    """On stderr: who failed and what to do; and what the report on stdout does not say itself."""
    from fleetpmap.inventory import fold
    from fleetpmap.report import coverage_sentence

    for failure in snapshot.coverage.failures:
        say(f"{failure.host}: {failure.message}")
        say(f"  hint: {failure.hint}")
    if how.quiet:
        return
    hosts_of: dict[str, list[str]] = {}
    for host in snapshot.hosts:
        for note in _notes(host, how.verbose):
            hosts_of.setdefault(note, []).append(host.name)
    for note, hosts in hosts_of.items():
        say(f"{fold(hosts)}: {note}")
    if output.format is Format.table:
        return  # the report itself ends with its notes and the coverage
    for note in report.notes:
        say(note)
    say(coverage_sentence(snapshot.coverage, listed_only=report.view == "ps"))


def _notes(host: HostResult, verbose: int) -> Iterator[str]:
    yield from host.notes
    if verbose and (can := host.capabilities):
        yield f"kernel {can.kernel}, read as uid {can.uid} with {can.reader} tools, sent as {can.compression}"


def say(line: str) -> None:
    """One line on stderr; whatever a host put into it is made harmless."""
    print(escape(line), file=sys.stderr)


def exit_status(snapshot: Snapshot) -> int:
    """130 interrupted · 124 deadline · 4 no host answered · 3 a host failed, or a process's memory is missing ·
    5 nothing matched anywhere · 0."""
    coverage = snapshot.coverage
    if snapshot.run.ended != "whole":
        return INTERRUPTED if snapshot.run.ended == "interrupted" else DEADLINE
    if coverage.answered == 0:
        return 4
    if not coverage.complete:
        return 3
    return 0 if coverage.matched else 5
