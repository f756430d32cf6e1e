"""The line above the list, and the lines below it.   Shown, Sheet ─► [sentences] ─► app"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fleetpmap.escape import in_ascii
from fleetpmap.explore.listing import takes_mark
from fleetpmap.explore.places import Place
from fleetpmap.explore.sheet import Sheet
from fleetpmap.explore.shown import Shown
from fleetpmap.render.column_layout import fold_end, fold_middle, text_width
from fleetpmap.report import coverage_sentence
from fleetpmap.report.model import Cell

_DOTS = {False: "…", True: "..."}
"""What stands for what has no room; also in ASCII."""
_MOST_TYPED = 40
"""Characters of a filter that are said below the list."""
_PAUSED = "PAUSED   "
_SAID = {30: 4, 20: 3, 0: 2}
"""Lines below the list on a terminal of so many lines or more."""


def lines_below(height: int) -> int:
    """Return the number of lines below the list on a terminal of this height."""
    return next(lines for least, lines in _SAID.items() if height >= least)


def wrapped(text: str, width: int) -> list[str]:
    """Return a safe text as lines, since the end of a reason is often what matters."""
    return textwrap.wrap(text, max(width, 1), break_on_hyphens=False)


def shortened(text: str, width: int, *, ascii_only: bool) -> str:
    """Return as many whole words of a text as have room, with dots if some have none."""
    dots = _DOTS[ascii_only]
    if text_width(text) <= width:
        return text
    room = width - len(dots) - 1
    words = text[: room + 1].rpartition(" ")[0] or text[:room]
    return f"{words.rstrip(',;:')} {dots}"


def place_line(place: Place, shown: Shown, states: Sequence[str], width: int, *, paused: bool) -> str:
    """Return where one is, and as much as has room of: the time, what is shown, and what goes on; the last first."""
    line = _trail(place, shown, width - len(_PAUSED) * paused)
    line = f"{_PAUSED * paused}{line}"
    started = f"{shown.snapshot.run.started:%Y-%m-%d %H:%M:%S}" if shown.snapshot is not None else ""
    room, parts = width - text_width(line), []
    differs = "differences since the mark" if shown.everywhere and takes_mark(place) else ""
    for part in reversed((started, differs, *map(shown.safe, states))):
        if part and len(part) + 3 <= room:
            parts.append(part)
            room -= len(part) + 3
    return "   ".join([line, *reversed(parts)])


def _trail(place: Place, shown: Shown, width: int) -> str:
    """Return what was entered and the list; where it has no room, without what was entered first."""
    between = " > " if shown.ascii_only else " › "
    dots = _DOTS[shown.ascii_only]
    parts = ["fleet", *map(shown.safe, place.trail), place.level]
    whole = between.join(parts)
    for first in range(2, len(parts) - 1):
        if text_width(whole) <= width:
            break
        whole = between.join(["fleet", dots, *parts[first:]])
    if text_width(whole) > width and len(parts) > 2:
        around = between.join(["fleet", dots, "", place.level])
        whole = between.join(["fleet", dots, fold_middle(parts[-2], max(width - len(around), 1)), place.level])
    return in_ascii(whole) if shown.ascii_only else whole


def nothing(place: Place, shown: Shown) -> str:
    """Return why the list has no row."""
    if shown.filter:
        return f"no row has {shown.safe(fold_end(shown.filter, _MOST_TYPED))}: Esc ends the filter"
    coverage = shown.report(place).coverage
    is_unread = coverage.matched and not coverage.processes["read"]
    is_unread = is_unread or (coverage.asked and not coverage.answered)
    if is_unread:
        return "nothing could be read here"
    return "nothing is here" if coverage.matched else "no process matched"


def below(
    place: Place, shown: Shown, sheet: Sheet, host: Cell, folded: Sequence[str], width: int, most: int
) -> list[str]:
    """Return the lines below the list, at most so many: what is told, with one line for columns and the first note."""
    texts, columns, notes = told(place, shown, sheet, host, folded)
    others = f" ({len(notes) - 1} more by n)" if len(notes) > 1 else ""
    note = [f"note{others}: {notes[0]}"] if notes else []
    lines: list[str] = []
    for text in (*texts, *columns, *note):
        room = min(1 if text in columns else most, most - len(lines))
        lines += within(shown.safe(text), width, room, ascii_only=shown.ascii_only)
    return lines


def told(
    place: Place, shown: Shown, sheet: Sheet, host: Cell, folded: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Return what is told of a list: texts, columns that are not drawn, and notes.

    The texts are: why the host of the row failed; coverage; the texts of the row that are folded in the list.
    """
    report = shown.report(place)
    failure = next((one for one in report.coverage.failures if one.host == host), None)
    reason = "" if failure is None else f"{failure.message}{f'; {failure.hint}' if failure.hint else ''}"
    facts = coverage_sentence(report.coverage)
    if shown.filter:
        typed = fold_end(shown.filter, _MOST_TYPED)
        facts = f"/{typed}: {len(sheet.rows)} of {len(sheet.table)} rows, totals of all; {facts}".removesuffix("; ")
    left_out, unknown = sheet.left_out, [name.removesuffix("_kib") for name in sheet.unknown]
    more = f"{len(left_out)} more column{'' if len(left_out) == 1 else 's'} by Right: "
    columns = [
        more + ", ".join(header.strip() for header in left_out) if left_out else "",
        f"unknown everywhere: {', '.join(unknown)}" if unknown else "",
    ]
    texts = (reason, facts, ", ".join(folded))
    return [text for text in texts if text], [text for text in columns if text], [*shown.hints, *report.notes]


def within(text: str, width: int, most: int, *, ascii_only: bool) -> list[str]:
    """Return a safe text as so many lines at most, of which the last ends with dots if not all of it has room."""
    lines = wrapped(text, width)
    if len(lines) > most > 0:
        lines[most - 1] = shortened(" ".join(lines[most - 1 : most + 1]), width, ascii_only=ascii_only)
    return lines[: max(most, 0)]
