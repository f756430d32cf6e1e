"""evidence: the inputs of findings, kept of each host's rows, say what the rows say."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fleet_of_forty import LEAKING, forty_hosts
from fleetpmap.catalogue import PeersBy
from fleetpmap.evidence import Code, CodeFile, joined
from fleetpmap.report import compare
from fleetpmap.report.standing_out import standing_out
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.table import summed
from snapshots import RUN, ProcessWithMappings, failed, host, mapping, process, snapshot, unreadable

MIB = 1024


def _heap(kib: int):
    sizes = {"Rss": kib, "Pss": kib, "Private_Dirty": kib, "Private_Clean": 0, "Shared_Clean": 0, "Shared_Dirty": 0}
    return mapping("[heap]", start=1 << 30, size=kib, **sizes)


def _code(path: str, size: int = 400, at: int = 1, offset: int = 0):
    return mapping(path, start=at << 24, size=size, offset=offset, perms="r-xp", Rss=4, Pss=4)


def _worker(pid: int, kib: int, *mappings, name: str = "app") -> ProcessWithMappings:
    return process(pid, name, _heap(kib), *mappings)


def leaking() -> list[HostSnapshot]:
    """Forty hosts of four services, one of them with a leak."""
    return [*_hosts(forty_hosts(0, 400 * MIB))]


def mixed() -> list[HostSnapshot]:
    """A leak in one of two workers, two builds, a deleted library, other services, and hosts that were not read."""
    usual = [_code("/usr/lib/libssl.so.3")]
    other = [_code("/usr/lib/libssl.so.3", size=404), _code("/usr/lib/libz.so.1 (deleted)", at=2)]
    two = [host(f"w{n}", *(_worker(pid, 50 * MIB, *usual) for pid in (1, 2))) for n in range(5)]
    leaky = host("w5", _worker(1, 50 * MIB, *usual), _worker(2, 450 * MIB, *usual), _worker(3, 420 * MIB, name="db"))
    updated = host("w6", *(_worker(pid, 50 * MIB, *other) for pid in (1, 2)))
    return [*two, failed("w7", "auth", "w7: cannot log in"), leaky, updated, host("w8", unreadable(9, "app", 7))]


def without_pss() -> list[HostSnapshot]:
    """Kernels before 2.6.25: RSS judges."""
    stack, kib = mapping("[stack]", start=1 << 32, Rss=8, Private_Dirty=8), [50 * MIB] * 5 + [400 * MIB]
    heaps = [mapping("[heap]", Rss=rss, Private_Dirty=0) for rss in kib]
    return [host(f"w{n}", process(1, "app", heap, stack)) for n, heap in enumerate(heaps)]


def _hosts(fleet: Snapshot) -> Iterator[HostSnapshot]:
    """A snapshot's hosts, each alone."""
    for result in fleet.hosts:
        numbers = [number for number, one in enumerate(fleet.processes) if one.host == result.name]
        rows = (fleet.table.process >= numbers[0]) & (fleet.table.process <= numbers[-1])
        table = fleet.table.take(rows.nonzero()[0])
        processes = fleet.processes[numbers[0] : numbers[-1] + 1]
        values = {name: getattr(result, name) for name in result.__slots__}
        table = replace(table, process=table.process - numbers[0])
        yield HostSnapshot(**values, processes=processes, table=table)


def _summed(one: HostSnapshot) -> HostSnapshot:
    """The host as a run keeps it for the view hosts: a sum for each process, and evidence."""
    return replace(one, table=summed(one.table, ()), evidence=Snapshot.assemble([one], RUN).evidence_by())


@pytest.mark.parametrize("peers", ["service", "all"])
@pytest.mark.parametrize("fleet", [leaking, mixed, without_pss])
def test_findings_need_no_rows(fleet, peers: PeersBy):
    """From evidence of each host, joined one by one or by parts of the fleet, they say what all rows say."""
    hosts = fleet()
    told = standing_out(snapshot(*hosts), peers)
    assert told or (fleet, peers) == (leaking, "all")
    kept = [_summed(one) for one in hosts]
    assert len(snapshot(*kept).table) < len(snapshot(*hosts).table)
    assert standing_out(snapshot(*kept), peers) == told
    parts = [snapshot(*kept[:2]), Snapshot.joined([snapshot(*kept[2:3]), snapshot(*kept[3:])])]
    assert standing_out(Snapshot.joined(parts), peers) == told


def test_mixed_hosts_have_findings_of_three_kinds():
    """The fleet above is no empty one, and the leak has its process."""
    found = standing_out(snapshot(*map(_summed, mixed())))
    assert [one.kind for one in found] == ["outlier", "stale", "drift"]
    assert (found[0].host, found[0].pid, found[0].mapping) == ("w5", 2, "[heap]")
    (leak,) = standing_out(snapshot(*map(_summed, leaking())))
    assert (leak.host, leak.pid) == (LEAKING, 8961)


def test_a_part_without_evidence_is_made_of_rows():
    """A stored run that is joined with another has rows for each mapping; then all are made of rows."""
    hosts = mixed()
    both = Snapshot.joined([snapshot(*hosts[:3]), snapshot(*hosts[3:])])
    assert both.evidence is None
    assert standing_out(both) == standing_out(snapshot(*hosts))


def test_the_largest_holder_is_that_of_the_process():
    """Among all services, a process of its own holds more than each of four workers, though they hold more together."""
    four = [_worker(pid, 100 * MIB) for pid in (1, 2, 3, 4)]
    hosts = [host(f"w{n}", _worker(1, 100 * MIB), _worker(5, 9 * MIB, name="db")) for n in range(5)]
    large = host("w5", *four, _worker(5, 300 * MIB, name="db"))
    (finding,) = standing_out(snapshot(*map(_summed, (*hosts, large))), "all")
    assert (finding.host, finding.pid) == ("w5", 5)


def test_code_is_one_record_for_each_file():
    """Its parts are added up, a file in two places is two, and files that are no code are not in it."""
    parts = [_code("/l/libx.so.1", 40, at=1, offset=4096), _code("/l/libx.so.1", 8, at=2, offset=45056)]
    others = [_code("/opt/libx.so.1", 4, at=3), mapping("/l/libx.so.1", perms="r--p"), mapping("/d", perms="rw-p")]
    one = host("w", process(1, "app", *parts, *others), process(2, "app", *parts, *others), process(3, "app"))
    evidence = snapshot(one).evidence_by()
    files = (CodeFile("libx.so.1", "/l/libx.so.1", 4096, 48 << 10), CodeFile("libx.so.1", "/opt/libx.so.1", 0, 4 << 10))
    assert evidence.codes == (Code(files),)
    assert evidence.code.tolist() == [0, 0, -1]


def test_code_in_two_mappings_is_no_other_build():
    """The kernel keeps code as two mappings where a part of it has other flags; another length is another build."""
    whole, shorter = _code("/l/libx.so", 400), _code("/l/libx.so", 396)
    parts = [_code("/l/libx.so", 100, at=1), _code("/l/libx.so", 300, at=2, offset=100 << 10)]
    alike = snapshot(host("w1", _worker(1, 8, whole)), host("w2", _worker(1, 8, *parts)))
    assert (compare(alike).findings, standing_out(alike)) == ((), ())
    apart = snapshot(host("w1", _worker(1, 8, shorter)), host("w2", _worker(1, 8, *parts)))
    sentence = "/l/libx.so: 2 builds by layout, on w1 and on w2"
    assert [one.text for one in compare(apart).findings] == [sentence]
    assert [one.text for one in standing_out(apart)] == [f"app: {sentence}"]


def test_stale_files_are_named_in_order():
    """The file that most processes map comes first, then by name, whichever rows a table has of it."""
    gone = [_code(f"/usr/lib/lib{name}.so.1 (deleted)", at=at) for at, name in enumerate("ba", start=1)]
    data = mapping("/usr/lib/libb.so.1 (deleted)", start=5 << 24, perms="r--p")
    one = host("w", _worker(1, 8, *gone, data), _worker(2, 8, *gone, data))
    (finding,) = standing_out(snapshot(one))
    assert finding.mapping == "/usr/lib/liba.so.1"
    assert standing_out(snapshot(_summed(one))) == (finding,)


def test_a_fleet_of_many_rows_is_summed_in_parts():
    """More rows than are summed at a time, cut between hosts, give what each host gives."""
    spread = [mapping("/data", start=n << 20, Rss=1, Pss=1) for n in range(400)]
    hosts = [host(f"w{n}", *(process(pid, "app", *spread) for pid in range(1, 46))) for n in range(5)]
    whole = snapshot(*hosts)
    assert len(whole.table) > 1 << 16
    evidence = whole.evidence_by()
    assert evidence.holder.tolist() == [0, 45, 90, 135, 180]
    assert evidence.sizes["rss_kib"].tolist() == [45 * 400] * 5
    assert evidence.held.tolist() == [400] * 5


def test_evidence_is_small():
    """Of four workers with twenty libraries in three parts each: two kilobytes for each host, and their code once."""
    libraries = [_code(f"/usr/lib/lib{n}.so.1", at=4 * n + part) for n in range(20) for part in range(3)]
    hosts = [host(f"w{n}", *(_worker(pid, 50 * MIB, *libraries) for pid in range(1, 5))) for n in range(50)]
    parts = [_summed(one).evidence for one in hosts]
    evidence = joined(part for part in parts if part)
    assert (len(evidence.holder), len(evidence.code), len(evidence.codes)) == (50 * 21, 200, 1)
    assert len(pickle.dumps(evidence)) < 50 * 2_000
