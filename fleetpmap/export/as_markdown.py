"""A report to paste into an issue or a wiki.   report ─► [as_markdown] ─► file

GitHub's Markdown (https://github.github.com/gfm/): the findings, every table with its totals as the last row,
coverage, failures, notes and the command. A view that is a text (pmap) becomes a fenced block.

Texts are escaped as in every format (see escape) and then put into code spans. Nothing is interpreted there, so the
name of a process cannot bring a link, markup or a mention of a user; and it cannot end its span, since the fence is
longer than any run of backticks inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from fleetpmap.escape import escape
from fleetpmap.report.failures import folded
from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, Cell, Column, Report, Table
from fleetpmap.report.notes import UPPER_BOUND, coverage_sentence, freed_sentence

_CHUNK = 16_384
"""Rows turned into texts at a time."""
_TEXTS = frozenset({"text", "flag"})
"""Units of left-aligned columns."""
_SENTENCES = frozenset({"error", "meaning", "note"})
"""Columns of sentences: our own words, with a host's words among them."""
_BACKTICKS = re.compile("`+")
_COLUMN = re.compile(r"[a-z]+(_[a-z]+)*")
_WORD = re.compile(r"(?P<open>\(?)(?:`(?P<code>[^`]+)`|(?P<word>\S+?))(?P<close>[?]?\)?[,;:.]?)(?=\s|$)")
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[-'][A-Za-z0-9]+)*|[+−-]?\d+(?:[.,]\d+)*|[%=≤±×·–−]")
"""Words without a meaning in Markdown: no link, no emphasis, no mention."""
_NUMBERED = re.compile(r"^(\d+)([.)])")
"""The beginning of a sentence that Markdown would take for a list item."""


def write_markdown(report: Report, file: BinaryIO) -> None:
    """Write the whole report."""
    for block in _blocks(report):
        file.write(block.encode())


def _blocks(report: Report) -> Iterator[str]:
    findings = [finding.text + (f": `{finding.next}`" if finding.next else "") for finding in report.findings]
    yield from _list(findings)
    if report.text is not None:
        yield _fenced(report.text)
    else:
        for table in report.in_order:
            yield from _table(table)
            yield "\n"
    coverage = coverage_sentence(report.coverage, listed_only=report.listed_only)
    if coverage:
        yield f"{_sentence(coverage)}\n\n"
    failures = folded(report.coverage.failures)
    yield from _list(
        f"{failure.hosts}: {failure.message}" + (f" ({failure.advice})" if failure.advice else "")
        for failure in failures
    )
    if report.notes:
        yield "Notes:\n\n"  # without this line they would be items of the list above
    yield from _list(report.notes)
    if report.has_upper_bounds:
        yield f"{UPPER_BOUND}\n\n"
    if freed := freed_sentence(report):
        yield f"{freed}\n\n"
    yield from (_code(escape(report.run.command)), ", ") if report.run.command else ()
    yield f"{report.run.started:%Y-%m-%d %H:%M:%S %z}\n"


def _table(table: Table) -> Iterator[str]:
    columns = [_written(column) for column in table.columns]
    names = [column.name if _COLUMN.fullmatch(column.name) else _cell(column.name) for column in columns]
    yield _row(names)
    yield _row("---" if column.unit in _TEXTS else "---:" for column in columns)
    for start in range(0, len(table), _CHUNK):
        stop = min(start + _CHUNK, len(table))
        cells = [_cells(column, table, start, stop) for column in columns]
        yield "".join(map(_row, zip(*cells, strict=True)))
    if table.has_totals:
        yield _row(_totals(columns))


def _written(column: Column) -> Column:
    """Return the column with its texts written as Markdown cells."""
    if column.unit != "text":
        return column
    return column.with_texts(lambda text: _sentence(_one_cell(text)) if column.name in _SENTENCES else _cell(text))


def _cells(column: Column, table: Table, start: int, stop: int) -> list[str]:
    cells = column.cells(start, stop)
    texts = [_shown(column, cell, is_count=row < table.counts) for row, cell in enumerate(cells, start)]
    if table.more and stop == len(table) and column.rule is None and cells[-1] is None:
        texts[-1] = ""  # no total for `(N more)`, which is not the same as unknown
    return texts


def _shown(column: Column, cell: Cell, *, is_count: bool) -> str:
    if cell is None:
        return column.null
    if column.unit == "flag":
        return "yes" if cell else "no"
    if cell == NOT_MAPPED:
        return "-"
    if cell == NOT_RUN and column.unit in ("KiB", "delta"):
        return "."
    return f"{cell:+d}" if column.unit == "delta" and cell and not is_count else str(cell)


def _totals(columns: list[Column]) -> list[str]:
    totals = [f"**{_total(column)}**" if column.rule else "" for column in columns]
    for slot in (0, -1):
        if not totals[slot]:
            totals[slot] = "**total**"
            break
    return totals


def _total(column: Column) -> str:
    text = _shown(column, column.total, is_count=False)
    return f"≤{text}" if column.at_most else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return _code(_one_cell(text)) if text else ""


def _one_cell(text: str) -> str:
    r"""Escape a text for a cell. Every reader takes `\|` for a bar; of `\\|`, some make a bar, others end the cell."""
    return re.sub(r"\\\|", r"\\\\\\x7c", escape(text)).replace("|", r"\|")


def _code(text: str) -> str:
    """Put a text into a code span. Readers strip one space at each end if both ends have one, so it is added here."""
    fence = "`" * (max(map(len, _BACKTICKS.findall(text)), default=0) + 1)
    space = " " if text.strip(" ") and (text[0] + text[-1]).strip(" `") != text[0] + text[-1] else ""
    return f"{fence}{space}{text}{space}{fence}"


def _fenced(text: str) -> str:
    r"""Put the lines of a text into a fenced block; bytes that are not UTF-8, and control characters, are escaped."""
    lines = [escape(line) for line in text.removesuffix("\n").split("\n")]
    fence = "`" * max([3, *(len(run) + 1 for line in lines for run in _BACKTICKS.findall(line))])
    return "\n".join([f"{fence}text", *lines, f"{fence}\n\n"])


def _list(sentences: Iterable[str]) -> Iterator[str]:
    items = [f"- {_sentence(escape(sentence))}\n" for sentence in sentences]
    yield "".join([*items, "\n"] if items else [])


def _sentence(text: str) -> str:
    """Format an escaped sentence: commands, and words that may come from a host, become code spans."""
    return _NUMBERED.sub(r"\1\\\2", _WORD.sub(_word, text))


def _word(match: re.Match[str]) -> str:
    code = match["code"] or match["word"]
    is_plain = match["word"] and _PLAIN.fullmatch(code)
    return match["open"] + (code if is_plain else _code(code)) + match["close"]
