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


def test_a_host_that_hangs_holds_no_key(fleet: Snapshot):
    """While hosts are asked, keys work on what is there; the answer is shown when it comes."""
    answered = threading.Event()

    def look() -> Snapshot:
        answered.wait(30)
        return snapshot(_web("web-99", 1, 9))

    with Explored(fleet, look=look) as screen:
        screen._runner.run(screen._pilot.press("r", "v", "down", "enter"))
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
        assert "\n".join(screen.lines[:-1]).isascii()


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
        screen._runner.run(screen._pilot.press("q"))
    assert (screen.app.return_value, screen.app.return_code) == ("quit", 0)


@pytest.mark.parametrize(("keys", "result"), [(("q",), "quit"), (("ctrl+c",), "interrupted")])
def test_the_ways_to_end(fleet: Snapshot, keys: tuple[str, ...], result: str):
    """Each with its own result, of which the command makes the exit status."""
    screen = Explored(fleet)
    with screen:
        screen._runner.run(screen._pilot.press(*keys))
    assert screen.app.return_value == result


def test_the_lines_of_a_sheet_are_made_as_they_are_looked_at():
    """Of 60,000 rows two blocks are formatted, not all."""
    one = process(1, "nginx", *(mapping(f"/l/{n}", start=n << 20, size=9, Rss=n, Pss=n) for n in range(2000)))
    table = VIEWS["mappings"](snapshot(host("web-01", one)), ViewOptions()).tables[0]
    sheet = Sheet(table)
    sheet.arrange(100, None)
    sheet.line(0)
    sheet.line(1999)
    assert sorted(sheet._blocks) == [0, 62]
