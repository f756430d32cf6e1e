"""The runs of a directory as a line of time: where one is on it, gaps, the mark, and which snapshots are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from explored import Explored
from fleetpmap.errors import UsageError
from fleetpmap.explore.source import StoredRun
from fleetpmap.explore.timeline import Timeline
from fleetpmap.snapshot import Snapshot
from kept_runs import MIB
from snapshots import failed, host, mapping, process, snapshot

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def _none() -> Snapshot:
    raise AssertionError("no run is to be loaded")


def _timeline(*hours: float, shown: int = 0) -> Timeline:
    """Runs so many hours after the begin."""
    runs = [StoredRun(f"{hour}", BEGIN + timedelta(hours=hour), _none) for hour in hours]
    return Timeline(runs, runs[shown].started)


def test_the_line_has_a_sign_where_the_shown_run_is():
    """By the time, not by the number of the run; its ends are the first and the last run."""
    timeline = _timeline(0, 1, 2, 3, 4, shown=3)
    assert timeline.line(60, ascii_only=False) == "11-01 00:00 ━━━━━━━━━━━━━━━━━●━━━━━━ 11-01 04:00  run 4 of 5"
    assert timeline.line(60, ascii_only=True) == "11-01 00:00 -----------------O------ 11-01 04:00  run 4 of 5"


def test_a_gap_is_drawn_and_said():
    """Where the distance of two runs is more than 2.5 usual ones; the runs beside it say how long it is."""
    timeline = _timeline(0, 1, 2, 12, 13, shown=2)
    assert timeline.line(54, ascii_only=False) == "━━━●············━━  run 3 of 5, a gap of 10 h after it"
    timeline.step(1)
    assert timeline.line(54, ascii_only=False) == "━━━············●━  run 4 of 5, a gap of 10 h before it"


def test_the_mark_is_on_the_line_with_its_distance():
    """Before it, after it, and on it."""
    timeline = _timeline(0, 1, 2, 3, 4, shown=1)
    timeline.marked = BEGIN + timedelta(hours=2)
    assert timeline.line(75, ascii_only=False) == (
        "11-01 00:00 ━━━━●━━◆━━━━━━━ 11-01 04:00  run 2 of 5, 60 min before the mark"
    )
    timeline.step(3)
    assert timeline.line(75, ascii_only=False).endswith("run 5 of 5, 2 h after the mark")
    timeline.step(-2)
    assert timeline.line(75, ascii_only=False).endswith("run 3 of 5, the mark")


@pytest.mark.parametrize("width", [20, 40, 60, 250])
def test_the_line_has_room(width: int):
    """With less room texts are left out, never the number of the run."""
    timeline = _timeline(*range(5), 400)
    timeline.marked = BEGIN + timedelta(hours=2)
    line = timeline.line(width, ascii_only=False)
    assert len(line) <= width
    assert "run 1 of 6" in line
    assert "●" in line


def test_a_step_ends_at_the_first_and_the_last_run():
    """And says that there is no other."""
    timeline = _timeline(0, 1, 2)
    assert (timeline.step(10), timeline.wanted) == (True, 2)
    assert (timeline.step(1), timeline.wanted) == (False, 2)
    assert (timeline.step(-1), timeline.wanted) == (True, 1)
    assert (timeline.step(-(10**9)), timeline.wanted) == (True, 0)
    assert (timeline.step(-1), timeline.wanted) == (False, 0)


def test_a_click_goes_to_the_nearest_run():
    """By the time at that cell of the line; beside the line there is none."""
    timeline = _timeline(0, 1, 2, 3, 4)
    at = [timeline.place_at(x, 60) for x in (11, 12, 35, 36)]
    assert at == [None, 0.0, 1.0, None]
    timeline.go_to(0.6)
    assert timeline.wanted == 2


def test_few_snapshots_are_kept():
    """Those of the run that is shown and of the runs nearest to it."""
    timeline, none = _timeline(*range(5)), snapshot()
    for run in (*timeline.runs, timeline.runs[2]):
        timeline.show(run, none)
    assert [timeline.kept(run) is not None for run in timeline.runs] == [False, False, True, True, False]


def _web(heap: int, pid: int = 7) -> Snapshot:
    return snapshot(
        host(
            "web-01",
            process(pid, "nginx", mapping("[heap]", start=0x1000, size=heap, Rss=heap, Pss=heap)),
            process(9, "redis", mapping("[heap]", start=0x1000, size=90, Rss=90, Pss=90)),
        ),
        host("web-02", process(8, "nginx", mapping("[heap]", start=0x1000, size=80, Rss=80, Pss=80))),
    )


class Directory:
    """Runs an hour apart, and which of them were loaded."""

    def __init__(self, *snapshots: Snapshot | UsageError) -> None:
        self.loaded: list[int] = []
        self.snapshots = [*snapshots]

    def at(self, number: int) -> Snapshot:
        self.loaded.append(number)
        one = self.snapshots[number]
        if isinstance(one, UsageError):
            raise one
        return _started(one, number)

    def runs(self) -> list[StoredRun]:
        return [
            StoredRun(f"run {number}", BEGIN + timedelta(hours=number), lambda number=number: self.at(number))
            for number in range(len(self.snapshots))
        ]

    def explored(self, **how: object) -> Explored:
        last = len(self.snapshots) - 1
        return Explored(_started(self.snapshots[last], last), runs=self.runs, **how)


def _started(one: Snapshot, number: int) -> Snapshot:
    return replace(one, run=replace(one.run, started=BEGIN + timedelta(hours=number)))


def test_the_place_and_the_cursor_stay_from_run_to_run():
    """Also where the row is not in a run between: it is found again in the next."""
    without = snapshot(host("web-01"), failed("web-02", "timeout", "web-02: no answer in 10 s"))
    directory = Directory(_web(500), without, _web(700))
    with directory.explored() as screen:
        screen.press("v", "end")
        assert screen.rows[screen.app.grid.cursor][:2] == ["web-02", "8"]
        screen.press("left_square_bracket")
        assert "run 2 of 3" in screen.lines[1]
        assert screen.place == "fleet › processes"
        assert "1 did not: 1 timeout" in screen.text
        screen.press("less_than_sign")
        assert "run 1 of 3" in screen.lines[1]
        assert screen.rows[screen.app.grid.cursor][:2] == ["web-02", "8"]
    assert directory.loaded == [1, 0]


def test_the_runs_beside_the_one_that_is_shown_are_loaded_ahead():
    """So that a step is quick, and another one back, too; none is loaded twice."""
    directory = Directory(*(_web(500 + number) for number in range(6)))
    with directory.explored() as screen:
        assert directory.loaded == [4]
        screen.press("left_square_bracket")
        assert directory.loaded == [4, 3]
        screen.press("left_square_bracket", "left_square_bracket")
        assert directory.loaded == [4, 3, 2, 1]
        screen.press("left_curly_bracket")
        assert "run 1 of 6" in screen.lines[1]
        assert directory.loaded == [4, 3, 2, 1, 0]


def test_a_damaged_run_beside_is_said_when_it_is_wanted():
    """Until then nothing is said of it."""
    directory = Directory(_web(500), UsageError("run 1: is torn"), _web(700))
    with directory.explored() as screen:
        assert "torn" not in screen.text
        assert "×" not in screen.lines[1]
        screen.press("left_square_bracket")
        assert "run 1: is torn" in screen.text


def test_growth_between_two_runs():
    """A mark, and a walk to a later run: what grew in between, by row and as a finding."""
    directory = Directory(_web(1000), _web(1000 + 20 * MIB), _web(1000 + 90 * MIB))
    with directory.explored(size=(110, 24)) as screen:
        screen.press("left_curly_bracket", "m", "v")
        screen.press("right_curly_bracket")
        assert screen.app.grid.sheet.table.column("since_mark_kib").cells() == [90 * MIB, 0, 0]
        assert "since_mark" in screen.header
        assert "nginx on web-01 (pid 7): [heap] grew by 90M in 2 h" in screen.text
        screen.press("m", "left_square_bracket")
        assert screen.app.grid.sheet.table.column("since_mark_kib").cells() == [-70 * MIB, 0, 0]
        assert "[heap] grew by 70M in 60 min" in screen.text


def test_a_run_that_cannot_be_read_is_said_and_passed_over():
    """The run before it stays on the screen; the next key goes past it."""
    directory = Directory(_web(500), UsageError("run 1: is torn", hint="read the others"), _web(700))
    with directory.explored() as screen:
        screen.press("left_square_bracket")
        assert "run 1: is torn; hint: read the others" in screen.text
        assert "run 3 of 3" in screen.lines[1]
        assert "×" in screen.lines[1]
        screen.press("left_square_bracket")
        assert "run 1 of 3" in screen.lines[1]


def test_a_run_that_was_added_meanwhile_comes_by_r():
    """The run that is shown stays."""
    directory = Directory(_web(500), _web(600))
    with directory.explored() as screen:
        directory.snapshots.append(_web(700))
        screen.press("r")
        assert "1 more run" in screen.text
        assert "run 2 of 3" in screen.lines[1]
        screen.press("right_square_bracket")
        assert "run 3 of 3" in screen.lines[1]


def test_a_directory_that_is_gone_is_said():
    """What was read of it stays on the screen."""
    directory = Directory(_web(500), _web(600))

    def gone() -> list[StoredRun]:
        if directory.snapshots:
            return directory.runs()
        raise UsageError("runs: No such file or directory")

    with Explored(_started(_web(600), 1), runs=gone) as screen:
        directory.snapshots.clear()
        screen.press("r")
        assert "runs: No such file or directory" in screen.text
        assert "run 2 of 2" in screen.lines[1]


def test_a_click_on_the_line_goes_to_that_time():
    """As the keys do."""
    directory = Directory(_web(500), _web(600), _web(700))
    with directory.explored() as screen:
        screen.click(13, 0, on="TimePane")
        assert "run 1 of 3" in screen.lines[1]
