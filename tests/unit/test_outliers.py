"""The rule by which a host stands apart."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.report.outliers import groups_of, judge

MIB = 1024


def out_of(*values: int) -> list[int]:
    """The hosts that are out in one row of these values."""
    judged = judge(np.array([values], dtype=np.int64))
    assert not judged.split[0]
    return np.flatnonzero(judged.out[0]).tolist()


def is_split(*values: int) -> bool:
    judged = judge(np.array([values], dtype=np.int64))
    assert not (judged.split[0] and judged.out[0].any())
    return bool(judged.split[0])


def test_a_few_pages_more_is_no_outlier():
    """Sixteen equal hosts and one with 4 KiB more: the MAD is 0, and the floor of 1 MiB holds."""
    assert out_of(*[50 * MIB] * 16, 50 * MIB + 4) == []


def test_more_than_a_tenth_and_a_mebibyte_is():
    """Among equal hosts, 6 MiB more on 50 MiB is out, 4 MiB is not."""
    assert out_of(*[50 * MIB] * 16, 56 * MIB) == [16]
    assert out_of(*[50 * MIB] * 16, 54 * MIB) == []


def test_less_is_out_too():
    """A host that has lost most of it."""
    assert out_of(*[50 * MIB] * 16, 1 * MIB) == [16]


def test_noisy_hosts_widen_the_rule():
    """If hosts differ by 20 MiB anyway, 40 MiB more is within 3.5 deviations."""
    assert out_of(*(100 * MIB + n * 2 * MIB for n in range(-10, 11)), 140 * MIB) == []


def test_not_mapped_counts_as_zero():
    """A mapping that one of six hosts has."""
    assert out_of(0, 0, 0, 0, 0, 12 * MIB) == [5]


def test_two_versions_are_a_split_and_no_outliers():
    """12 hosts of one and 5 of another: more than a quarter would be out."""
    values = [86 * MIB] * 12 + [412 * MIB] * 5
    assert is_split(*values)
    assert [group.tolist() for group in groups_of(np.array(values))] == [[*range(12)], [*range(12, 17)]]


def test_a_quarter_is_not_more_than_a_quarter():
    """Among 16 hosts, 4 may be out."""
    assert out_of(*[86 * MIB] * 12, *[412 * MIB] * 4) == [12, 13, 14, 15]


def test_values_all_over_the_place_are_one_group():
    """Nothing to name."""
    assert len(groups_of(np.array([n * 100 * MIB for n in range(8)]))) == 1


@pytest.mark.parametrize(("value", "out"), [(100, [2]), (17, []), (9, [])])
def test_three_hosts(value: int, out: list[int]):
    """More than half the median, and 8 MiB: 10 MiB and 10 MiB beside it."""
    assert out_of(10 * MIB, 10 * MIB, value * MIB) == out


def test_two_hosts_differ_and_nobody_is_out():
    """Nothing shows which of them is right."""
    assert out_of(10 * MIB, 900 * MIB) == []
    assert judge(np.array([[10, 900]])).spread.tolist() == [890]


def test_one_host_and_none():
    """Nothing to compare."""
    assert out_of(10 * MIB) == []
    assert judge(np.zeros((3, 0), dtype=np.int64)).spread.tolist() == [0, 0, 0]


def test_confirmed_by_witnesses():
    """A row within the rule in all other judgements is no outlier, and no split."""
    pss = judge(np.array([[*[50 * MIB] * 16, 90 * MIB], [*[50 * MIB] * 12, *[90 * MIB] * 5]]))
    same = judge(np.full((2, 17), 90 * MIB))
    other = judge(np.array([[*[90 * MIB] * 16, 200 * MIB], [*[90 * MIB] * 12, *[200 * MIB] * 5]]))
    assert not pss.confirmed_by(same, same).out.any()
    assert pss.confirmed_by(same, same).split.tolist() == [False, False]
    assert np.flatnonzero(pss.confirmed_by(same, other).out[0]).tolist() == [16]
    assert pss.confirmed_by(same, other).split.tolist() == [False, True]
