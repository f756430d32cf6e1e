"""`fleetpmap explore` by its keys: the walk, findings, filter, order, mark, compare, write and hostile names."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from explored import Explored
from fleetpmap.errors import UsageError
from fleetpmap.explore.sheet import Sheet
from fleetpmap.report import VIEWS, Report, ViewOptions
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import Mapping, ProcessWithMappings, expected, failed, host, mapping, process, snapshot, unreadable

MIB = 1024


def _service(pid: int, name: str, *mappings: Mapping) -> ProcessWithMappings:
    """A process of the service of its own name."""
    one = process(pid, name, *mappings)
    return replace(one, process=replace(one.process, service=name))


def _web(name: str, pid: int, heap: int) -> HostSnapshot:
    """A host with nginx, whose heap has so many KiB, and a redis."""
    return host(
        name,
        _service(
            pid,
            "nginx",
            mapping("[heap]", start=0x55D0A0000000, size=heap, Rss=heap, Pss=heap, Private_Dirty=heap),
            mapping("/l/libc.so.6", start=0x7F1000000000, size=1640, perms="r-xp", Rss=1200, Pss=107, Private_Dirty=17),
        ),
        _service(
            pid + 1, "redis", mapping("[heap]", start=0x55E0A0000000, size=900, Rss=801, Pss=800, Private_Dirty=3)
        ),
    )


@pytest.fixture
def fleet() -> Snapshot:
    """Six hosts, of which web-04 leaks, and one that fails."""
    sizes = {f"web-{number:02}": 10 * MIB + number for number in range(1, 7)} | {"web-04": 700 * MIB}
    hosts = [_web(name, 100 * slot, size) for slot, (name, size) in enumerate(sizes.items(), 1)]
    return snapshot(*hosts, failed("web-07", "refused", "web-07: port 22 refused", hint="is sshd running there?"))


def test_from_the_start_to_the_heap_that_leaks(fleet: Snapshot):
    """One key, where four are allowed: the VMA of the process that has most of it."""
    with Explored(fleet) as screen:
        assert "1 nginx on web-04 (pid 400): [heap]" in screen.text
        screen.press("f")
        assert screen.place == "fleet › nginx › web-04 › pid 400 › [heap] › vmas"
        assert [row[0] for row in screen.rows] == ["55d0a0000000"]
        screen.press("escape")
        assert screen.place == "fleet › services"
        screen.press("1")
        assert screen.place.endswith("› [heap] › vmas")


def test_the_walk_down_to_the_fields_and_back(fleet: Snapshot):
    """Every level on the way, as one would see it; back the cursor is on the row that was entered."""
    with Explored(fleet, size=(100, 20)) as screen:
        screens = [screen.text]
        for keys in (["enter"], ["down", "down", "enter"], ["enter"], ["enter"], ["enter"]):
            screen.press(*keys)
            screens.append(screen.text)
        assert screen.place == "fleet › nginx › web-03 › pid 300 › [heap] › 55d0a0000000 › fields"
        screen.press("enter")
        assert screen.place.endswith("fields")
        screen.press("backspace", "escape", "backspace", "backspace")
        assert (screen.place, screen.app.grid.cursor) == ("fleet › nginx › hosts", 2)
        screen.press("backspace", "backspace", "backspace")
        assert screen.place == "fleet › services"
    text = f"{'=' * 100}\n".join(screens)
    assert text == expected("explore-walk.txt", text)


def test_the_other_way_from_a_mapping_to_its_hosts(fleet: Snapshot):
    """The mappings of the fleet, the hosts of one, its processes there, its VMAs."""
    with Explored(fleet) as screen:
        screen.press("v", "v", "v")
        assert screen.place == "fleet › mappings"
        assert [row[0] for row in screen.rows] == ["[heap]", "libc.so.6"]
        screen.press("end", "enter")
        assert screen.place == "fleet › libc.so.6 › hosts"
        screen.press("enter")
        assert screen.place == "fleet › web-01 › libc.so.6 › processes"
        screen.press("enter")
        assert screen.place == "fleet › web-01 › pid 100 › libc.so.6 › vmas"


@pytest.mark.parametrize(("keys", "view"), [((), "services"), (("v",), "hosts"), (("v", "v"), "processes")])
def test_the_numbers_are_those_of_run(fleet: Snapshot, keys: tuple[str, ...], view: str):
    """Each cell and total of PSS is that of the view, as a run would print it."""
    theirs = VIEWS[view](fleet, ViewOptions()).tables[0].column("pss_kib")
    with Explored(fleet) as screen:
        screen.press(*keys)
        assert screen.app.grid.sheet is not None
        ours = screen.app.grid.sheet.table.column("pss_kib")
        assert (ours.cells(), ours.total) == (theirs.cells(), theirs.total)


def test_a_filter_as_it_is_typed(fleet: Snapshot):
    """Each key narrows; Enter keeps it, Escape ends it; the line below says that totals are of all rows."""
    with Explored(fleet) as screen:
        screen.press("v", "slash", "0", "4")
        assert [row[0] for row in screen.rows] == ["web-04"]
        screen.press("backspace")
        assert len(screen.rows) == 7
        screen.press("4", "enter")
        assert "/04: 1 of 7 rows, totals of all" in screen.text
        screen.press("escape")
        assert len(screen.rows) == 7
        screen.press("slash", "0", "5", "escape")
        assert len(screen.rows) == 7


def test_keys_of_the_list_are_text_while_one_types(fleet: Snapshot):
    """q does not quit, and v does not show another list."""
    with Explored(fleet) as screen:
        screen.press("slash", "q", "v", "s")
        assert screen.place == "fleet › services"
        assert screen.rows == []
        assert "no row has qvs: Esc ends the filter" in screen.text
        screen.press("escape")
        assert len(screen.rows) == 2


def test_the_order_by_keys_and_by_a_click_on_a_header(fleet: Snapshot):
    """As --sort: sizes from the largest, names from A; behind the last column as the view does."""
    with Explored(fleet) as screen:
        screen.press("v", "s")
        assert screen.header[0] == "↓host"
        assert [row[0] for row in screen.rows][:2] == ["web-01", "web-02"]
        x = screen.app.grid.sheet.header().index("pss")
        screen.click(x + 1, 0)
        assert "↓pss" in screen.header
        assert [row[0] for row in screen.rows][:3] == ["web-04", "web-06", "web-05"]
        screen.press("escape", "v", "v", "v", "v", "S")
        assert "↓pss" not in screen.header


def test_a_click_moves_the_cursor_and_another_one_enters(fleet: Snapshot):
    """As Enter does."""
    with Explored(fleet) as screen:
        screen.press("v")
        screen.click(2, 4)
        assert screen.app.grid.cursor == 3
        screen.click(2, 4)
        assert screen.place == "fleet › web-04 › processes"


def test_the_difference_from_a_mark():
    """m, then another look: since_mark tells what grew, and a sort by it finds it; d shows all sizes as differences."""
    now = [snapshot(_web("web-01", 100, 5000), _web("web-02", 200, 6000), failed("web-03", "auth", "web-03: no"))]
    with Explored(None, look=lambda: now[0]) as screen:
        screen.press("v", "m")
        now[0] = snapshot(_web("web-01", 100, 5000), _web("web-02", 200, 6300), _web("web-03", 300, 70))
        screen.press("r")
        sheet = screen.app.grid.sheet
        assert sheet.table.column("since_mark_kib").cells() == [0, 300, None]
        while "↓since_mark" not in screen.header:
            screen.press("s")
        assert [row[0] for row in screen.rows] == ["web-02", "web-01", "web-03"]
        screen.press("d")
        assert screen.app.grid.sheet.table.column("rss_kib").cells() == [0, 300, None]
        screen.press("d")
        assert screen.app.grid.sheet.table.column("rss_kib").cells() == [7001, 8301, 2071]


def test_a_row_that_is_new_since_the_mark_grew_from_nothing():
    """Where its hosts had answered then."""
    now = [snapshot(host("web-01", _service(1, "nginx", mapping("[heap]", size=9, Rss=9, Pss=9))))]
    with Explored(None, look=lambda: now[0]) as screen:
        screen.press("m")
        more = _service(2, "redis", mapping("[heap]", size=50, Rss=50, Pss=50))
        now[0] = snapshot(host("web-01", _service(1, "nginx", mapping("[heap]", size=9, Rss=9, Pss=9)), more))
        screen.press("r")
        table = screen.app.grid.sheet.table
        grown = dict(zip(table.column("service").cells(), table.column("since_mark_kib").cells(), strict=True))
        assert grown == {"nginx": 0, "redis": 50}


def test_a_process_of_a_host_that_had_failed_has_no_difference():
    """It may have been as large then: that is not known."""
    now = [snapshot(_web("web-01", 100, 5000), failed("web-03", "auth", "web-03: no"))]
    with Explored(None, look=lambda: now[0]) as screen:
        screen.press("m")
        now[0] = snapshot(_web("web-01", 100, 5000), _web("web-03", 300, 70))
        screen.press("r", "v", "v")
        table = screen.app.grid.sheet.table
        grown = dict(zip(table.column("pid").cells(), table.column("since_mark_kib").cells(), strict=True))
        assert grown == {100: 0, 101: 0, 300: None, 301: None}


def test_what_grew_since_the_mark_is_a_finding():
    """The first one, and its key goes to the mapping that grew."""
    now = [snapshot(_web("web-01", 100, 5000))]
    with Explored(None, look=lambda: now[0]) as screen:
        screen.press("m")
        now[0] = snapshot(_web("web-01", 100, 5000 + 90 * MIB))
        screen.press("r")
        assert "1 nginx on web-01 (pid 100): [heap] grew by 90M" in screen.text
        screen.press("f")
        assert screen.place == "fleet › nginx › web-01 › pid 100 › [heap] › vmas"


def test_chosen_hosts_side_by_side(fleet: Snapshot):
    """Space chooses, c compares: a column for each of them and for no other."""
    with Explored(fleet) as screen:
        screen.press("v", "down", "space", "down", "space", "c")
        names = [column.name for column in screen.app.grid.sheet.table.columns]
        assert [name for name in names if name.startswith("web")] == ["web-02", "web-04"]
        assert screen.place == "fleet › 2 hosts › compare"
        screen.resize(60, 20)
        assert [name for name in screen.header if name.startswith("web")] == ["web-02", "web-04"]
        screen.press("end", "enter")
        assert screen.place == "fleet › nginx › 2 hosts › libc.so.6 › hosts"
        screen.press("backspace", "backspace")
        assert screen.place == "fleet › hosts"


def test_a_failed_host_has_its_reason_and_its_hint(fleet: Snapshot):
    """In the line below the list, when the cursor is on it."""
    with Explored(fleet) as screen:
        screen.press("v", "end")
        assert "web-07: port 22 refused; is sshd running there?" in screen.text
        screen.press("enter")
        assert "nothing could be read here" in screen.text


def test_a_host_that_hangs_holds_no_key(fleet: Snapshot):
    """While hosts are asked, keys work on what is there; the answer is shown when it comes."""
    answered = threading.Event()

    def look() -> Snapshot:
        answered.wait(30)
        return snapshot(_web("web-99", 1, 9))

    with Explored(fleet, look=look) as screen:
        screen.tap("r", "v", "down", "enter")
        assert screen.place == "fleet › web-02 › processes"
        assert "asking the fleet …" in screen.text
        answered.set()
        screen.press("escape")
        assert screen.rows[0][0] == "web-99"


def test_a_look_that_fails_is_said(fleet: Snapshot):
    """What was there stays."""

    def look() -> Snapshot:
        raise UsageError("no agent", hint="start one")

    with Explored(fleet, look=look) as screen:
        screen.press("r")
        assert "no agent; hint: start one" in screen.text
        assert len(screen.rows) == 2


def test_doctor_of_the_selected_host(fleet: Snapshot):
    """Its steps in a frame; a key closes it. A stored run has no host to try."""
    asked: list[str] = []

    def doctor(name: str) -> Report:
        asked.append(name)
        return VIEWS["hosts"](snapshot(failed(name, "refused", f"{name}: port 22 refused")), ViewOptions())

    with Explored(fleet, doctor=doctor) as screen:
        screen.press("v", "end", "D")
        assert asked == ["web-07"]
        assert "doctor web-07" in screen.text
        assert "port 22 refused" in screen.text
        screen.press("escape")
        assert screen.place == "fleet › hosts"


def test_what_is_shown_is_what_is_written(fleet: Snapshot):
    """Order and filter are those of the screen, the snapshot that of the place; a note tells what is left out."""
    written: list[tuple[Report, Snapshot, str]] = []

    def write(report: Report, part: Snapshot, name: str) -> str:
        written.append((report, part, name))
        return f"{name}: done"

    with Explored(fleet, write=write) as screen:
        screen.press("enter", "S", "S", "slash", "w", "e", "b", "minus", "0", "4", "enter", "w")
        screen.type("x.csv")
        screen.press("enter")
        [(report, part, name)] = written
        assert (report.view, name) == ("hosts", "x.csv")
        assert report.tables[0].column("host").cells() == ["web-04"]
        assert report.notes[0] == "1 of 7 rows have 'web-04'; totals are of all"
        assert {one.name for one in part.processes} == {"nginx"}


def test_a_name_that_is_not_given_leaves_the_list_as_it_is(fleet: Snapshot):
    """Escape ends the question for the file, and not the filter."""
    with Explored(fleet, write=lambda *_: "done") as screen:
        screen.press("v", "slash", "0", "4", "enter", "w")
        assert screen.lines[-1].startswith("write to FILE.csv, .json")
        screen.press("x", "escape")
        assert [row[0] for row in screen.rows] == ["web-04"]
        assert "Quit" in screen.lines[-1]
        screen.press("escape")
        assert len(screen.rows) == 7


def test_what_cannot_be_written_is_said(fleet: Snapshot):
    """In one sentence, and the screen stays."""

    def write(report: Report, part: Snapshot, name: str) -> str:
        raise UsageError(f"{name}: its suffix does not name a format")

    with Explored(fleet, write=write) as screen:
        screen.press("w", "x", "enter")
        assert "x: its suffix does not name a format" in screen.text


HOSTILE = "[bold red]x[/] \x1b[2J\x1b]52;c;aGk=\x07\u202e[@click=app.quit]y"


def test_hostile_names_are_text(tmp_path: Path):
    """Neither markup nor control characters of a host take effect: in rows, places, findings, help and clipboard."""
    one = _service(1, HOSTILE, mapping(f"/{HOSTILE}", size=9, Rss=9, Pss=9))
    fleet = snapshot(host(HOSTILE, one), failed(f"{HOSTILE}2", "auth", HOSTILE, hint=HOSTILE))
    with Explored(fleet, size=(200, 20)) as screen:
        for keys in ((), ("enter",), ("end",), ("home", "enter"), ("enter",), ("enter",), ("enter",), ("y",), ("v",)):
            screen.press(*keys)
            assert all(line.isprintable() for line in screen.lines)
            assert "[bold red]x[/] \\x1b[2J" in screen.text
        screen.press("escape", "c")
        assert "[bold red]x[/] \\x1b[2J" in screen.text
        screen.press("slash")
        screen.press("left_square_bracket", "b")
        assert all(line.isprintable() for line in screen.lines)


def test_the_palette_has_the_lists_and_what_keys_do(fleet: Snapshot):
    """A colon, a few letters of a name and Enter."""
    with Explored(fleet) as screen:
        screen.press("colon", *"processes", "enter")
        assert screen.place == "fleet › processes"


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (250, 70)])
def test_every_size_has_its_list_and_total(fleet: Snapshot, size: tuple[int, int]):
    """No line is wider than the terminal, and a resize keeps the place."""
    with Explored(fleet, size=(100, 30)) as screen:
        screen.press("v", "down", "down")
        screen.resize(*size)
        assert len(screen.lines) == size[1]
        assert max(map(len, screen.lines)) <= size[0]
        assert any(line.startswith("web-03") for line in screen.lines)
        assert any(line.startswith("total") for line in screen.lines)
        assert screen.app.grid.cursor == 2


def test_ascii_alone(fleet: Snapshot):
    """In the C locale no other character is drawn by the list, its lines and the place."""
    with Explored(fleet, ascii_only=True, size=(140, 30)) as screen:
        screen.press("s")
        assert screen.text.isascii()
        for keys in (("w", "x"), ("escape", "question_mark"), ("escape", "colon"), (*"theme", "enter")):
            screen.press(*keys)
            assert screen.text.isascii()


def test_the_columns_that_have_no_room_come_in_by_right(fleet: Snapshot):
    """They are named, and the first column stays."""
    with Explored(fleet, size=(60, 24)) as screen:
        assert "by Right: " in screen.text
        assert "newest" not in screen.header
        screen.press(*["right"] * 12)
        assert screen.header[0] == "service"
        assert "newest" in screen.header


@pytest.mark.parametrize(
    "nearly_nothing",
    [
        snapshot(),
        snapshot(host("web-01")),
        snapshot(failed("web-01", "auth", "web-01: no")),
        snapshot(host("web-01", unreadable(5, "x", 500))),
    ],
    ids=["no host", "no match", "only failures", "only a denied process"],
)
def test_every_key_where_there_is_nearly_nothing(nearly_nothing: Snapshot):
    """No list, no row and no finding is needed by any key, and q is still the end."""
    with Explored(nearly_nothing) as screen:
        screen.press(*"vvvv", "enter", "s", "S", "m", "d", "end", "c", "enter", "enter", "backspace", "y", "space")
        screen.press("f", "1", "D", "right", "left", "slash", "x", "enter", "escape", "escape", "escape")
        screen.tap("q")
    assert (screen.app.return_value, screen.app.return_code) == ("quit", 0)


@pytest.mark.parametrize(("keys", "result"), [(("q",), "quit"), (("ctrl+c",), "interrupted")])
def test_the_ways_to_end(fleet: Snapshot, keys: tuple[str, ...], result: str):
    """Each with its own result, of which the command makes the exit status."""
    screen = Explored(fleet)
    with screen:
        screen.tap(*keys)
    assert screen.app.return_value == result


def test_an_interrupt_before_the_screen_ends_it(fleet: Snapshot):
    """^C while the program starts: no host would be asked any more."""
    stop = threading.Event()
    stop.set()
    with Explored(None, look=lambda: fleet, stop=stop) as screen:
        pass
    assert screen.app.return_value == "interrupted"


def test_keys_before_the_first_answer(fleet: Snapshot):
    """A list and a filter are those of the answer; there is nothing to mark or to sort."""
    answered = threading.Event()

    def look() -> Snapshot:
        answered.wait(30)
        return fleet

    with Explored(None, look=look, settles=False) as screen:
        screen.tap("v", "slash", "0", "4", "enter", "m", "s", "c", "w", "enter", "y", "end", "d")
        assert "Mark" not in screen.lines[-1]
        answered.set()
        screen.settle()
        assert screen.place == "fleet › hosts"
        assert [row[0] for row in screen.rows] == ["web-04"]
        assert "since_mark" not in screen.header


def test_the_lines_of_a_sheet_are_made_as_they_are_looked_at():
    """Of 60,000 rows two blocks are formatted, not all."""
    one = process(1, "nginx", *(mapping(f"/l/{n}", start=n << 20, size=9, Rss=n, Pss=n) for n in range(2000)))
    table = VIEWS["mappings"](snapshot(host("web-01", one)), ViewOptions()).tables[0]
    sheet = Sheet(table)
    sheet.arrange(100, None)
    sheet.line(0)
    sheet.line(1999)
    assert sorted(sheet._blocks) == [0, 62]


def test_chosen_processes_side_by_side(fleet: Snapshot):
    """Also of other hosts and services: a column for each, with the cells of its mappings; and on to the VMAs."""
    with Explored(fleet) as screen:
        screen.press("v", "v", "space", "space")
        assert "2 of the processes chosen; c compares them" in screen.text
        screen.press("end", "k", "space", "c")
        assert screen.place == "fleet › 3 processes › compare"
        table = screen.app.grid.sheet.table
        sizes = {column.name: column.cells() for column in table.columns}
        assert sizes["mapping"] == ["[heap]", "libc.so.6"]
        assert [name for name in sizes if name.startswith("web")] == ["web-01:100", "web-01:101", "web-06:600"]
        assert sizes["web-01:100"] == [10 * MIB + 1, 107]
        assert sizes["web-01:101"] == [800, "not-mapped"]
        assert sizes["spread_kib"] == [10 * MIB + 6 - 800, 107]
        screen.press("enter")
        assert screen.place == "fleet › 3 processes › [heap] › processes"
        screen.press("enter")
        assert screen.place == "fleet › web-01 › pid 100 › [heap] › vmas"
        screen.press("backspace", "backspace", "backspace", "U")
        assert not any(line.startswith("* ") for line in screen.lines)


def test_chosen_services_side_by_side(fleet: Snapshot):
    """A column for each, with the sums of its processes; one alone is not compared."""
    with Explored(fleet) as screen:
        screen.press("space", "c")
        assert "choose one more of the services, with Space" in screen.text
        screen.press("space", "c")
        assert screen.place == "fleet › 2 services › compare"
        sizes = {column.name: column.cells() for column in screen.app.grid.sheet.table.columns}
        assert sizes["mapping"] == ["processes", "[heap]", "libc.so.6"]
        assert sizes["redis"] == [6, 4800, "not-mapped"]
        screen.press("end", "enter")
        assert screen.place == "fleet › 2 services › libc.so.6 › services"


def test_the_place_that_has_no_room_keeps_its_end(fleet: Snapshot):
    """What was entered first is left out; then the name of the last is folded. The list is always there."""
    with Explored(fleet, size=(60, 20)) as screen:
        screen.press("f", "enter")
        assert screen.lines[0] == "fleet › … › pid 400 › [heap] › 55d0a0000000 › fields"
        screen.resize(34, 20)
        assert screen.lines[0] == "fleet › … › 55d0a0000000 › fields"
        screen.resize(30, 20)
        assert screen.lines[0] == "fleet › … › 55…000000 › fields"


def test_what_has_no_room_ends_at_a_word_and_is_said_whole(fleet: Snapshot):
    """Of a finding when one goes to it, or to its line in the pane."""
    with Explored(fleet, size=(60, 20)) as screen:
        [line] = [line for line in screen.lines if line.startswith("1 ")]
        assert line == "1 nginx on web-04 (pid 400): [heap] 700.0M, 690.0M above …"
        screen.press("tab")
        whole = "700.0M, 690.0M above the median of 6 hosts"
        assert whole in screen.text.replace("\n", " ")
        screen.press("escape", "down")
        assert (screen.place, screen.app.grid.cursor) == ("fleet › services", 1)
        screen.press("tab", "enter")
        assert screen.place.endswith("› vmas")
        assert whole in screen.text.replace("\n", " ")


def test_the_order_can_be_turned_round(fleet: Snapshot):
    """By another click on the header, or by I; the sign before the header says so."""
    with Explored(fleet) as screen:
        screen.press("v")
        x = screen.app.grid.sheet.header().index("pss")
        screen.click(x, 0)
        screen.click(x, 0)
        assert "↑pss" in screen.header
        assert [row[0] for row in screen.rows][-3:] == ["web-05", "web-06", "web-04"]
        screen.press("I")
        assert "↓pss" in screen.header


def test_a_click_on_a_key_of_the_last_line_does_what_the_key_does(fleet: Snapshot):
    """Those that have no room are left out whole."""
    with Explored(fleet, size=(60, 20)) as screen:
        assert screen.lines[-1] == " Enter Go in  ? Help  q Quit  f Finding  v View  / Filter"
        screen.click(screen.lines[-1].index("v View") + 3, 0, on="KeyLine")
        assert screen.place == "fleet › hosts"
        screen.click(2, 0, on="KeyLine")
        assert screen.place == "fleet › web-01 › processes"


def test_no_column_is_cut_by_the_scroll_bar():
    """Which takes the last cell where not all rows have room."""
    hosts = [_web(f"web-{number:02}", number, 10 * MIB + number) for number in range(1, 60)]
    with Explored(snapshot(*hosts)) as screen:
        screen.press("v")
        for width in range(60, 130, 9):
            screen.resize(width, 20)
            assert len(screen.app.grid.sheet.header()) < width


def test_the_row_of_process_counts_is_not_entered(fleet: Snapshot):
    """It is no mapping."""
    with Explored(fleet) as screen:
        screen.press("c", "enter")
        assert screen.place == "fleet › compare"
        assert "this row counts the processes" in screen.text


def test_other_colours_are_used_as_they_are(fleet: Snapshot):
    """A theme of Textual's has its own background; those of the terminal have none."""
    with Explored(fleet) as screen:
        screen.app.theme = "textual-light"
        screen.settle()
        assert not screen.app.ansi_color
        screen.app.theme = "ansi-light"
        screen.settle()
        assert screen.app.ansi_color


def test_many_rows_are_compared_in_a_thread():
    """A comparison of a large fleet takes longer than a key; it is shown when it is made."""
    maps = [mapping(f"/l/{n}.so", start=n << 20, size=9, Rss=9, Pss=9) for n in range(6000)]
    fleet = snapshot(*(host(f"web-{n}", process(7, "nginx", *maps)) for n in (1, 2)))
    with Explored(fleet) as screen:
        screen.press("c")
        assert screen.place == "fleet › compare"
        assert screen.app.grid.sheet.table.column("web-2").cells()[0] == 1


def test_a_text_that_is_folded_is_said_whole_below_the_list(fleet: Snapshot):
    """A path of the row under the cursor, and the meaning of a field that has no room."""
    path = "/usr/lib/python3/dist-packages/package_of_the_team/extension.cpython-311-x86_64-linux-gnu.so"
    one = snapshot(host("web-01", process(5, "nginx", mapping("[heap]", size=8, Rss=8), mapping(path, size=9, Rss=9))))
    with Explored(one, size=(60, 20)) as screen:
        screen.press("v", "v")
        name = "extension.cpython-311-x86_64-linux-gnu.so"
        assert screen.rows[0][0] == "extensi…_64-linux-gnu.so"
        assert f"mapping: {name}" in screen.text
        screen.press("down")
        assert name not in screen.text
        screen.press("home", "enter", "enter", "enter", "enter")
        assert screen.place.endswith("fields")
        screen.press("end")
        while screen.app.grid.sheet.cell(screen.app.grid.cursor, "field") != "path":
            screen.press("up")
        assert f"value: {path}" in screen.text.replace("\n", "")


def test_the_lists_of_a_failed_host_have_its_reason(fleet: Snapshot):
    """Where there is no row that it could be said of."""
    with Explored(fleet) as screen:
        screen.press("v", "end", "enter")
        assert screen.place == "fleet › web-07 › processes"
        assert "nothing could be read here" in screen.text
        assert "web-07: port 22 refused; is sshd running there?" in screen.text


def test_a_process_that_could_not_be_read_is_not_empty():
    """A host answered, but not about its mappings."""
    with Explored(snapshot(host("web-01", unreadable(5, "x", 500)))) as screen:
        screen.press("enter", "enter", "enter", "enter")
        assert screen.place == "fleet › web-01 › pid 5 › (not readable) › vmas"
        assert "nothing could be read here" in screen.text


def test_the_keys_of_vim_and_htop(fleet: Snapshot):
    """h and l are Left and Right; F1, F3, F6 and F10 are help, filter, sort and quit, as there."""
    with Explored(fleet, size=(60, 20)) as screen:
        screen.press("v")
        before = screen.header
        screen.press("l")
        assert screen.header != before
        screen.press("h", "f6")
        assert screen.header[0] == "↓host"
        screen.press("f3", "0", "4", "enter")
        assert [row[0] for row in screen.rows] == ["web-04"]
        screen.press("f1")
        assert "arrows scroll" in screen.text
        screen.press("f10")
        assert "arrows scroll" not in screen.text
        screen.tap("f10")
    assert screen.app.return_value == "quit"


def test_a_file_that_exists_is_replaced_by_a_second_enter(fleet: Snapshot, tmp_path: Path, monkeypatch):
    """Before that it stays, also by Escape; a name may begin with ~."""
    written: list[str] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_text("of yesterday")

    def write(report: Report, part: Snapshot, name: str) -> str:
        written.append(name)
        return "done"

    with Explored(fleet, write=write) as screen:
        screen.press("w", "tilde", "slash", "a", "enter")
        assert "~/a exists: Enter replaces it, Esc leaves it as it is" in screen.text
        screen.press("escape", "w", "tilde", "slash", "b", "enter")
        assert written == [f"{tmp_path}/b"]
        screen.press("w", "tilde", "slash", "a", "enter", "enter")
        assert written == [f"{tmp_path}/b", f"{tmp_path}/a"]
        assert "done" in screen.text
        screen.press("w")
        screen.burst("x" * 300)
        screen.press("enter")
        assert written[2] == "x" * 300


def test_a_file_that_is_written_slowly_holds_no_key(fleet: Snapshot):
    """The page of a large fleet takes seconds."""
    end = threading.Event()

    def write(report: Report, part: Snapshot, name: str) -> str:
        end.wait(20)
        return f"{name}: done"

    with Explored(fleet, write=write) as screen:
        screen.tap("w", "x", "enter", "v")
        screen.pause()
        assert screen.place == "fleet › hosts"
        assert "writing x …" in screen.lines[0]
        end.set()
        screen.settle()
        assert "x: done" in screen.text


def test_keys_that_come_together_are_taken_by_what_they_are_meant_for(fleet: Snapshot):
    """A command behind the colon; behind q they are nobody's."""
    with Explored(fleet) as screen:
        screen.burst(":mark")
        screen.press("enter")
        assert "marked: since_mark" in screen.text
        screen.burst("qxyz")
    assert (screen.app.return_value, screen.app.return_code) == ("quit", 0)
