"""Dividing a fleet into shards, and the value of --shard."""

from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from fleetpmap.cli.option_values import shard_number
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


@pytest.mark.parametrize(("text", "number", "of"), [("3/10", 3, 10), ("1/1", 1, 1), ("9999/9999", 9999, 9999)])
def test_a_shard(text: str, number: int, of: int):
    """The shard, from 1, and the number of shards."""
    assert shard_number(text) == (number, of)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "is not I/N: write 3/10") for text in ("3", "", "/", "3/", "-1/10", "1/2/3", "1/10000", "1/0")),
        ("٣/١٠", "is not I/N"),
        ("0/10", '"0/10" is none of 10 shards: they are numbered from 1 to 10'),
        ("11/10", '"11/10" is none of 10 shards: they are numbered from 1 to 10'),
    ],
)
def test_what_is_no_shard(text: str, why: str):
    """The error has an example, or the numbers that there are."""
    with pytest.raises(typer.BadParameter) as error:
        shard_number(text)
    assert why in str(error.value)
