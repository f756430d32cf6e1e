"""The keys: what each does, for the app, the last line, the help and the palette.   [keys] ─► app, panes, dialogs"""

from __future__ import annotations

from textual.binding import Binding

from fleetpmap.explore.keyline import Key
from fleetpmap.explore.source import Source

BINDINGS = [
    Binding("backspace", "leave(False)", "Back", key_display="Bksp"),
    Binding("escape", "leave(True)", show=False),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("q,f10", "end('quit')", "Quit", key_display="q"),
    Binding("p", "pause", "Pause"),
    Binding("left_square_bracket,less_than_sign", "run(-1)", "Earlier", key_display="["),
    Binding("right_square_bracket,greater_than_sign", "run(1)", "Later", key_display="]"),
    Binding("left_curly_bracket", "run(-1000000000)", show=False),
    Binding("right_curly_bracket", "run(1000000000)", show=False),
    Binding("f", "finding(1)", "Finding"),
    Binding("F", "finding(-1)", show=False),
    *(Binding(str(number), f"finding_number({number})", show=False) for number in range(1, 10)),
    Binding("v", "next_list", "View"),
    Binding("slash,f3,f4", "filter", "Filter", key_display="/"),
    Binding("s,f6", "sort(1)", "Sort", key_display="s"),
    Binding("S", "sort(-1)", show=False),
    Binding("I", "reverse", show=False),
    Binding("m", "mark", "Mark"),
    Binding("d", "differences", show=False),
    Binding("space", "choose", show=False),
    Binding("U", "choose_none", show=False),
    Binding("c", "compare", "Compare"),
    Binding("r,f5", "look", "Refresh", key_display="r"),
    Binding("D", "doctor", show=False),
    Binding("n", "notes", show=False),
    Binding("y", "copy", show=False),
    Binding("w", "write", "Write"),
    Binding("colon", "command_palette", show=False),
    Binding("ctrl+z", "suspend_process", show=False, priority=True),
    Binding("ctrl+c,ctrl+q", "end('interrupted')", show=False, priority=True),
]
"""In the order of the last line, which shows as many as have room."""


def useful(source: Source, *, is_asked: bool, has_findings: bool, can_leave: bool, can_enter: bool) -> list[Key]:
    """Return the keys that do something, in the order of the last line; `is_asked`: there is a list."""
    useless = {
        "sort(1)": not is_asked,
        "mark": not is_asked,
        "compare": not is_asked,
        "write": not is_asked,
        "look": source.look is None and source.runs is None,
        "pause": source.interval_s is None,
        "run(-1)": source.runs is None,
        "run(1)": source.runs is None,
        "finding(1)": not has_findings,
        "leave(False)": not can_leave,
    }
    own = [binding for binding in BINDINGS if binding.show and not useless.get(binding.action)]
    enter = [("Enter", "Go in", "")] if can_enter else []
    return [*enter, *((one.key_display or one.key, one.description, one.action) for one in own)]


HELP = (
    ("Arrows h j k l", "move, as PgUp, PgDn, Home, End; Left, Right: more columns"),
    ("Enter", "go in: service, host, process, mapping, VMA, its fields"),
    ("Backspace Esc", "go back, to the row and filter of before; Esc ends a filter"),
    ("v", "the next list here: services, hosts, processes, mappings"),
    ("f F 1-9", "go to the next finding, the one before, or that number"),
    ("Tab", "move to the findings; Esc: back to the list"),
    ("/", "show the rows that have a text; Enter keeps the filter"),
    ("s S I", "sort by the next column, the one before; turn the order"),
    ("m d", "mark a baseline; show all sizes as differences from it"),
    ("Space U", "choose a row to compare; choose none"),
    ("c", "compare the chosen rows side by side, or else the hosts"),
    ("[ ] { }", "of a directory: previous, next, first and last run"),
    ("r p", "ask the hosts again, or look for new runs; pause"),
    ("D", "run doctor on the host of the row"),
    ("n", "all notes on this list and row"),
    ("y w", "copy the row (OSC 52); write the list or snapshot to a file"),
    (":", "all commands by name, a column to sort by, colours"),
    ("? q ^C ^Z", "this help; quit; quit with status 130; stop until fg"),
    ("F1 F3 F5 F6 F10", "help, filter, ask again, sort, quit, as in htop"),
    ("Mouse", "click a row (twice: go in), a header, a key, the time line"),
)
"""The keys with their meanings."""

COMMANDS = (
    ("filter", "filter", "filter the rows by a text"),
    ("reverse", "reverse", "sort the other way round"),
    ("mark", "mark", "make this snapshot the baseline"),
    ("differences", "differences", "sizes as differences from the mark"),
    ("compare", "compare", "the chosen rows side by side, or else the hosts"),
    ("choose none", "choose_none", "choose nothing to be compared"),
    ("refresh", "look", "ask the hosts again"),
    ("pause", "pause", "begin no further round, or go on"),
    ("doctor", "doctor", "try each step to the host of this row"),
    ("write", "write", "write what is shown to a file"),
    ("copy", "copy", "copy the row"),
    ("notes", "notes", "all notes on this list and row"),
    ("help", "help", "the keys"),
    ("theme", "change_theme", "other colours"),
    ("quit", "quit", "end the program"),
)
"""Commands of the palette beside the lists: name, action of the app, meaning."""
