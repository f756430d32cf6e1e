"""One machine under several names: told apart from containers, noted, and counted once on demand."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.report import coverage_sentence, hosts, merged, ps
from fleetpmap.snapshot import counted_once
from fleetpmap.wire import Capabilities
from snapshots import failed, host, mapping, process, snapshot
from targets import Target

BOOT, PIDS = "b9e1c1a0-1111-4222-8333-444455556666", "4026531836"


def _answer(name: str, boot_id: str = BOOT, pid_namespace: str = PIDS, *processes):
    one = host(name, *(processes or (process(7, "nginx", mapping("/m", Rss=3)),)))
    return replace(one, capabilities=Capabilities(0, "6.1", 4096, boot_id, pid_namespace, "gnu", "gzip", 1))


def test_two_names_of_one_machine_are_one_sentence():
    """The totals count it twice, so every view says so."""
    fleet = snapshot(_answer("web-01"), _answer("web-02", "another"), _answer("www"))
    note = "web-01,www are one machine, counted under each name; --once-per-machine counts it once"
    assert note in merged(fleet).notes
    assert ps(fleet).notes == (note,)


def test_several_such_machines_are_one_sentence():
    """Each machine with the names it has."""
    answers = [_answer(name, boot) for boot in ("a", "b") for name in (f"{boot}-01", f"{boot}-02")]
    assert ps(snapshot(*answers)).notes == (
        "2 machines are counted under several names; --once-per-machine counts each once: a-[01-02]; b-[01-02]",
    )


@pytest.mark.parametrize(
    ("boot_id", "pid_namespace"),
    [(BOOT, "4026532999"), ("another", PIDS), ("", PIDS), (BOOT, "")],
    ids=["a container", "another machine", "no boot_id", "a recorded tree"],
)
def test_other_machines_are_not_the_same(boot_id, pid_namespace):
    """Both have to be known and equal: containers share the kernel, clones have nothing in common that counts."""
    fleet = [_answer("web-01", boot_id, pid_namespace), _answer("web-02")]
    if not (boot_id and pid_namespace):
        fleet.append(_answer("web-03", boot_id, pid_namespace))
    assert snapshot(*fleet).same_machines == ()
    assert (whole := snapshot(*fleet))
    assert counted_once(whole) is whole


def test_name_without_a_match_counts_nothing_twice():
    """A login that sees none of the processes adds nothing to the totals."""
    blind = replace(host("www"), capabilities=_answer("www").capabilities)
    assert snapshot(_answer("web-01"), blind).same_machines == ()


def test_counted_once_keeps_the_first_name():
    """The others stay in the report as answered, without processes, and say where they are counted."""
    fleet = counted_once(snapshot(*[failed("gone", "dns", "no"), _answer("web-01"), _answer("db"), _answer("www")]))
    assert [(one.name, one.status, one.same_as) for one in fleet.hosts] == [
        ("gone", "dns", ""),
        ("web-01", "ok", ""),
        ("db", "ok", "web-01"),
        ("www", "ok", "web-01"),
    ]
    assert [one.host for one in fleet.processes] == ["web-01"]
    assert fleet.coverage.asked == 4
    assert fleet.same_machines == ()
    assert coverage_sentence(fleet.coverage) == "3 of 4 hosts answered; 1 did not: 1 dns; 1 of 1 process read"


def test_hosts_view_says_where_a_machine_is_counted():
    """Its row holds nothing, and why."""
    fleet = counted_once(snapshot(*[_answer("web-01"), _answer("www")]))
    table = hosts(fleet).tables[0]
    assert table.column("processes").cells() == [1, 0]
    assert table.column("rss_kib").cells() == [3, 0]
    assert table.column("error").cells() == ["", "the same machine as web-01"]


def test_addresses_of_one_real_machine(sshd_of_fifty):
    """Three addresses of this machine: noted, and with machines_once read under the first name."""
    server = sshd_of_fifty
    fleet = [server.host(f"box-{n}", address=f"127.0.1.{n}") for n in (1, 2, 3)]
    with Target("same-machine") as target:
        question = Question(Selection(pids=(target.pid,)), ssh=server.options)
        assert collect(fleet, question).same_machines == (("box-1", "box-2", "box-3"),)
        once = collect(fleet, question, machines_once=True)
    assert [(one.host, one.pid) for one in once.processes] == [("box-1", target.pid)]
    assert [one.status for one in once.hosts] == ["ok", "ok", "ok"]


def test_container_beside_its_machine_is_another(sshd):
    """A pid namespace of its own, as a container has: the same boot_id, other processes."""
    unshare = ("unshare", "--pid", "--fork", "--mount-proc")
    if os.geteuid() != 0 or shutil.which(unshare[0]) is None:
        pytest.skip(reason="another pid namespace takes root and unshare")
    if reason := subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False).stderr:
        pytest.skip(reason=f"no pid namespace can be made here: {reason}")
    container = sshd.forced("container", "sh", f"exec {' '.join(unshare)} sh -s\n")
    taken = collect([sshd.host("machine"), container], Question(smaps=False, ssh=sshd.options))
    machine, inside = (one.capabilities for one in taken.hosts)
    assert machine
    assert inside
    assert machine.boot_id == inside.boot_id
    assert machine.pid_namespace != inside.pid_namespace
    assert taken.same_machines == ()


def test_two_recorded_trees_are_two_hosts(tmp_path):
    """Nothing in a recorded tree says whose processes they are, so equal ones are not taken for one machine."""
    tree = Path(__file__).parents[1] / "fake_proc" / "web-01"
    fleet = [Host(name, transport="local", proc_root=str(tree)) for name in ("a", "b")]
    taken = collect(fleet, Question(Selection(pids=(1843,)), smaps=False))
    assert [one.host for one in taken.processes] == ["a", "b"]
    assert taken.same_machines == ()
