"""What travels between a run and its workers."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from fleet_of_twenty import twenty_hosts
from fleetpmap import report
from fleetpmap.shards.division import divided, shards_of, workers_for
from fleetpmap.shards.messages import packed, unpacked
from fleetpmap.table import summed
from fleetpmap.wire import HostMemory


def test_a_packed_snapshot_is_the_same():
    """Statuses, processes, rows, findings: each report is equal, and it is smaller than pickle's own."""
    fleet = twenty_hosts()
    again = unpacked(packed(fleet))
    assert (again.hosts, again.processes, again.run) == (fleet.hosts, fleet.processes, fleet.run)
    for view in (report.merged, report.hosts, report.processes, report.mappings, report.compare):
        assert [table.rows() for table in view(again).tables] == [table.rows() for table in view(fleet).tables]
    assert len(packed(fleet)) < len(pickle.dumps(fleet)) / 4


def test_columns_of_one_value_take_no_memory_on_arrival():
    """As in the process that made them: they repeat one item."""
    fleet = twenty_hosts()
    table = summed(fleet.table)
    again = unpacked(packed(type(fleet)(fleet.hosts, fleet.processes, table, fleet.run))).table
    repeated = [name for name in ("start", "offset", "inode") if getattr(table, name).strides == (0,)]
    assert repeated == ["start", "offset", "inode"]
    assert [getattr(again, name).strides for name in repeated] == [(0,)] * 3
    assert np.array_equal(again.start, table.start)
    assert not again.start.flags.writeable


def test_equal_values_of_many_hosts_are_one_object_on_arrival():
    """Text and records that hosts have alike are held once; True is not taken for 1, although they are equal."""
    fleet = twenty_hosts()
    hosts = tuple(
        replace(host, memory=HostMemory(1000 + number % 2, int("300"), 1, 0), local=bool(number % 2))
        for number, host in enumerate(fleet.hosts)
    )
    again = unpacked(packed(replace(fleet, hosts=hosts))).hosts
    assert again == hosts
    assert len({id(host.memory) for host in again}) == 2
    assert [host.local for host in again[:2]] == [False, True]
    assert [type(host.memory.swap_total_kib) for host in again if host.memory] == [int] * 20


@pytest.mark.parametrize(
    ("hosts", "wanted", "cores", "workers"),
    [
        (100, "auto", 8, 1),
        (399, "auto", 8, 1),
        (400, "auto", 8, 2),
        (10_000, "auto", 8, 8),
        (10_000, "auto", 1, 1),
        (10_000, 3, 1, 3),
        (2, 4, 8, 2),
        (0, "auto", 8, 1),
    ],
)
def test_number_of_workers(hosts: int, wanted: int | str, cores: int, workers: int):
    """A number is as it says, but no more than hosts; auto takes one for each 200 hosts, at most one for each core."""
    assert workers_for(hosts, wanted, cores) == workers  # type: ignore[arg-type]  # ids of the parameters


def test_shards_follow_each_other():
    """Joined in order they are the fleet; each knows the place of its first host."""
    names = [f"web-{n}" for n in range(7)]
    shards = shards_of(names, 3)  # type: ignore[arg-type]  # any objects will do
    assert [(shard.number, shard.first, [*shard.hosts]) for shard in shards] == [
        (0, 0, names[:3]),
        (1, 3, names[3:6]),
        (2, 6, names[6:]),
    ]
    assert [name for part in divided(names, 4) for name in part] == names
