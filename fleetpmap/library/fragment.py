"""Results as a piece of html, for notebooks.   Report, Table ─► [fragment] ─► conversion

The tables are those of an html page, and of the same text; the report's form for a terminal is taken, since a notebook
shows it among other things. There is no script in it and no request, it inherits the notebook's colours, and any text
of a host is escaped twice: as in every format, and for html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape as escape_html

import numpy as np

from fleetpmap.escape import escape, escape_cell
from fleetpmap.export.as_html.tables import Head, Shown, shown
from fleetpmap.render.zeros import without_zeros
from fleetpmap.report.failures import folded
from fleetpmap.report.finding import Finding, told
from fleetpmap.report.model import Report, Table
from fleetpmap.report.notes import UPPER_BOUND, coverage_sentence
from fleetpmap.report.shape import rows_of

MOST_ROWS = 30
"""Rows shown of one table; the data frames have all of them."""
MOST_LINES = 200
"""Lines shown of a view that is a text."""
_UNITS = "Sizes are KiB."
_STYLE = """<style>
.fleetpmap table {border-collapse: collapse; margin: .6em 0; font-variant-numeric: tabular-nums}
.fleetpmap th, .fleetpmap td {padding: .15em .7em; text-align: left; white-space: nowrap; border: 0}
.fleetpmap td.w {white-space: normal; overflow-wrap: anywhere; min-width: 12em}
.fleetpmap .n {text-align: right}
.fleetpmap thead th, .fleetpmap tfoot td {border: 0 solid currentcolor}
.fleetpmap thead th {border-bottom-width: 1px}
.fleetpmap tfoot td {border-top-width: 1px; font-weight: bold}
.fleetpmap .u, .fleetpmap p.hint {opacity: .65}
.fleetpmap .wide {overflow-x: auto}
.fleetpmap p {margin: .2em 0}
</style>"""


def report_html(report: Report) -> str:
    """Return the findings, the tables, the coverage and the notes of a report."""
    return _framed(_report_parts(report.brief or report, report))


def table_html(table: Table) -> str:
    """Return one table."""
    return _framed(_tables_parts((table,)))


def _framed(parts: Iterable[str]) -> str:
    return "\n".join((_STYLE, '<div class="fleetpmap">', *parts, "</div>"))


def _report_parts(brief: Report, report: Report) -> Iterator[str]:
    findings, others = told(report.findings)
    for finding in findings:
        yield _paragraph(finding.text)
        if finding.next:
            yield f'<p class="hint"><code>{_text(finding.next)}</code></p>'
    if others:
        yield _paragraph(others)
    if report.text is not None:
        lines = report.text.splitlines()
        yield f"<pre>{escape_html(chr(10).join(map(escape, lines[:MOST_LINES])))}</pre>"
        yield from _left_out(len(lines) - MOST_LINES, "lines")
    else:
        yield from _tables_parts(brief.in_order, findings)
    yield _paragraph(coverage_sentence(report.coverage, listed_only=report.listed_only))
    for failure in folded(report.coverage.failures):
        yield _paragraph(f"{failure.hosts}: {failure.message}" + (f" ({failure.advice})" if failure.advice else ""))
    for note in (*brief.notes, UPPER_BOUND) if report.has_upper_bounds else brief.notes:
        yield f'<p class="hint">{_text(note)}</p>'


def _tables_parts(tables: Sequence[Table], findings: Sequence[Finding] = ()) -> Iterator[str]:
    """Yield the tables without columns and rows of zeros, and the sentences that name these."""
    some, sentences = without_zeros(tables, findings)
    for table in some:
        yield from _table_parts(table)
    for sentence in (_UNITS, *sentences):
        yield f'<p class="hint">{_text(sentence)}</p>'


def _table_parts(table: Table) -> Iterator[str]:
    left = len(table) - MOST_ROWS
    if left > 1:  # one row more is as short as the sentence
        table = rows_of(table, np.arange(MOST_ROWS))
    drawn = shown(table)
    yield f"<div class='wide'><table><thead><tr>{''.join(map(_head, drawn.heads))}</tr></thead><tbody>"
    for row in drawn.rows:
        yield f"<tr>{''.join(map(_cell, row))}</tr>"
    yield "</tbody>"
    if drawn.total:
        yield f"<tfoot><tr>{''.join(map(_cell, drawn.total))}</tr></tfoot>"
    yield "</table></div>"
    if left > 1:
        yield from _left_out(left, "rows")


def _left_out(left: int, what: str) -> Iterator[str]:
    if left > 0:
        yield f'<p class="hint">({left:,} more {what})</p>'


def _head(head: Head) -> str:
    return f'<th class="{head.css}">{_text(head.text)}</th>'


def _cell(cell: Shown) -> str:
    return f'<td class="{cell.css}">{escape_html(escape_cell(cell.text))}</td>'


def _paragraph(sentence: str) -> str:
    return f"<p>{_text(sentence)}</p>"


def _text(text: str) -> str:
    return escape_html(escape(text))
