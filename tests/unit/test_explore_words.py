"""What `fleetpmap explore` says: to keys that can do nothing here, of the order, in help and notes, and of doctor."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from explored import Explored
from fleetpmap.report import VIEWS, Report, ViewOptions
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import Mapping, ProcessWithMappings, failed, host, mapping, process, snapshot


def _service(pid: int, name: str | None, *mappings: Mapping) -> ProcessWithMappings:
    one = process(pid, name or "lost", *mappings)
    return replace(one, process=replace(one.process, service=name))


def _web(number: int) -> HostSnapshot:
    """A host with nginx, whose heap grows with its number, and a redis."""
    heap = mapping("[heap]", start=0x5000_0000, size=900, Rss=300 + number, Pss=200 + number)
    libc = mapping("/l/libc.so.6", start=0x7F00_0000, size=90, perms="r-xp", Rss=60, Pss=7)
    return host(f"web-{number:02}", _service(100 + number, "nginx", heap, libc), _service(7, "redis", libc))


@pytest.fixture
def fleet() -> Snapshot:
    """Twelve hosts."""
    return snapshot(*map(_web, range(1, 13)))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("x",), "x: no such key; ? has all"),
        (("f2",), "f2: no such key; ? has all"),
        (("f",), "there is no finding"),
        (("4",), "there is no finding 4"),
        (("escape",), "this is where the walk begins: q quits"),
        (("U",), "no row of this list is chosen"),
        (("c", "c"), "these rows are side by side already: Backspace goes back"),
        (("enter", "enter", "enter", "enter", "enter", "enter"), "there is nothing below a field: Backspace goes back"),
        (("v", "slash", "z", "enter", "y"), "there is no row to copy"),
    ],
)
def test_a_key_that_can_do_nothing_says_why(fleet: Snapshot, keys: tuple[str, ...], said: str):
    """In the line below the list, until the next key."""
    with Explored(fleet) as screen:
        screen.press(*keys)
        assert said in screen.lines
        screen.press("down")
        assert said not in screen.lines


def test_a_key_that_does_something_is_no_unknown_one(fleet: Snapshot):
    """Whether the app, the list or the screen takes it."""
    with Explored(fleet) as screen:
        for key in ("down", "j", "pagedown", "end", "right", "l", "v", "s", "f6", "space", "tab", "greater_than_sign"):
            screen.press(key)
            assert "no such key" not in screen.text


def test_a_row_without_a_name_cannot_be_entered():
    """The processes that belong to no service."""
    one = host("web-01", _service(1, "nginx", mapping("[heap]", size=9, Rss=9, Pss=8)), _service(2, None))
    with Explored(snapshot(one)) as screen:
        screen.press("end", "enter")
        assert screen.place == "fleet › services"
        assert "this row has no name to go by: v shows the other lists of this place" in screen.text


def test_the_order_of_the_view_is_told_and_can_be_turned_round(fleet: Snapshot):
    """Services and mappings come by their PSS; s and S begin beside it."""
    with Explored(fleet) as screen:
        assert "↓pss" in screen.header
        screen.press("I")
        assert "↑pss" in screen.header
        assert [row[0] for row in screen.rows] == ["redis", "nginx"]
    with Explored(fleet) as screen:
        screen.press("S")
        assert "↓rss" in screen.header
        screen.press(*["s"] * (len(screen.app.grid.sheet.drawable) - 1))
        assert "↓size" in screen.header  # every column comes, and then the first one again
        screen.press("c")
        assert "↓spread" in screen.header
        screen.press("escape", "v")
        assert not any("↓" in name for name in screen.header)  # hosts come in the order in which they are asked


def test_the_cursor_follows_its_row_when_the_order_changes(fleet: Snapshot):
    """On the first line it stays there: then one wants the largest."""
    with Explored(fleet) as screen:
        screen.press("v", "S", "S")
        assert screen.app.grid.cursor == 0
        screen.press("down", "down")
        row = screen.app.panes.key()
        screen.press("I")
        assert screen.app.grid.cursor == 9
        assert screen.app.panes.key() == row


def test_any_column_to_sort_by_is_a_command(fleet: Snapshot):
    """Also one that has no room."""
    with Explored(fleet, size=(60, 20)) as screen:
        screen.press("v", "colon", *"sortbysize", "enter")
        assert "↓size" in screen.header


def test_the_row_and_the_filter_are_there_on_the_way_back():
    """In sight, too, in a list that is longer than the one before."""
    with Explored(snapshot(*map(_web, range(1, 61))), size=(80, 24)) as screen:
        screen.press("v", "end", "enter", "escape")
        assert any(line.startswith("web-60") for line in screen.lines)
        screen.press("slash", "5", "enter", "end", "enter")
        assert screen.place == "fleet › web-59 › processes"
        assert len(screen.rows) == 2
        screen.press("escape")
        assert (screen.app.panes.key(), len(screen.rows)) == ({"host": "web-59"}, 15)
        screen.press("enter", "enter", "backspace", "backspace")
        assert len(screen.rows) == 15
        screen.press("escape")
        assert any(line.startswith("web-59") for line in screen.lines)
        assert len(screen.rows) == 60


def test_the_wheel_takes_the_cursor_along():
    """So that Enter is about a row that is in sight."""
    with Explored(snapshot(*map(_web, range(1, 61))), size=(80, 24)) as screen:
        screen.press("v")
        screen.wheel(10)
        assert screen.app.grid.cursor == 30
        screen.wheel(-2)
        assert screen.app.grid.cursor == 24
        assert any(line.startswith("web-25") for line in screen.lines)


def test_compared_rows_are_told_apart_on_a_narrow_terminal(fleet: Snapshot):
    """By their service, and with the spread, whatever else has no room."""
    with Explored(fleet, size=(60, 20)) as screen:
        screen.press("c")
        assert {"service", "mapping", "↓spread"} <= {*screen.header}


def test_one_host_is_compared_with_the_others(fleet: Snapshot):
    """c asks why this one has more; a fleet of one has nothing to compare it with."""
    with Explored(fleet) as screen:
        screen.press("enter", "enter", "enter", "c")
        assert screen.place == "fleet › nginx › compare"
        assert "web-[01-12]" in screen.header
    with Explored(snapshot(_web(1))) as screen:
        screen.press("c")
        assert "there is one host: choose services or processes with Space, and compare these" in screen.text
        screen.press("space", "space", "c")
        assert screen.place == "fleet › 2 services › compare"


def test_help_has_room_on_a_small_terminal(fleet: Snapshot):
    """All keys at once, on 80 × 24."""
    with Explored(fleet, size=(80, 24)) as screen:
        screen.press("question_mark")
        assert "Arrows" in screen.text
        assert "Mouse" in screen.text


def test_notes_that_have_no_room_are_there_whole(fleet: Snapshot):
    """n shows all that is said of the list and the row: reason, coverage, columns, notes."""
    reason = "web-99: " + "a long story " * 20 + "with an end"
    more = snapshot(failed("web-99", "refused", reason))
    with Explored(Snapshot.joined([fleet, more]), size=(60, 20)) as screen:
        screen.press("v", "end")
        assert "with an end" not in screen.text
        screen.press("n")
        assert "with an end" in screen.text
        assert "12 of 13 hosts answered" in screen.text
        screen.press("escape")
        assert screen.place == "fleet › hosts"


def test_a_long_filter_leaves_room_for_the_rest(fleet: Snapshot):
    """It is said in part; a pattern is a text like any other."""
    with Explored(fleet, size=(60, 20)) as screen:
        screen.press("slash")
        screen.paste("[^*(" * 100 + "\nthe second line")
        assert "no row has [^*([^*(" in screen.text
        assert "0 of 2 rows" in screen.text
        assert max(map(len, screen.lines)) <= 60
        screen.press("escape")
        assert len(screen.rows) == 2


def test_what_doctor_finds_waits_until_one_has_typed(fleet: Snapshot):
    """It takes no key of a filter, and q quits at once while it runs."""
    found = threading.Event()

    def doctor(name: str) -> Report:
        found.wait(30)
        return VIEWS["hosts"](snapshot(failed(name, "refused", f"{name}: port 22 refused")), ViewOptions())

    with Explored(fleet, doctor=doctor) as screen:
        screen.tap("v", "D")
        assert "trying web-01: what doctor finds is shown as soon as it is known" in screen.text
        screen.tap("slash", "0")
        found.set()
        screen.settle()
        screen.tap("9")
        assert "port 22 refused" not in screen.text
        screen.press("enter")
        assert [row[0] for row in screen.rows] == ["web-09"]
        screen.wait_until(lambda: "port 22 refused" in screen.text)
        screen.press("escape")
        found.clear()
        screen.tap("D", "q")
        found.set()
    assert screen.app.return_value == "quit"


def test_a_meaning_that_has_no_room_ends_with_dots(fleet: Snapshot):
    """It is a sentence; whole, it is below the list."""
    with Explored(fleet, size=(80, 24)) as screen:
        screen.press("enter", "enter", "enter", "enter", "enter", "slash", *"rss", "enter")
        [line] = [line for line in screen.lines if line.startswith("rss")]
        assert line.endswith("…")


def test_a_selection_without_a_match_tells_what_is_near():
    """As `run` does on stderr; a list of hosts without a failure has no column for it."""
    nothing = snapshot(host("web-01"), host("web-02"))
    near = ("no process has a name that matches ngnix; near it: nginx on web-01", "names alone were searched")
    with Explored(nothing, hints=lambda snapshot: near) as screen:
        assert f"note (1 more by n): {near[0]}" in screen.text
        assert "error" not in screen.header
        screen.press("enter")
        assert "  no process matched" in screen.lines
        screen.press("n")
        assert near[1] in screen.text


@pytest.mark.parametrize("hangs", [True, False])
def test_marks_and_choices_outlive_a_refresh(fleet: Snapshot, *, hangs: bool):
    """Also one in which a row is away: the cursor, the choice, the order and the filter are as before."""
    away = Snapshot.joined([snapshot(*map(_web, range(3, 13))), snapshot(failed("web-02", "timeout", "web-02: away"))])
    answers = iter([fleet, away if hangs else fleet, fleet])
    with Explored(None, look=lambda: next(answers)) as screen:
        screen.press("v", "S", "slash", "w", "enter", "down", "space", "space", "up")
        before = screen.app.panes.key(), screen.header, screen.app.shown.chosen["hosts"]
        screen.press("r", "r")
        assert (screen.app.panes.key(), screen.header, screen.app.shown.chosen["hosts"]) == before
        assert "/w: 12 of 12 rows" in screen.text
        screen.press("c")
        assert screen.place == "fleet › 2 hosts › compare"


def test_what_goes_on_is_said_below_where_it_has_no_room_above(fleet: Snapshot):
    """A key that asks the hosts is never without a word."""
    answered = threading.Event()

    def look() -> Snapshot:
        answered.wait(30)
        return fleet

    with Explored(fleet, look=look, size=(60, 20)) as screen:
        screen.press("enter", "enter", "enter", "enter", "enter")
        screen.tap("r")
        assert "asking" not in screen.lines[0]
        assert "asking the fleet …" in screen.lines
        answered.set()
        screen.settle()
        assert "asking" not in screen.text


def test_a_new_mark_ends_the_growth_since_the_old_one():
    """Its finding would tell of another span than the column."""
    sizes = iter([200, 90_000, 90_000])
    one = [mapping("[heap]", start=0x5000_0000, size=size, Rss=size, Pss=size, Private_Dirty=size) for size in sizes]
    answers = iter([snapshot(host("web-01", _service(1, "nginx", heap))) for heap in one])
    with Explored(None, look=lambda: next(answers)) as screen:
        screen.press("m", "r")
        assert "[heap] grew by" in screen.text
        screen.press("m")
        assert "grew by" not in screen.text
