"""A report on a terminal.   report ─► cells ─► layout ─► [terminal] ─► rich

rich measures each cell of its own tables several times, which takes seconds for thousands of rows; here a line is one
string, and rich adds the colour and knows the width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from fleetpmap.escape import escape
from fleetpmap.render.cells import NUMERIC, cell_texts, label_slot, shown_columns, total_text
from fleetpmap.render.layout import GAP, Laid, fit, fold_end
from fleetpmap.report.base import Column, Report, Table
from fleetpmap.report.notes import coverage_sentence

_BOLD = Style(bold=True)
_DIM = Style(dim=True)
_GOOD = Style(color="green")
_WARN = Style(color="yellow")
_FAILED = Style(color="red", bold=True)
_STATUS_STYLES = {
    **dict.fromkeys(("ok", "read"), _GOOD),
    **dict.fromkeys(("partial", "denied", "skipped", "cut", "unsupported"), _WARN),
    **dict.fromkeys(("no-match", "not-asked", "gone", "reused", "kernel", "zombie", "empty"), _DIM),
}
"""Every other status is a host's failure."""
_AT_MOST = "≤"


class Screen:
    """A rich renderable: the report's tables and the sentences that go with them."""

    def __init__(self, report: Report, *, human: bool = False) -> None:
        self._report = report
        self._human = human

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report = self._report
        if report.text is not None:
            yield Segment(report.text)
            return
        left_out: dict[str, None] = {}
        for table in report.tables:
            if len(table):
                yield from self._table(table, options.max_width, left_out)
                yield Segment.line()
        for sentence, style in self._footer(list(left_out)):
            for line in wrap(sentence, options.max_width, break_long_words=False, break_on_hyphens=False):
                yield from _line(line, style)

    def _table(self, table: Table, width: int, left_out: dict[str, None]) -> Iterator[Segment]:
        error = next((column for column in table.columns if column.name == "error"), None)
        columns, headers = fit(self._laid(table), width)
        left_out.update(dict.fromkeys(headers))
        yield from _line(_joined(columns, [column.header for column in columns]), _BOLD)
        yield from _rows(columns, cell_texts(error, escape) if error else [""] * len(table), width)
        if table.has_totals:
            line = _joined(columns, [column.total for column in columns])
            yield from _line("─" * max(len(line), 1), _DIM)
            yield from _line(line, _BOLD)

    def _laid(self, table: Table) -> list[Laid]:
        # An error stands where the host's numbers would be: it has no column of its own.
        columns = [column for column in shown_columns(table) if column.name != "error"]
        label = label_slot(columns) if table.has_totals else None
        return [
            Laid.natural(
                column.name,
                column.name.removesuffix("_kib"),
                cell_texts(column, escape, human_sizes=self._human),
                self._label if slot == label else self._total(column),
                numeric=column.unit in NUMERIC,
            )
            for slot, column in enumerate(columns)
        ]

    @property
    def _label(self) -> str:
        return "total" if self._human else "total kB"

    def _total(self, column: Column) -> str:
        text = total_text(column, human_sizes=self._human)
        return f"{_AT_MOST}{text}" if column.rule == "upper bound" and column.total else text

    def _footer(self, left_out: Sequence[str]) -> Iterator[tuple[str, Style]]:
        report = self._report
        sentence = coverage_sentence(report.coverage, listed_only=report.view == "ps")
        yield escape(sentence), _GOOD if report.coverage.complete else _WARN + _BOLD
        for note in report.notes:
            yield escape(note), _WARN
        if any(column.rule == "upper bound" and column.total for table in report.tables for column in table.columns):
            yield f"{_AT_MOST} at most: what processes share is counted once for each of them", _DIM
        if left_out:
            yield f"no room for {', '.join(left_out)}: widen the terminal, or use --format plain", _DIM


def _rows(columns: Sequence[Laid], errors: Sequence[str], width: int) -> Iterator[Segment]:
    """The lines of a table; its status is coloured, and a row with an error ends in it."""
    padded = zip(*(column.padded(column.cells) for column in columns), strict=True)
    status = next((slot for slot, column in enumerate(columns) if column.name == "status"), None)
    heads = next((slot for slot, column in enumerate(columns) if column.numeric), len(columns))
    for row, (texts, error) in enumerate(zip(padded, errors, strict=True)):
        line = GAP.join(texts[:heads] if error else texts)
        if error:
            line += GAP + fold_end(error, width - len(line) - len(GAP))
        if status is None:
            yield from _line(line)
            continue
        before = len(GAP.join([*texts[:status], ""]))
        after = before + len(texts[status])
        yield Segment(line[:before])
        yield Segment(line[before:after], _STATUS_STYLES.get(columns[status].cells[row], _FAILED))
        yield from _line(line[after:])


def _joined(columns: Sequence[Laid], texts: Sequence[str]) -> str:
    return GAP.join(column.padded([text])[0] for column, text in zip(columns, texts, strict=True))


def _line(text: str, style: Style | None = None) -> Iterator[Segment]:
    yield Segment(text.rstrip(), style)
    yield Segment.line()
