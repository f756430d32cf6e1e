"""stat lines in columns: what the one expression says is what reading them one by one says."""

from __future__ import annotations

import random

import pytest

from fleetpmap.wire.section_readers import MalformedError
from fleetpmap.wire.stats import Stat, Stats, parse_stats, parse_stats_one_by_one, stat_of

LINE = b"%d/stat:%d (%b) S 1 %d 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33%b\n"
LISTED = b"".join(
    LINE % (pid, pid, name, pid, rest) for pid, name, rest in ((7, b"a b", b""), (70, b"(x) S 1", b" 184 -1 0"))
)
PARTS = [
    b"\n",
    b")",
    b"(",
    b") S 1 ",
    b" ",
    b"7/stat:",
    b"\n7/stat:",
    b"9" * 19,
    b"-1",
    b"0",
    b"\xff",
    b"x",
    b"",
    LINE[:40],
]


def _told(parse, section: bytes) -> list[tuple[int, str, Stat]] | str:
    try:
        slots, names, fields = parse(section)
        return [
            (pid, name, stat_of(pid, text)._replace(start_stack=None))
            for pid, name, text in zip(map(int, slots), names, fields, strict=True)
        ]
    except MalformedError as error:
        return str(error)


def test_columns_are_in_the_order_printed():
    """The shell's glob sorts by letters; so it stays, and a name may look like fields."""
    section = LINE % (100, 100, b"c", 100, b"") + LINE % (12, 12, b"k (w) 1", 12, b" 184")
    slots, names, fields = parse_stats(section)
    assert (slots, names) == ({"100": 0, "12": 1}, ("c", "k (w) 1"))
    assert stat_of(12, fields[1]) == Stat("S", 1, 5, False, 4711, 8192000, 33)


def test_of_two_whole_stats_the_second_counts():
    """Taken for a name with newlines, they would hide the process."""
    slots, names, _ = parse_stats(LISTED + LINE % (7, 7, b"other", 7, b""))
    assert dict(zip(slots, names, strict=True)) == {"7": "other", "70": "(x) S 1"}


def test_nothing_listed():
    """A host may show no process at all."""
    assert parse_stats(b"") == Stats({}, (), ())


def test_a_name_with_a_newline_is_read_one_by_one():
    """It comes as two lines behind the same path, and is one process."""
    section = LINE % (7, 7, b"a\n7/stat:b", 7, b"") + LINE % (8, 8, b"c", 8, b"")
    assert parse_stats(section)[:2] == ({"7": 0, "8": 1}, ("a\nb", "c"))


@pytest.mark.parametrize("seed", range(4))
def test_any_change_gives_the_same_either_way(seed: int):
    """Two thousand sections with something changed in each: the same columns, or the same error."""
    chance = random.Random(seed)
    fast = 0
    for _ in range(500):
        changed = bytearray(LISTED)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed) + 1)
            changed[at : at + chance.choice((0, 0, 1, 5, 30))] = chance.choice(PARTS)
        told = _told(parse_stats, bytes(changed))
        assert told == _told(parse_stats_one_by_one, bytes(changed)), bytes(changed)
        fast += isinstance(told, list)
    assert 20 < fast < 480
