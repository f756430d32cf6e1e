"""A report on a terminal.   report ─► cells, shares ─► column_layout ─► [terminal] ─► rich

rich's own tables measure each cell several times, which takes seconds for thousands of rows. Here a line is one string;
rich adds the colour and gives the width of the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from fleetpmap.escape import escape_cell, in_ascii
from fleetpmap.render.cells import NUMERIC, cell_texts, label_slot, shown_columns, total_text
from fleetpmap.render.column_layout import GAP, LaidOutColumn, fit, fold_end, text_width
from fleetpmap.render.sentences import BOLD, DIM, Piece, finding_lines, safe, sentence, whole_line, wrapped
from fleetpmap.render.shares import has_huge_pages, share_texts
from fleetpmap.render.zeros import without_zeros
from fleetpmap.report.failures import FoldedFailure, folded
from fleetpmap.report.finding import columns_named, told
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import HUGE_PAGES, UPPER_BOUND, coverage_sentence, freed_sentence
from fleetpmap.units import without_unit

_GOOD = Style(color="green")
_WARN = Style(color="yellow")
_FAILED = Style(color="red", bold=True)
_BAR = Style(color="cyan")
STATUS_STYLES = {
    **dict.fromkeys(("ok", "read"), _GOOD),
    **dict.fromkeys(("partial", "denied", "skipped", "cut", "unsupported"), _WARN),
    **dict.fromkeys(("grown", "shrunk", "new", "restarted", "same"), Style()),
    **dict.fromkeys(("no-match", "not-asked", "gone", "reused", "kernel", "zombie", "empty", ""), DIM),
}
"""Styles of statuses; any other status is a host's failure."""
_ALL_ROWS = {"rows": "--top 0", "hosts": "--view hosts", "services": "--view services"}
"""For each table of a summary, the option that shows all of its rows."""
ASCII_SIGNS = str.maketrans("─…█▉▊▋▌▍▎▏", "-~#######.")
"""ASCII signs of the same width, for lines and bars; all other signs are translated by `in_ascii`."""


class Screen:
    """A rich renderable: the brief form of the report, its tables and sentences."""

    def __init__(self, report: Report, *, human: bool = True, ascii_only: bool = False) -> None:
        self._whole = report
        self._report = report.brief or report
        self._human = human
        self._zeros: list[str] = []
        """The sentences on what has nothing but zeros."""
        self._ascii = ascii_only

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self._ascii = self._ascii or options.ascii_only
        if self._report.narrow and not self._has_room(options.max_width):
            self._report = self._report.narrow
        tables, self._zeros = without_zeros(self._report.in_order, self._whole.findings)
        self._report = replace(self._report, tables=tables)
        for text, style in self._pieces(options.max_width):
            yield Segment(text.translate(ASCII_SIGNS) if self._ascii else text, style)

    def _has_room(self, width: int) -> bool:
        """Return True if the columns of every table fit side by side."""
        fitted = (fit(self._laid(table), width) for table in self._report.tables)
        return all(len(bands) == 1 and not left_out for bands, left_out in fitted)

    def _pieces(self, width: int) -> Iterator[Piece]:
        report = self._report
        if report.text is not None:
            yield (report.text.encode("ascii", "replace").decode() if self._ascii else report.text), None
            return
        yield from self._findings(width)
        left_out: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for table in report.tables:
            if len(table):
                unknown.update(dict.fromkeys(unknown_columns(table)))
                yield from self._table(table, width, left_out)
                yield "\n", None
        yield from self._coverage(width)
        for note in report.notes:
            yield from sentence(self._safe(note), width, _WARN)
        for text in self._legend(list(left_out), list(unknown)):
            yield from sentence(self._shown(text), width, DIM)

    def _findings(self, width: int) -> Iterator[Piece]:
        findings, others = told(self._whole.findings)
        for finding in findings:
            for text, style in finding_lines(finding, width, self._ascii):
                yield from whole_line(text, style)
        if others:
            yield from sentence(self._shown(others), width, DIM)
        if findings:
            yield "\n", None

    def _safe(self, text: str) -> str:
        return safe(text, self._ascii)

    def _shown(self, text: str) -> str:
        return in_ascii(text) if self._ascii else text

    def _table(self, table: Table, width: int, left_out: dict[str, None]) -> Iterator[Piece]:
        bands, headers = fit(self._laid(table), width)
        left_out.update(dict.fromkeys(headers))
        for slot, columns in enumerate(bands):
            if slot:
                yield "\n", None
            yield from whole_line(_joined(columns, [column.header for column in columns]), BOLD)
            yield from _rows(columns, self._errors(table), table.more > 0, width)
            if table.has_totals:
                line = _joined(columns, [column.total for column in columns])
                yield from whole_line("─" * max(text_width(line), 1), DIM)
                yield from whole_line(line, BOLD)

    def _errors(self, table: Table) -> list[str]:
        """Return the texts in place of a failed host's numbers; empty if the user chose the columns."""
        if table.share is None or all(column.name != "error" for column in table.columns):
            return [""] * len(table)
        return cell_texts(table.column("error"), self._safe, void=_void(table))

    def _laid(self, table: Table) -> list[LaidOutColumn]:
        hidden = {*unknown_columns(table), *(["error"] if table.share is not None else [])}
        columns = [column for column in shown_columns(table) if column.name not in hidden]
        label = label_slot(columns) if table.has_totals else None
        named = columns_named(told(self._whole.findings)[0]) if table.share is not None else frozenset()
        named |= {table.share or ""} if named else frozenset()
        laid = []
        for slot, column in enumerate(columns):
            total = self._label if slot == label else self._total(column)
            cells = cell_texts(column, self._safe, human_sizes=self._human, counts=table.counts, void=_void(table))
            header = without_unit(column.name)
            numeric, keep = column.unit in NUMERIC, column.is_named or column.name in named
            laid.append(LaidOutColumn.natural(column.name, header, cells, total, numeric=numeric, keep=keep))
            if column.name == table.share and (shares := share_texts(table)):
                laid.append(LaidOutColumn.natural("share", shares[0], shares[1:], "", numeric=True))
        return laid

    @property
    def _label(self) -> str:
        return "total" if self._human else "total kB"

    def _total(self, column: Column) -> str:
        text = total_text(column, human_sizes=self._human)
        return f"{'up to ' if self._ascii else '≤'}{text}" if column.at_most else text

    def _coverage(self, width: int) -> Iterator[Piece]:
        coverage = self._report.coverage
        text = coverage_sentence(coverage, listed_only=self._report.listed_only)
        asked = coverage.asked > coverage.hosts["not-asked"]
        style = _GOOD if coverage.complete else _WARN + BOLD if asked else DIM
        yield from sentence(text, width, style)
        for failure in folded(coverage.failures):
            yield from self._failure(failure, width)

    def _failure(self, failure: FoldedFailure, width: int) -> Iterator[Piece]:
        hosts, message = self._safe(failure.hosts), self._safe(failure.message)
        if text_width(hosts) > width // 2:
            hosts = hosts.replace(",", ", ")  # so that it can wrap
        first, *others = wrapped(f"{hosts}: {message}", width, indent="  ")
        end_of_hosts = len(hosts) + 1 if first.startswith(f"{hosts}:") else 0
        yield first[:end_of_hosts], _FAILED
        yield from whole_line(first[end_of_hosts:])
        for line in others:
            yield from whole_line(line)
        yield from sentence(f"  {self._safe(failure.advice)}", width, DIM, indent="    ")

    def _legend(self, left_out: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
        report = self._report
        if report.has_upper_bounds:
            yield UPPER_BOUND
        if share := next((table.share for table in report.tables if table.share and has_huge_pages(table)), None):
            yield HUGE_PAGES.format(share.removesuffix("_kib"))
        if freed := freed_sentence(report, human_sizes=self._human):
            yield freed
        known = {table.name for table in self._whole.tables if table.more}
        if cut := [_ALL_ROWS[table.name] for table in report.tables if table.more and table.name not in known]:
            yield f"(N more): all of them with {' and '.join(cut)}"
        yield from map(escape_cell, self._zeros)
        if unknown:
            names = ", ".join(name.removesuffix("_kib") for name in unknown)
            yield f"not known of any row, so not shown: {names}"
        if left_out:
            yield f"no room for {', '.join(map(str.strip, left_out))}: widen the terminal, or use --format plain"


def _rows(columns: Sequence[LaidOutColumn], errors: Sequence[str], more: bool, width: int) -> Iterator[Piece]:
    """Yield a line for each row: status and share are coloured, an error ends the row; `more`: the last row is dim."""
    padded = zip(*(column.padded(column.cells) for column in columns), strict=True)
    heads = next((slot for slot, column in enumerate(columns) if column.numeric), len(columns))
    coloured = [slot for slot, column in enumerate(columns) if column.name in ("status", "share")]
    for row, (texts, error) in enumerate(zip(padded, errors, strict=True)):
        if more and row == len(errors) - 1:
            yield from whole_line(GAP.join(texts), DIM)
        elif error:
            line = GAP.join(texts[:heads]) + GAP
            line += fold_end(error, width - text_width(line))
            yield from _coloured(line, columns, texts, [slot for slot in coloured if slot < heads], row)
        else:
            yield from _coloured(GAP.join(texts), columns, texts, coloured, row)


def _coloured(
    line: str, columns: Sequence[LaidOutColumn], texts: Sequence[str], slots: Sequence[int], row: int
) -> Iterator[Piece]:
    done = 0
    for slot in slots:
        before = len(GAP.join([*texts[:slot], ""]))
        after = before + len(texts[slot])
        yield line[done:before], None
        yield line[before:after], _BAR if columns[slot].name == "share" else _status_style(columns[slot].cells[row])
        done = after
    yield from whole_line(line[done:])


def _status_style(status: str) -> Style:
    return STATUS_STYLES.get(status, _FAILED)


def unknown_columns(table: Table) -> list[str]:
    """Return the sizes, counts and shares of which nothing is known.

    None of them if nothing is known in any column with a total, or if the user chose the columns.
    """
    unknown, is_something_known = [], False
    for column in table.columns:
        if column.rule or column.unit in ("KiB", "percent"):
            if column.total is None and {*column.cells()} == {None}:
                unknown.append(column.name)
            elif column.rule:
                is_something_known = True
    return unknown if is_something_known and table.share not in (None, *unknown) else []


def _void(table: Table) -> str | None:
    return "" if table.more else None


def _joined(columns: Sequence[LaidOutColumn], texts: Sequence[str]) -> str:
    return GAP.join(column.padded([text])[0] for column, text in zip(columns, texts, strict=True))
