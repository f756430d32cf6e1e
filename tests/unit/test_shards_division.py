"""Dividing a fleet into shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpmap.shards.division import divided


@pytest.mark.parametrize(
    ("hosts", "n", "parts"),
    [
        ("abcdefghij", 4, ["abc", "def", "gh", "ij"]),
        ("abcdef", 3, ["ab", "cd", "ef"]),
        ("ab", 4, ["a", "b", "", ""]),
        ("", 2, ["", ""]),
        ("abc", 1, ["abc"]),
    ],
)
def test_parts(hosts: str, n: int, parts: list[str]):
    """The larger parts come first; with more shards than hosts the last ones are empty."""
    assert divided(hosts, n) == parts


@given(st.integers(0, 500), st.integers(1, 60))
def test_any_division(hosts: int, n: int):
    """Parts joined in order are the fleet, and their sizes differ by at most one."""
    parts = divided(range(hosts), n)
    sizes = [len(part) for part in parts]
    assert [host for part in parts for host in part] == list(range(hosts))
    assert (len(parts), max(sizes) - min(sizes) <= 1) == (n, True)
