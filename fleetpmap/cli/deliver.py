"""Report to stdout or a file, notes to stderr, status for scripts.   Report, Snapshot ─► [deliver] ─► the user"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

from fleetpmap.cli import files
from fleetpmap.cli.destinations import Destination
from fleetpmap.cli.interrupt import INTERRUPTED, end_now
from fleetpmap.cli.option_values import Color, Format, View
from fleetpmap.cli.options import RunningOptions, TalkOptions
from fleetpmap.cli.outputs import OutputPlan
from fleetpmap.cli.pmap_options import is_c_locale
from fleetpmap.errors import FleetpmapError, UsageError
from fleetpmap.escape import escape, in_ascii
from fleetpmap.labels import together

if TYPE_CHECKING:
    from fleetpmap.report import Report
    from fleetpmap.snapshot import HostResult, Snapshot

Write = Callable[[BinaryIO], object]
"""Writes something to an open binary file."""
READER_LEFT = 141
"""Exit status when the reader of stdout has ended, as shells give it for SIGPIPE."""
DEADLINE = 124
"""Exit status of a run that --deadline cut short, as timeout(1) gives it."""

BROKEN = 6
"""Exit status of a report that breaks a rule of --fail-if."""

_MOST_BROKEN = 10
"""Broken rules that stderr names; further ones are counted."""
_SAID_LINES = 40
"""Lines of a host's other output that -vv shows."""


def deliver(report: Report, plan: OutputPlan, color: Color, *, quiet: bool, rows_written: bool = False) -> None:
    """Write the main report by the plan; `rows_written`: `rows_to_stdout` wrote the rows of all hosts already.

    Raises:
        UsageError: it cannot be written.
    """
    report = _labelled(report, plan)
    write = _writer(report, plan.format, human=plan.human, csv_safe=plan.csv_safe)
    if rows_written:
        from fleetpmap.export.as_jsonl import write_last_line

        to_stdout(lambda file: write_last_line(report, file))
    elif plan.file is not None:
        _to_file(report, plan.file, write, quiet)
    elif plan.format == "table":
        from fleetpmap.render import console, table

        screen = console(color.value)
        with screen.capture() as drawn:
            screen.print(table(report, human=plan.human, ascii_only=is_c_locale()))
        to_stdout(lambda file: file.write(drawn.get().encode(sys.stdout.encoding, "backslashreplace")))
    else:
        to_stdout(write)


def _labelled(report: Report, plan: OutputPlan) -> Report:
    labels = together(report.run.labels, plan.labels)  # a stored run may have some
    return replace(report, run=replace(report.run, labels=labels))


def rows_to_stdout(plan: OutputPlan) -> Callable[[Snapshot], None]:
    """Return a function that writes a part's rows to stdout; it ends the program when the reader of stdout ended."""
    from fleetpmap.export.as_jsonl import write_rows
    from fleetpmap.report import VIEWS

    def write(part: Snapshot) -> None:
        report = VIEWS[plan.view](part, plan.options)
        try:
            to_stdout(lambda file: write_rows(report, file))
        except SystemExit as end:
            if end.code == READER_LEFT:
                end_now(READER_LEFT)
            raise

    return write


def export(report_of: Callable[[View, Format], Report], plan: OutputPlan, *, quiet: bool) -> bool:
    """Write the files of --export. An error of one file is printed, and does not stop the others.

    Returns:
        True if all of them were written.
    """
    succeeded = True
    for to in plan.exports:
        report = _labelled(report_of(to.view, to.format), plan)
        try:
            _to_file(report, to, _writer(report, to.format, human=False, csv_safe=plan.csv_safe), quiet)
        except UsageError as error:
            succeeded = False
            print_error(error)
    return succeeded


def to_stdout(write: Write) -> None:
    """Write to stdout. If its reader has ended, the program ends too, as by SIGPIPE.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        # Not sys.stdout.buffer: with PYTHONUNBUFFERED that is the raw file, whose write() may write only a part.
        with open(sys.stdout.fileno(), "wb", closefd=False) as file:
            write(file)
    except BrokenPipeError:
        sys.exit(READER_LEFT)
    except OSError as error:
        raise UsageError(f"stdout: {error.strerror}", hint="make room, or write elsewhere with -o FILE") from error


def _to_file(report: Report, to: Destination, write: Write, quiet: bool) -> None:
    from fleetpmap.export import compressed

    coverage_file = files.coverage_path(to.path) if to.has_coverage_file else None
    incomplete = not report.coverage.complete and report.view != "routes"  # it asks no host
    try:
        # Beside an incomplete csv file there must be its coverage at any time: written first, removed last.
        if coverage_file and incomplete:
            files.write(coverage_file, lambda file: _write_coverage(report, file))
        files.write(to.path, compressed(write, to.path.name))
        if coverage_file and not incomplete:
            coverage_file.unlink(missing_ok=True)
    except OSError as error:
        raise files.unwritable(to.option, str(to.path), error) from error
    if coverage_file and incomplete and not quiet:
        print_stderr(f"{to.path} lacks a part of what was asked for: {coverage_file} says which")


def _write_coverage(report: Report, file: BinaryIO) -> None:
    from fleetpmap.export.as_json import coverage_json

    file.write(coverage_json(report).encode())


def _writer(report: Report, format_: Format, *, human: bool, csv_safe: bool) -> Write:
    from fleetpmap.export import EXPORTERS
    from fleetpmap.export.as_csv import write_csv
    from fleetpmap.render import plain

    def write(file: BinaryIO) -> None:
        if format_ == "csv":
            write_csv(report, file, safe=csv_safe)
        elif format_ in EXPORTERS:
            EXPORTERS[format_].write(report, file)
        else:
            # pmap's own text can hold bytes that are not UTF-8; surrogateescape writes them back unchanged.
            file.write(plain(report, human=human).encode("utf-8", "surrogateescape"))

    return write


def print_notes(report: Report, snapshot: Snapshot, plan: OutputPlan, how: RunningOptions | TalkOptions) -> None:
    """Print on stderr which hosts failed and how to mend it, and the notes that the report on stdout does not show."""
    from fleetpmap.report import coverage_sentence

    # A table on stdout ends with failures, notes and coverage; a view that is text and a file do not show them.
    report_has_notes = plan.file is None and plan.format == "table" and report.text is None
    if not report_has_notes:
        _print_failures(snapshot)
    if how.quiet:
        return
    _print_host_notes(snapshot, how.verbose)
    if how.verbose:
        _print_checks(snapshot)
    if not report_has_notes:
        _print_findings(report)
        for note in report.notes:
            print_stderr(note)
        if sentence := coverage_sentence(snapshot.coverage, listed_only=report.listed_only):
            print_stderr(sentence)


def _print_findings(report: Report) -> None:
    from fleetpmap.report.finding import told

    findings, others = told(report.findings)
    for finding in findings:
        print_stderr(finding.text)
        if finding.next:
            print_stderr(f"  {finding.next}")
    if others:
        print_stderr(others)


def print_broken_rules(report: Report) -> None:
    """Print on stderr what breaks the rules of --fail-if, also with --quiet: the first of each rule, then others."""
    broken = report.broken_rules or ()
    first = {one.rule: number for number, one in reversed([*enumerate(broken)])}.values()
    others = (number for number in range(len(broken)) if number not in first)
    for number in sorted(islice(chain(first, others), _MOST_BROKEN)):
        print_stderr(f"--fail-if {broken[number].rule}: {broken[number].text}")
    if (more := len(broken) - _MOST_BROKEN) > 0:
        print_stderr(f"--fail-if: {more} more; `--format json` has all of them")


def _print_failures(snapshot: Snapshot) -> None:
    from fleetpmap.report import folded

    for failure in folded(snapshot.coverage.failures):
        print_stderr(f"{failure.hosts}: {failure.message}")
        if failure.advice:
            print_stderr(f"  {failure.advice}")


def _print_host_notes(snapshot: Snapshot, verbose: int) -> None:
    """Print each note once, with the hosts that it concerns; with -vv the other output of each host, too."""
    from fleetpmap.inventory import fold

    hosts_of: dict[str, list[str]] = {}
    for host in snapshot.hosts:
        for note in _notes(host, verbose):
            hosts_of.setdefault(note, []).append(host.name)
        if verbose > 1:
            for line in host.said.splitlines()[:_SAID_LINES]:
                print_stderr(f"{host.name} said: {line}")
            for line in host.failure.traceback.splitlines() if host.failure else ():
                print_stderr(f"{host.name}: {line}")
    for note, hosts in hosts_of.items():
        print_stderr(f"{fold(hosts)}: {note}")


def _print_checks(snapshot: Snapshot) -> None:
    """Print the slowest processes, and the result of the self-check."""
    from fleetpmap.report import check_sentences

    for process in snapshot.coverage.slowest:
        print_stderr(
            f"{process.host}: reading process {process.pid} ({process.name}) took {process.read_s:.2f} s there"
        )
    for sentence in check_sentences(snapshot.coverage.checked):
        print_stderr(sentence)


def _notes(host: HostResult, verbose: int) -> Iterator[str]:
    yield from host.notes
    if verbose and (can := host.capabilities):
        yield f"kernel {can.kernel}, read as uid {can.uid} with {can.reader} tools, sent as {can.compression}"
    if verbose and host.read_s is not None:
        yield f"reading took {host.read_s:.2f} s there"


def print_stderr(line: str) -> None:
    """Print one line on stderr, with control characters of a host escaped."""
    try:
        line = escape(line)
        print(in_ascii(line) if is_c_locale() or sys.stderr.encoding.startswith("ascii") else line, file=sys.stderr)
    except OSError:
        # The reader of stderr has ended. The interpreter's last flush must not fail on it and change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def print_error(error: FleetpmapError) -> None:
    """Print an error on stderr, its hint on a line of its own."""
    for line in str(error).splitlines():
        print_stderr(line)


def exit_status(snapshot: Snapshot, report: Report | None = None) -> int:
    """Return the exit status of a run.

    130 interrupted · 124 deadline · 4 no host answered · 6 the report breaks a rule · 3 a host failed, or a process's
    memory is missing · 5 nothing matched anywhere · 0 otherwise.
    """
    coverage = snapshot.coverage
    if snapshot.run.ended != "whole":
        return INTERRUPTED if snapshot.run.ended == "interrupted" else DEADLINE
    if coverage.answered == 0:
        return 4 if coverage.asked else 0  # an empty shard lacks nothing
    if report and report.broken_rules:
        return BROKEN
    if not coverage.complete:
        return 3
    return 0 if coverage.matched else 5
