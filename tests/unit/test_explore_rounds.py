"""The screen of `fleetpmap watch`: growth since the first round, trends, pause, lost hosts and the end."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bounded import wait_until
from explored import Explored
from fleetpmap.errors import FleetpmapError, UsageError
from fleetpmap.explore.places import LISTS
from fleetpmap.explore.signals import FAILED, QUIT
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import expected, failed, host, mapping, process, snapshot

MIB = 1024


def _web(name: str, heap: int) -> HostSnapshot:
    """A host with an nginx, whose heap has so many KiB."""
    heap_ = mapping("[heap]", start=0x55D0A0000000, size=heap, Rss=heap, Pss=heap, Private_Dirty=heap)
    libc = mapping("/l/libc.so.6", start=0x7F1000000000, size=1640, Rss=1200, Pss=107, Private_Dirty=17)
    one = process(700, "nginx", heap_, libc)
    return host(name, replace(one, process=replace(one.process, service="nginx")))


def _round(*heaps: int | None) -> Snapshot:
    """web-01, web-02 and so on with these heaps in KiB; None: the host does not answer."""
    hosts = []
    for number, heap in enumerate(heaps, 1):
        name = f"web-{number:02}"
        hosts.append(failed(name, "refused", f"{name}: port 22 refused") if heap is None else _web(name, heap))
    return snapshot(*hosts)


class Rounds(Explored):
    """A screen with an interval that never ends by itself; `look` shows the next of these rounds, as `r` does."""

    def __init__(self, *rounds: Snapshot, interval_s: float = 600.0, **source: Any) -> None:
        coming = iter(rounds)
        self.last = rounds[-1]

        def look() -> Snapshot:
            self.last = next(coming, self.last)
            return self.last

        super().__init__(None, look=look, interval_s=interval_s, **source)

    def look(self, rounds: int = 1) -> None:
        """Begin so many rounds."""
        for _ in range(rounds):
            self.press("r")

    def column(self, name: str) -> list[Any]:
        """The cells of a column of the list."""
        return self.app.grid.sheet.table.column(name).cells()


def test_a_watch_from_start_to_the_heap_that_grows():
    """Each round adds a sign; growth since the first is a column, a total and a finding that leads to the heap."""
    sizes = [(9000 + 2 * (n % 3), 9000 + 700 * n) for n in range(6)]
    with Rounds(*(_round(*size) for size in sizes), size=(110, 18)) as screen:
        screens = [screen.text]
        screen.look(5)
        screens.append(screen.text)
        screen.press("enter")
        screens.append(screen.text)
        screen.press("1")
        screens.append(screen.text)
        assert screen.place == "fleet › nginx › web-02 › pid 700 › [heap] › vmas"
    text = f"{'=' * 110}\n".join(screens)
    assert text == expected("explore-rounds.txt", text)


def test_a_mark_begins_the_growth_anew():
    """Its column then has another name, by which the list stays sorted; the trend goes on."""
    with Rounds(
        _round(9000, 9000), _round(9000, 9400), _round(9500, 9400), start="hosts", sort="since_start"
    ) as screen:
        screen.look()
        assert [row[0] for row in screen.rows] == ["web-02", "web-01"]
        screen.press("m")
        screen.look()
        assert screen.column("since_mark_kib") == [500, 0]
        assert screen.column("trend") == ["▁▁█", "▁▇▇"]
        assert "↓since_mark" in screen.header


def test_a_host_that_is_lost_and_found():
    """Its row has the reason and a gap; for the others, and for the service, it has neither shrunk nor grown."""
    there = _round(9000, 5000)
    with Rounds(there, _round(9000, None), there, start="hosts") as screen:
        screen.look()
        assert "1 of 2 hosts answered" in screen.text
        assert [row[1] for row in screen.rows] == ["ok", "refused"]
        assert (screen.column("since_start_kib"), screen.column("trend")) == ([0, None], ["▁▁", "▁·"])
        screen.press("end")
        assert "web-02: port 22 refused" in screen.text
        screen.press("v", "v", "v")
        assert screen.place == "fleet › services"
        assert (screen.column("since_start_kib"), screen.column("trend")) == ([0], ["▁▁"])
        screen.look()
        screen.press("v")
        assert (screen.column("since_start_kib"), screen.column("trend")) == ([0, 0], ["▁▁▁", "▁·▁"])


def test_a_host_that_comes_late_counts_from_its_first_answer():
    """It was as large before, as far as anyone knows: what it has is no growth of its service."""
    rounds = (_round(9000, None), _round(9000, 5000), _round(9000, 5200))
    with Rounds(*rounds) as screen:
        screen.look()
        assert screen.column("since_start_kib") == [0]
        screen.look()
        assert screen.column("since_start_kib") == [200]
        screen.press("v")
        assert (screen.column("since_start_kib"), screen.column("trend")) == ([0, 200], ["▁▁▁", "·▁▄"])


def test_the_list_keeps_its_place_when_a_finding_is_over():
    """The lines of the findings stay."""
    with Rounds(_round(9000), _round(9000 + 90 * MIB), _round(9000)) as screen:
        top = [screen.lines.index(line) for line in screen.lines if line.startswith("service")]
        screen.look()
        with_finding = [screen.lines.index(line) for line in screen.lines if line.startswith("service")]
        assert "1 nginx on web-01 (pid 700): [heap] grew by 90M" in screen.text
        screen.look()
        assert "grew by" not in screen.text
        assert [screen.lines.index(line) for line in screen.lines if line.startswith("service")] == with_finding
        assert with_finding == [top[0] + 1]


def test_the_next_round_keeps_cursor_filter_and_columns():
    """A list that is being read does not jump."""
    with Rounds(_round(*[9000] * 40), start="hosts", size=(60, 20)) as screen:
        screen.look()
        screen.press("slash", "2", "enter", "down", "down", "right", "right")
        before = (screen.app.grid.cursor, screen.rows[screen.app.grid.cursor][0], screen.header)
        screen.look()
        assert (screen.app.grid.cursor, screen.rows[screen.app.grid.cursor][0], screen.header) == before
        assert "/2: 13 of 40 rows" in screen.text


def _until(screen: Explored, is_so: Callable[[], bool]) -> None:
    wait_until(lambda: screen.pause() or is_so(), every_s=0)


def test_a_round_comes_while_help_is_read_and_a_filter_typed():
    """Neither is disturbed."""
    with Rounds(_round(9000)) as screen:
        screen.tap("question_mark")
        screen.app.action_look()
        _until(screen, lambda: screen.app.shown.rounds == 2)
        assert "go in: service" in screen.text
        screen.press("escape", "slash", "z")
        screen.app.action_look()
        _until(screen, lambda: screen.app.shown.rounds == 3)
        assert screen.rows == []
        assert screen.app.query_one("#prompt").value == "z"


def test_rounds_come_by_themselves_until_a_pause():
    """p begins none, r asks once all the same, and p goes on."""
    with Rounds(_round(9000)) as screen:
        screen.app.asking._source = replace(screen.app.source, interval_s=0.01)
        screen.tap("r")
        _until(screen, lambda: screen.app.shown.rounds > 3)
        screen.press("p")
        assert "PAUSED" in screen.lines[0]
        rounds = screen.app.shown.rounds
        for _ in range(5):
            screen.pause()
        assert screen.app.shown.rounds == rounds
        screen.press("r")
        assert screen.app.shown.rounds == rounds + 1
        screen.tap("p")
        _until(screen, lambda: screen.app.shown.rounds > rounds + 2)
        screen.press("p")


def test_the_rounds_are_counted():
    """After the last one the program ends, as by q."""
    screen = Rounds(_round(9000), interval_s=0.01, count=3)
    with screen:
        _until(screen, lambda: screen.app.return_value is not None)
    assert (screen.app.return_value, screen.app.shown.rounds) == (QUIT, 3)


def test_each_round_is_saved():
    """Before it is shown."""
    saved: list[Snapshot] = []
    rounds = (_round(9000), _round(9100))
    with Rounds(*rounds, save=saved.append) as screen:
        screen.look()
    assert saved == [*rounds]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"save": "full"}, "night/: no space left"),
        ({"sort": "psss"}, '--sort: there is no column "psss" in this view'),
        ({"columns": ("host",)}, '--columns: there is no column "host" in this view'),
    ],
    ids=["a round that cannot be saved", "an order", "a column"],
)
def test_what_goes_wrong_ends_the_program(how: dict[str, Any], message: str):
    """With the error, for the command to tell."""

    def save(one: Snapshot) -> None:
        raise UsageError("night/: no space left")

    screen = Rounds(_round(9000), **(how | ({"save": save} if "save" in how else {})))
    with screen:
        pass
    assert screen.app.return_value == FAILED
    assert isinstance(screen.app.fault, FleetpmapError)
    assert message in str(screen.app.fault)


def test_the_first_list_can_be_the_comparison():
    """As --view names it; v goes on from it to the lists."""
    with Rounds(_round(9000, 9000), start="compare") as screen:
        assert screen.place == "fleet › compare"
        screen.press("v")
        assert screen.place == "fleet › services"


def test_a_round_that_fails_is_said_and_another_one_comes():
    """What was there stays on the screen."""
    rounds = iter([_round(9000), UsageError("no agent"), _round(9700)])

    def look() -> Snapshot:
        one = next(rounds)
        if isinstance(one, UsageError):
            raise one
        return one

    with Explored(None, look=look, interval_s=600.0) as screen:
        screen.press("r")
        assert "no agent" in screen.text
        assert len(screen.rows) == 1
        screen.press("r")
        assert "no agent" not in screen.text
        assert screen.app.shown.rounds == 2


def test_the_columns_and_the_order_that_were_asked_for():
    """In that order, with what rounds add; another list has its own."""
    with Rounds(_round(9000, 9700), start="hosts", columns=("pss", "host"), sort="pss", size=(160, 20)) as screen:
        assert screen.header == ["↓pss", "host", "since_start", "trend"]
        assert [row[1] for row in screen.rows] == ["web-02", "web-01"]
        screen.press("enter")
        assert {"user", "rss"} <= {*screen.header}


def test_without_mappings_nothing_leads_to_them():
    """With --rollup, only sums were read."""
    with Rounds(_round(9000, 9000), start="hosts", lists=tuple(one for one in LISTS if one != "mappings")) as screen:
        screen.press("enter", "enter")
        assert screen.place == "fleet › web-01 › processes"
        screen.press("c", "v", "v", "v")
        assert screen.place == "fleet › web-01 › processes"


def test_ascii_trends():
    """No other character is drawn by the list."""
    with Rounds(_round(9000), _round(9900), ascii_only=True) as screen:
        screen.look()
        assert screen.column("trend") == ["_#"]
        assert "\n".join(screen.lines[:-1]).isascii()


def test_rounds_keep_no_garbage():
    """What is exempt from the collector of garbage is that of the first round: a watch may run for days."""
    with Rounds(_round(100, 200)) as screen:
        exempt = gc.get_freeze_count()
        screen.look(3)
        assert gc.get_freeze_count() <= exempt


def test_differences_are_said_of_lists_that_have_them():
    """Hosts side by side are shown as they are."""
    with Rounds(_round(100, 200)) as screen:
        screen.press("d")
        assert "differences since the mark" in screen.lines[0]
        screen.press("c")
        assert screen.place == "fleet › compare"
        assert "differences" not in screen.lines[0]


def test_hosts_whose_time_ran_out_while_the_program_was_stopped_are_asked_again():
    """Their time went on behind ^Z. Without ^Z a timeout is one."""
    out_of_time = snapshot(failed("web-01", "timeout", "web-01: no time left after 60 s"))
    looks: list[Snapshot] = []

    def look() -> Snapshot:
        looks.append(_round(9000) if len(looks) == 1 else out_of_time)
        if len(looks) == 1:
            screen.app.asking.stopped = True
        return looks[-1]

    screen = Explored(None, look=look, interval_s=600.0)
    with screen:
        assert (len(looks), screen.app.shown.rounds) == (2, 1)
        assert screen.app.shown.snapshot is looks[1]
        screen.press("r")
        assert (len(looks), screen.app.shown.rounds) == (3, 2)


def _two_heaps(main: int, arena: int) -> Snapshot:
    """One process with two VMAs of one name, of so many KiB."""
    maps = [
        mapping("", start=start, size=kib, Rss=kib, Pss=kib, Private_Dirty=kib)
        for start, kib in ((0x7F0000000000, main), (0x7F1000000000, arena))
    ]
    return snapshot(host("web-01", process(700, "nginx", *maps)))


def test_the_vmas_of_the_process_that_is_open_have_trends():
    """From the round before: of two with one name, the one that grows is seen. Opened again, they begin anew."""
    rounds = [_two_heaps(9000, size) for size in (9000, 9000, 9200, 9400)]
    with Rounds(*rounds, size=(160, 20)) as screen:
        screen.look()
        screen.press("enter", "enter", "enter")
        assert screen.place == "fleet › web-01 › pid 700 › [anon] › vmas"
        assert screen.column("trend") == ["", ""]
        screen.look()
        assert screen.column("trend") == ["▁▁", "▁▄"]
        screen.look()
        assert screen.column("trend") == ["▁▁▁", "▁▄▇"]
        screen.press("backspace", "backspace", "backspace")
        screen.look()
        screen.press("enter", "enter", "enter")
        assert screen.column("trend") == ["", ""]


def test_what_tells_rows_apart_has_room_on_any_terminal():
    """Processes of one name are told apart by their pids, beside the difference and the trend."""
    with Rounds(_round(9000), size=(50, 20)) as screen:
        screen.look(15)
        screen.press("enter", "enter")
        assert screen.header[0] == "pid"
        assert screen.header[-2:] == ["since_start", "trend"]
