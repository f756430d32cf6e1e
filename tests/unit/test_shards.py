"""Hosts divided into the shards of a cluster, and what a worker refuses."""

from __future__ import annotations

import pytest

from fleetpmap.errors import FleetpmapError
from fleetpmap.inventory import Host
from fleetpmap.shards.on_dask import divided
from fleetpmap.shards.shard_task import ask_shard


def shards(zones: str, size: int) -> list[list[tuple[int, str]]]:
    """The first place and the hosts of each stretch of each shard; a host is named after its place, `-` is no zone."""
    hosts = [Host(str(n), zone=None if zone == "-" else zone) for n, zone in enumerate(zones)]
    return [
        [(part.first, "".join(host.name for host in part.hosts)) for part in shard] for shard in divided(hosts, size)
    ]


def test_hosts_without_zones_are_divided_in_order():
    assert shards("-------", 3) == [[(0, "012")], [(3, "345")], [(6, "6")]]


def test_no_hosts_are_no_shards():
    assert shards("", 3) == []


def test_a_shard_has_one_zone():
    assert shards("eeuu-", 3) == [[(0, "01")], [(2, "23")], [(4, "4")]]


def test_zones_in_turns_fill_their_shards():
    """Two shards of three hosts each, not six of one; each stretch knows its place in the fleet."""
    assert shards("eueueu", 3) == [[(0, "0"), (2, "2"), (4, "4")], [(1, "1"), (3, "3"), (5, "5")]]


def test_a_stretch_goes_on_in_the_next_shard():
    assert shards("eueeee", 3) == [[(0, "0"), (2, "23")], [(1, "1")], [(4, "45")]]


def test_worker_that_came_later_with_another_version_asks_nothing():
    pytest.importorskip("distributed", reason="distributed is the extra [dask], and in the dev group")
    with pytest.raises(FleetpmapError, match=r"this worker has fleetpmap \d.*, not 0\.0\.9"):
        ask_shard("0.0.9", b"")
