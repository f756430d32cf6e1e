"""The parts of a run, joined in the order of their numbers however they come."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from fleetpmap.collection.parts import HostParts, Parts
from fleetpmap.snapshot import HostFailure, HostSnapshot, Run, Snapshot

RUN = Run(datetime(2026, 3, 14, tzinfo=UTC), 2.5, "fleetpmap run --match nginx")


def host(number: int) -> HostSnapshot:
    return HostSnapshot.failed(HostFailure(f"web-{number:03}", "timeout", "tcp", "no answer", "is it up?"))


def part(number: int) -> Snapshot:
    return Snapshot.assemble([host(number)], RUN)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 75])
def test_parts_come_in_any_order_and_are_joined_in_that_of_their_numbers(count):
    """Every part is in the fleet once, in the place that its number gives, also where an eight or a 64 is complete."""
    numbers = [*range(count)]
    Random(count).shuffle(numbers)
    parts = Parts()
    for number in numbers:
        parts.add(number, part(number))
    assert all(number in parts for number in numbers)
    assert parts.statuses == ({"timeout"} if count else set())
    fleet = parts.joined(RUN)
    assert [host.name for host in fleet.hosts] == [f"web-{number:03}" for number in range(count)]
    assert fleet.run == RUN


def test_a_part_is_there_once_its_number_was_added_also_when_it_was_joined_with_its_neighbours():
    """A shard that is done is not asked again, also after its snapshot was joined."""
    parts = Parts()
    for number in range(8):
        assert number not in parts
        parts.add(number, part(number))
        assert number in parts


@pytest.mark.parametrize("count", [1, 249, 250, 251, 2001])
def test_hosts_come_in_any_order_and_are_joined_in_that_of_the_fleet(count):
    """Every host is there once, also the last ones, which are fewer than a stretch."""
    places = [*range(count)]
    Random(count).shuffle(places)
    parts = HostParts(count)
    for place in places:
        parts.add(place, host(place), RUN)
    assert parts.statuses == {"timeout"}
    assert [result.name for result in parts.joined(RUN).hosts] == [f"web-{place:03}" for place in range(count)]
