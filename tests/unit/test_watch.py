"""What a watch remembers of each round, shows of it, and does for a key."""

from __future__ import annotations

import dataclasses

import pytest

from fleetpmap.render import plain
from fleetpmap.report import hosts, merged, processes
from fleetpmap.watch import History, Showing, Viewport, keys_in, pressed, with_growth
from fleetpmap.watch.growth import sparkline
from fleetpmap.watch.keys import is_begun
from snapshots import expected, failed, host, mapping, process, snapshot

NAMES = ("web-01", "web-02")
HUNDRED = Viewport(["a line"] * 100, 20)
"""A report of a hundred lines, of which twenty are seen."""


def _round(heap: int, libc: int):
    """Two hosts: one process each, of which the first has a heap."""
    return snapshot(
        host("web-01", process(812, "nginx", mapping("[heap]", Pss=heap), mapping("/usr/lib/libc.so.6", Pss=300))),
        host("web-02", process(77, "nginx", mapping("/usr/lib/libc.so.6", Pss=libc))),
    )


def _history(*rounds) -> History:
    history = History()
    for one in rounds:
        history.add(one)
    return history


@pytest.mark.parametrize(
    ("sizes", "signs"),
    [
        ([], ""),
        ([5, 5, 5], "▁▁▁"),
        ([0, 70, 35], "▁█▄"),
        ([None, 1, None, 8], "▁ █"),
    ],
)
def test_sparkline(sizes, signs: str):
    """The least is the lowest sign and the most the highest; a gap is a gap, but not at the beginning."""
    assert sparkline(sizes) == signs


def test_growth_of_mappings_over_all_hosts():
    """A mapping's trend is the sum over the hosts, and its growth is counted from the first round."""
    rounds = (_round(1000, 40), _round(1500, 40), _round(3000, 30))
    text = plain(with_growth(merged(rounds[-1]), _history(*rounds), NAMES))
    assert text == expected("watch-merged.txt", text)


def test_growth_of_hosts_and_processes():
    """Each host and each process has its own."""
    rounds = (_round(1000, 40), _round(1500, 50))
    history = _history(*rounds)
    grown = [with_growth(view(rounds[-1]), history, NAMES).tables[0] for view in (hosts, processes)]
    assert [table.column("since_start_kib").cells() for table in grown] == [[500, 10], [500, 10]]


def test_growth_on_one_host_alone():
    """What other hosts have of the same mapping is left out."""
    rounds = (_round(1000, 40), _round(1000, 90))
    report = merged(snapshot(host("web-02", process(77, "nginx", mapping("/usr/lib/libc.so.6", Pss=90)))))
    table = with_growth(report, _history(*rounds), ("web-02",)).tables[0]
    assert table.column("since_start_kib").cells() == [50]


def test_a_host_that_went_and_came_back():
    """It has a gap in its trend, and its growth is counted from when it was seen first."""
    gone = snapshot(host("web-01"), failed("web-02", "timeout", "web-02: no time left"))
    history = _history(_round(1, 40), gone, _round(1, 90))
    assert history.trend([("host", "web-02")]) == [40, None, 90]
    assert history.since_start([("host", "web-02")]) == 50


def test_what_is_not_there_now_has_not_grown():
    """Of a host that does not answer, nobody knows."""
    gone = snapshot(host("web-01"), failed("web-02", "timeout", "web-02: no time left"))
    assert _history(_round(1, 40), gone).since_start([("host", "web-02")]) is None


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("2", {"view": "hosts"}),
        ("v", {"view": "hosts"}),
        ("s", {"sort": "pss"}),
        ("h", {"host": "web-01"}),
        ("H", {"host": "web-02"}),
        ("p", {"paused": True}),
        ("?", {"helping": Showing("summary")}),
        ("q", {"quit": True}),
        ("x", {}),
        ("9", {}),
        ("²", {}),
        ("\x1b[Z", {}),
    ],
)
def test_key(key: str, change):
    """What each key does to a summary of all hosts; others do nothing."""
    now = Showing("summary")
    assert pressed(now, key, NAMES) == dataclasses.replace(now, **change)


def test_keys_go_round():
    """After the last host all of them, after the last view the first; a second p goes on."""
    now = Showing("compare", host="web-02", paused=True)
    for key in "vhp":
        now = pressed(now, key, NAMES)
    assert now == Showing("summary")


def test_any_key_ends_the_help():
    """And does nothing else, but for q; what was shown is there again, at its place."""
    before = Showing("hosts", top=7)
    now = pressed(before, "?", NAMES)
    assert now.top == 0
    assert pressed(now, "1", NAMES) == before
    assert pressed(now, "\x1b", NAMES) == before
    assert pressed(now, " ", NAMES) == before
    assert pressed(now, "q", NAMES).quit


def test_help_that_is_longer_than_the_screen_is_scrolled():
    """The keys that scroll do not end it."""
    now = pressed(Showing("hosts"), "?", NAMES)
    assert pressed(now, "j", NAMES, viewport=HUNDRED) == dataclasses.replace(now, top=1)


@pytest.mark.parametrize(
    ("key", "top", "then"),
    [
        ("j", 30, 31),
        ("k", 30, 29),
        (" ", 30, 49),
        ("b", 30, 11),
        ("g", 30, 0),
        ("G", 30, 80),
        ("k", 0, 0),
        ("b", 5, 0),
        ("j", 80, 80),
        (" ", 70, 80),
        ("k", 95, 79),
    ],
)
def test_key_that_scrolls(key: str, top: int, then: int):
    """By a line, a page, to an end: never past one, and back from where the report ends if it got shorter."""
    assert pressed(Showing("hosts", top=top), key, NAMES, viewport=HUNDRED) == Showing("hosts", top=then)


@pytest.mark.parametrize("key", "jkb gG")
def test_what_is_seen_whole_does_not_scroll(key: str):
    """There is nowhere to go."""
    assert pressed(Showing("hosts"), key, NAMES, viewport=Viewport(["one line"], 20)) == Showing("hosts")


@pytest.mark.parametrize(("key", "top"), [("1", 0), ("v", 0), ("s", 0), ("h", 0), ("p", 30), ("x", 30), ("9", 30)])
def test_other_rows_are_seen_from_their_beginning(key: str, top: int):
    """Another view, order or host begins at its top; all else keeps the place."""
    assert pressed(Showing("hosts", top=30), key, NAMES, viewport=HUNDRED).top == top


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("", []),
        ("2sG", ["2", "s", "G"]),
        ("\x1b[A\x1b[B", ["k", "j"]),
        ("\x1bOA\x1bOB", ["k", "j"]),
        ("\x1b[5~\x1b[6~", ["b", " "]),
        ("\x1b[H\x1b[F\x1bOH\x1bOF", ["g", "G", "g", "G"]),
        ("\x1b[1~\x1b[4~\x1b[7~\x1b[8~", ["g", "G", "g", "G"]),
        ("j\x1b[1;5Aq", ["j", "\x1b[1;5A", "q"]),
        ("\x1bq\x1b", ["\x1bq", "\x1b"]),
        ("\x1b\x1b[5~", ["\x1b\x1b[5~"]),
        ("\x1b[5", ["\x1b[5"]),
    ],
)
def test_keys_in_what_was_typed(typed: str, keys: list[str]):
    """Arrows, pages and ends are the letters that do the same; a sequence nobody knows is one key."""
    assert keys_in(typed) == keys


@pytest.mark.parametrize(
    ("typed", "begun"),
    [
        ("j\x1b", True),
        ("\x1b[", True),
        ("\x1b[5", True),
        ("\x1bO", True),
        ("\x1b[5~", False),
        ("\x1b[A", False),
        ("5", False),
    ],
)
def test_key_of_which_the_rest_is_on_its_way(typed: str, begun: bool):
    """A slow line may bring a key in two pieces."""
    assert is_begun(typed) is begun
