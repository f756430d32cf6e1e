"""Which files of shards are one run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fleetpmap.snapshot_file.rounds import Round, ShardFile, rounds

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OF = 10
CLOCKS_S = (0, -2, 1, 2, -1, 0, 1, -2, 2, 0)
"""By how much the clock of each gateway is wrong."""


def _file(number: int, at_s: float, *, of: int = OF, looked_for: str = "nginx", fleet: str = "old") -> ShardFile:
    path = Path(f"{number}-of-{of}-{looked_for}-{fleet}-at-{at_s:g}")
    return ShardFile(NOON + timedelta(seconds=at_s), path, number, of, looked_for, fleet)


def _by_cron(rounds_: int, *, every_s: float = 300, begin_s: float = 0, without: Iterable[tuple[int, int]] = ()):
    """The files of ten gateways; `without`: (round, shard) that no gateway saved."""
    return [
        _file(number, begin_s + round_ * every_s + CLOCKS_S[number - 1])
        for round_ in range(rounds_)
        for number in range(1, OF + 1)
        if (round_, number) not in {*without}
    ]


def _numbers(found: Iterable[Round]) -> list[list[int]]:
    return [[file.number for file in each.shards] for each in found]


def _names(files: Iterable[ShardFile]) -> list[str]:
    return [file.path.name for file in files]


ALL = list(range(1, OF + 1))


def test_gateways_of_one_cron():
    """Files of one minute are one run, though clocks differ by seconds and one gateway is 90 s late every time."""
    files = [file for file in _by_cron(3) if file.number != 4]
    files += [_file(4, at_s) for at_s in (90, 390, 690)]
    found = rounds(reversed(files))
    assert _numbers(found) == [ALL, ALL, ALL]
    assert [each.started for each in found] == [NOON + timedelta(seconds=at_s) for at_s in (-2, 298, 598)]
    assert [_names(each.left_out) for each in found] == [[], [], []]


def test_a_missing_shard_is_not_taken_from_the_next_run():
    """Also if the clock of its gateway is ahead, so that its file is the first one of the next run."""
    without_2 = [number for number in ALL if number != 2]
    assert _numbers(rounds(_by_cron(4, without=[(0, 2), (3, 2)]))) == [without_2, ALL, ALL, without_2]


def test_the_first_run_of_all():
    """There is no interval yet: the files of half an hour are one run."""
    assert _numbers(rounds([*_by_cron(1, without=[(0, 4)]), _file(4, 1700)])) == [ALL]
    assert _numbers(rounds([*_by_cron(1, without=[(0, 4)]), _file(4, 1900)]))[1:] == [[4]]


def test_a_shard_twice():
    """The newer file is taken, and the note names both."""
    [first, _] = rounds([*_by_cron(2), _file(4, 42)])
    assert _names(file for file in first.shards if file.number == 4) == ["4-of-10-nginx-old-at-42"]
    assert list(first.notes()) == [
        "4-of-10-nginx-old-at-2: left out, since it is shard 4 of 10, which came again 40 s later: "
        "4-of-10-nginx-old-at-42 is taken"
    ]


def test_a_shard_asked_again_in_the_only_run():
    """A shard that was repeated by hand does not make the others late."""
    [only] = rounds([*_by_cron(1), _file(4, 240)])
    assert (_numbers([only]), _names(only.left_out)) == ([ALL], ["4-of-10-nginx-old-at-2"])


def test_later_than_half_of_the_interval():
    """The run lacks the shard; the next one, which has its own, names the late file."""
    late = [_file(4, 170) if file == _file(4, 2) else file for file in _by_cron(3)]
    first, second, third = rounds(late)
    assert _numbers([first, second, third]) == [[number for number in ALL if number != 4], ALL, ALL]
    assert _names(second.left_out) == ["4-of-10-nginx-old-at-170"]
    assert second.started == NOON + timedelta(seconds=298)


def test_shards_of_another_fleet():
    """The fleet with the most shards is taken; what a gateway with an old inventory saved is named."""
    files = [file._replace(fleet="new") if file.number != 4 else file for file in _by_cron(1)]
    [only] = rounds(files)
    assert _numbers([only]) == [[number for number in ALL if number != 4]]
    assert list(only.notes()) == [
        "4-of-10-nginx-old-at-2: left out, since it is shard 4 of 10 of a fleet of other hosts: compare its inventory "
        "and options with those of the others"
    ]


def test_another_number_of_shards():
    """A gateway whose line of cron was forgotten."""
    files = [*_by_cron(1, without=[(0, 4)]), _file(4, 1, of=12)]
    [only] = rounds(files)
    assert list(only.notes()) == [
        "4-of-12-nginx-old-at-1: left out, since it is shard 4 of 12, and the others are shards of 10"
    ]


def test_other_processes():
    """Runs of one minute that looked for other processes are two runs."""
    files = [*_by_cron(2), *(file._replace(looked_for="java") for file in _by_cron(2))]
    found = rounds(files)
    assert _numbers(found) == [ALL] * 4
    assert [{file.looked_for for file in each.shards} for each in found] == [{"java"}, {"nginx"}] * 2


def test_another_line_of_cron():
    """The interval is that of the time: every 5 minutes, then every hour with a gateway 20 minutes late, then back."""
    files = [*_by_cron(6), *_by_cron(4, every_s=3600, begin_s=3600, without=[(2, 4)]), _file(4, 3 * 3600 + 1200)]
    files += _by_cron(6, begin_s=5 * 3600, without=[(3, 2)])
    assert _numbers(rounds(files)) == [ALL] * (6 + 4 + 3) + [[1, *ALL[2:]]] + [ALL] * 2


def test_a_shard_of_last_week():
    """A file that a trial left behind is a run of its own, even if its gateway saved nothing since."""
    others = _by_cron(3, without=[(round_, 1) for round_ in range(3)])
    assert _numbers(rounds([*others, _file(1, -7 * 86400)])) == [[1], ALL[1:], ALL[1:], ALL[1:]]


def test_one_gateway_of_two_is_dead():
    """Its last file is not put into a later run."""
    files = [_file(1, 0, of=2), *(_file(2, day * 86400 + 5, of=2) for day in range(4))]
    assert _numbers(rounds(files)) == [[1, 2], [2], [2], [2]]


def test_most_gateways_go_down_at_once():
    """Their last files are of the run in which they came, though no later file tells the interval."""
    down = [(round_, number) for round_ in (2, 3, 4) for number in range(1, 8)]
    assert _numbers(rounds(_by_cron(5, without=down))) == [ALL, ALL, [8, 9, 10], [8, 9, 10], [8, 9, 10]]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2000), st.sampled_from("ab"), st.sampled_from("xy"))))
def test_every_file_is_in_one_run(files: list[tuple[int, int, str, str]]):
    """With any times: no file is lost, and a run has each shard once, of one fleet and one selection."""
    made = {_file(number, at_s, of=4, looked_for=what, fleet=fleet) for number, at_s, what, fleet in files}
    found = rounds(made)
    assert sorted(file for each in found for file in (*each.shards, *each.left_out)) == sorted(made)
    for each in found:
        assert len({file.number for file in each.shards}) == len(each.shards)
        assert len({(file.looked_for, file.fleet) for file in each.shards}) == 1
        assert len(list(each.notes())) == len(each.left_out)
