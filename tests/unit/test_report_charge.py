"""charge: cgroups that lie in each other are counted once."""

from __future__ import annotations

from dataclasses import replace

from fleet_of_twenty import twenty_hosts
from fleetpmap.report.charge import Cgroups
from fleetpmap.wire import CgroupMemory


def test_a_cgroup_below_another_is_counted_on_the_hosts_that_lack_the_other():
    """The slice has what its service is charged, on its own host; the service of another host counts itself."""
    both = (cgroup("/a.slice", 500), cgroup("/a.slice/b.service", 300), cgroup("/c.service", 40))
    fleet = twenty_hosts()
    first, second = (replace(fleet.hosts[slot], cgroups=own) for slot, own in ((0, both), (1, both[1:])))
    cgroups = Cgroups(replace(fleet, hosts=(first, second)))
    places = [(host.name, one.path) for host in (first, second) for one in host.cgroups]
    assert cgroups.topmost(places, lambda one: one.current_kib) == {
        (first.name, "/a.slice"): 500,
        (first.name, "/c.service"): 40,
        (second.name, "/a.slice/b.service"): 300,
        (second.name, "/c.service"): 40,
    }


def cgroup(path: str, kib: int) -> CgroupMemory:
    return CgroupMemory(path, kib, kib, None, is_unlimited=True, limit_path="")
