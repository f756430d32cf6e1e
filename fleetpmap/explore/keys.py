"""The keys: what each does, for the app, the last line, the help and the palette.   [keys] ─► app, panes, dialogs"""

from __future__ import annotations

from textual.binding import Binding

from fleetpmap.explore.keyline import Key
from fleetpmap.explore.source import Source

BINDINGS = [
    Binding("backspace", "leave", "Back", key_display="Bksp"),
    Binding("escape", "leave", show=False),
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
    Binding("y", "copy", show=False),
    Binding("w", "write", "Write"),
    Binding("colon", "command_palette", show=False),
    Binding("ctrl+z", "suspend_process", show=False, priority=True),
    Binding("ctrl+c,ctrl+q", "end('interrupted')", show=False, priority=True),
]
"""In the order of the last line, which shows as many as have room."""


def useful(source: Source, *, is_asked: bool, has_findings: bool, can_leave: bool) -> list[Key]:
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
        "leave": not can_leave,
    }
    own = [binding for binding in BINDINGS if binding.show and not useless.get(binding.action)]
    return [("Enter", "Go in", ""), *((one.key_display or one.key, one.description, one.action) for one in own)]


HELP = (
    ("Arrows h j k l", "move; PgUp, PgDn, Home, End too; Left and Right: other columns"),
    ("Enter", "go into the row: service, host, process, mapping, VMA, its fields"),
    ("Backspace Esc", "go back; the cursor is where it was"),
    ("v", "the next list of this place: services, hosts, processes, mappings"),
    ("f F 1-9", "the rows of the next or previous finding, or of that number; Tab: the findings, Esc: the list"),
    ("/", "filter the rows by a text; Enter keeps it, Esc ends it"),
    ("s S I", "sort by the next or previous column, or the other way round; or click on a header"),
    ("m", "make this snapshot the baseline; the column since_mark is the difference from it"),
    ("d", "show every size as its difference from the mark; d again: as it is"),
    ("Space U", "choose a service, host or process to be compared; choose none"),
    ("c", "compare the chosen rows side by side; without a choice, all hosts of this place"),
    ("[ ] < >", "in a directory of runs: the previous run, the next run; or click on the time line"),
    ("{ }", "in a directory of runs: the first run, the last run"),
    ("r", "ask the hosts again; in a directory of runs: look for new runs"),
    ("p", "with an interval: pause, and go on"),
    ("D", "run doctor on the host"),
    ("y", "copy the row to the clipboard (OSC 52), with tabs"),
    ("w", "write this list to a file: .csv .json .html .md ...; .parquet: the snapshot"),
    (":", "all commands, and the colours"),
    ("? q ^C ^Z", "this help; quit; stop, until fg"),
    ("F1 F3 F5 F6 F10", "help, filter, refresh, sort, quit"),
)
"""The keys with their meanings."""

COMMANDS = (
    ("filter", "filter", "filter the rows by a text"),
    ("reverse", "reverse", "sort the other way round"),
    ("mark", "mark", "make this snapshot the baseline"),
    ("differences", "differences", "sizes as differences from the mark"),
    ("compare", "compare", "the chosen rows side by side; without a choice, all hosts"),
    ("choose none", "choose_none", "choose nothing to be compared"),
    ("refresh", "look", "ask the hosts again"),
    ("pause", "pause", "begin no further round, or go on"),
    ("doctor", "doctor", "try each step to the host of this row"),
    ("write", "write", "write what is shown to a file"),
    ("copy", "copy", "copy the row"),
    ("help", "help", "the keys"),
)
"""Commands of the palette beside the lists: name, action of the app, meaning."""
