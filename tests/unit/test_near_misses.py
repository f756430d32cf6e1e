"""near_misses: what a host without a match has that is near the selection; no_match: the sentences on it."""

from __future__ import annotations

import re
import time

import pytest

from fleetpmap.cli.no_match import hints
from fleetpmap.collection.redaction import redacted
from fleetpmap.collection.reply import HostReply
from fleetpmap.inventory import Host
from fleetpmap.near_misses import NearMisses, near_misses
from fleetpmap.own_processes import OwnProcesses
from fleetpmap.processes import Choice, Selection
from fleetpmap.snapshot import HostResult, Run, Snapshot
from fleetpmap.transport import Secret
from fleetpmap.transport.secret import Redaction
from fleetpmap.wire import Capabilities, ContainerName, ListedProcess, Listing, Processes
from snapshots import host, process, snapshot

WEB, DB = "/system.slice/web.service", f"/docker/{'4f9a' * 16}"
USERS = {0: "root", 33: "www-data", 70: "postgres"}


def _listed(pid, name, *arguments, **facts):
    given = {"state": "S", "ppid": 1, "session": pid, "start_ticks": pid, "rss_kib": 1000, "kernel_thread": False}
    return ListedProcess(pid=pid, name=name, arguments=arguments, **(given | facts))


def _listing(*processes, names=None, users=None, probe_pid=None):
    capabilities = Capabilities(0, "6.1.0", 4096, "boot", "4026531836", "gnu", "gzip", probe_pid)
    return Listing(capabilities, Processes.of(processes), users or {}, names=names or {})


HOST = _listing(
    _listed(10, "nginx", "nginx: master", cgroups=(WEB,), uid=0),
    _listed(11, "nginx", "nginx: worker", cgroups=(WEB,), uid=33),
    _listed(12, "python3", "python3", "/srv/worker.py", cgroups=(WEB,), uid=33),
    _listed(20, "postgres", "postgres", cgroups=(DB,), uid=70),
    _listed(30, "kworker/0:1", kernel_thread=True, uid=0),
    names={"4f9a" * 16: ContainerName("shop-db")},
    users=USERS,
)


def _near(pattern: str, listing: Listing = HOST, **options) -> NearMisses:
    closely = options.pop("closely", True)
    return near_misses(listing, Selection(match=re.compile(pattern), **options), closely=closely)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("ngnix", ("nginx",)),
        ("^NGINX$", ("nginx",)),
        ("nginxd|postgre5", ("nginx", "postgres")),
        ("postgresql", ("postgres",)),
        ("haproxy", ()),
        ("kwroker", ()),
        (r"\d+", ()),
    ],
)
def test_names_are_near_if_they_are_spelled_alike(pattern, names):
    """The nearest first, in either case; a kernel thread is none, since only --pid selects it."""
    assert _near(pattern).names == names


def test_fleetpmaps_own_processes_are_not_near():
    """No selection matches them."""
    listing = _listing(
        _listed(5, "sshd", "sshd: /usr/sbin/sshd -D [listener]"),
        _listed(6, "sshd", "sshd: ops@notty", ppid=5),
        _listed(7, "probesh", "sh", "-s", ppid=6, session=7),
        probe_pid=7,
    )
    assert _near("probesch", listing).names == ()
    assert _near("ssshd", listing).names == ("sshd",)


def test_full_and_groups_are_counted_as_the_options_would_match():
    """Other options narrow them too."""
    near = _near("worker", exact=False)
    assert (near.full, near.groups) == (2, ())
    assert _near("worker", users=("root",)).full == 0
    assert _near("web").groups == (("--unit", "web.service", 3),)
    assert _near("web", users=("www-data",)).groups == (("--unit", "web.service", 2),)
    assert _near("shop").groups == (("--container", "docker:shop-db", 1),)


@pytest.mark.parametrize("wanted", ["we", "WEB", "wbe.service", "wbe"])
def test_a_unit_is_near_one_with_a_name_like_it(wanted):
    """Or one that holds its name, as an instance of a template does; the other options narrow it."""
    near = near_misses(HOST, Selection(unit=wanted, users=("www-data",)))
    assert near.groups == (("--unit", "web.service", 2),)
    assert near_misses(HOST, Selection(unit="haproxy")).groups == ()
    assert _hints(None, _snapshot(a=near), unit=wanted) == ["--unit web.service would match 2 processes on a"]


@pytest.mark.parametrize("wanted", ["shop", "shop-bd", "docker:SHOP-DB", "nginx,shop-d"])
def test_a_container_is_near_one_with_a_name_like_it(wanted):
    """Its name has to be given whole."""
    near = near_misses(HOST, Selection(container=wanted))
    assert near.groups == (("--container", "docker:shop-db", 1),)
    assert near_misses(HOST, Selection(container="haproxy")).groups == ()


def test_containers_that_a_label_does_not_tell_apart_are_no_hint():
    """--container would refuse it."""
    first, second = (f"/docker/{'4f9a' * 3}{end * 52}" for end in "ab")
    twins = _listing(_listed(5, "x", cgroups=(first,)), _listed(6, "x", cgroups=(second,)))
    assert _near("4f9a4f9a", twins).groups == ()


def test_the_program_that_started_fleetpmap_is_no_hint():
    """The command line of sudo holds the pattern, and no other one does."""
    sudo = _listed(5, "sudo", "sudo", "fleetpmap", "run", "-m", "qzword")
    ours = _listed(6, "fleetpmap", "fleetpmap", "run", "-m", "qzword", ppid=5)
    selection, own = Selection(match=re.compile("qzword")), OwnProcesses(roots=frozenset({6}))
    assert near_misses(_listing(sudo, ours), selection, own, closely=True).full == 0
    other = _listed(7, "python3", "python3", "qzword.py")
    assert near_misses(_listing(sudo, ours, other), selection, own, closely=True).full == 2


def test_command_lines_that_were_not_listed_are_unknown():
    """Not zero: a run by name lists names alone."""
    assert _near("worker", closely=False) == NearMisses(names=(), full=None)
    assert _near("worker").full == 2


def test_a_match_that_another_option_leaves_out_is_counted():
    """The name is right then, so no other one is near."""
    near = _near("nginx", users=("postgres",))
    assert (near.others, near.names) == (2, ())


def test_users_are_those_of_the_processes():
    """Only where the selection is by user."""
    assert near_misses(HOST, Selection(users=("wwwdata",))).users == ("postgres", "root", "www-data")
    assert _near("ngnix").users == ()


def test_hostile_names_are_bounded():
    """A hundred thousand names cost no more than two thousand; those that are long or unprintable are left out."""
    evil = [_listed(1, "nginx\x1b[2J"), _listed(2, "nginx\u202e"), _listed(3, "nginx" * 20)]
    assert _near("nginy", _listing(*evil), closely=False).names == ()
    many = _listing(*(_listed(pid, f"{pid:x}-nginx") for pid in range(1, 100_000)))
    began = time.process_time()
    assert len(_near("1000-nginy", many, closely=False).names) == 3
    assert time.process_time() - began < 8
    crowd = _listing(*(_listed(pid, "x", uid=pid) for pid in range(1, 500)), users={n: f"u{n}" for n in range(1, 500)})
    users = near_misses(crowd, Selection(users=("u3",))).users
    assert (len(users), users[0]) == (30, "u3")


def test_passwords_are_redacted():
    """A host may have one in the name of a process or of a unit."""
    reply = HostReply(Host("a"), HOST, Choice((), ()), near=NearMisses(("s3cret-word",)))
    near = redacted(reply, Redaction.of([Secret("s3cret-word")])).near
    assert near == NearMisses(("***",))
    near = NearMisses(("s3cret",), 0, 1, (("--unit", "s3cret.service", 1),), ("s3cret",))
    assert near.rewritten(lambda text: text.replace("s3cret", "***")) == NearMisses(
        ("***",), 0, 1, (("--unit", "***.service", 1),), ("***",)
    )


def _snapshot(**near: NearMisses) -> Snapshot:
    hosts = tuple(HostResult(name, "no-match", None, None, (), near=each) for name, each in near.items())
    whole = snapshot(host("x"))
    return Snapshot(hosts, (), whole.table, Run(whole.run.started, 0.0, ""))


def _hints(pattern: str | None, found: Snapshot, **options) -> list[str]:
    return [*hints(found, Selection(match=None if pattern is None else re.compile(pattern), **options))]


def test_hints_name_hosts_and_add_up():
    """Three names, the nearest first, and the hosts of each; many hosts are counted."""
    some = NearMisses(("nginx", "nginx-dbg"), 0, 2, (("--unit", "web.service", 3),))
    other = NearMisses(("nginx",), 0, 0, (("--unit", "web.service", 1), ("--container", "docker:my web", 1)))
    assert _hints("ngnix", _snapshot(a=some, b=other)) == [
        "no process has a name that matches ngnix; near it: nginx on a,b and nginx-dbg on a",
        "--full would match 2 processes on a: it searches the command lines",
        "--unit web.service would match 4 processes on a,b",
        "--container 'docker:my web' would match 1 process on b",
    ]
    [hint, _] = _hints("ngnix", _snapshot(**{f"h{n}": NearMisses(("nginx",), full=None) for n in range(9)}))
    assert hint.endswith("near it: nginx on 9 hosts")


def test_hint_says_where_command_lines_are_searched():
    """Where a run listed names alone; not where --full was searched already."""
    assert _hints("ngnix", _snapshot(a=NearMisses())) == [
        "names alone were searched: `fleetpmap ps` with the same options for hosts and processes also searches "
        "command lines, units and containers"
    ]
    assert _hints("ngnix", _snapshot(a=NearMisses()), full=True) == []
    assert _hints("ngnix", _snapshot(a=NearMisses(full=0))) == []


def test_hint_for_a_glob_that_is_a_valid_expression():
    """It matches something else than was meant; what has a star behind a dot is meant as it is."""
    [hint] = _hints("nginx*", _snapshot(a=NearMisses(full=0)))
    assert hint == (
        "--match is a regular expression, in which x* is any number of x: for the glob nginx* write nginx or 'nginx.*'"
    )
    assert _hints("nginx.*", _snapshot(a=NearMisses(full=0))) == []


def test_hint_for_an_unknown_user():
    """The nearest one, or a few of those that there are; a uid and a user with processes are no mistake."""
    near = _snapshot(a=NearMisses(users=("root", "www-data")), b=NearMisses(users=("postgres",)))
    assert _hints(None, near, users=("wwwdata",)) == ["no process runs as wwwdata there; did you mean www-data?"]
    assert _hints(None, near, users=("zoe",)) == [
        "no process runs as zoe there; they run as postgres, root and www-data"
    ]
    assert _hints(None, near, users=("postgres", "1000")) == []


def test_hint_for_a_match_that_other_options_leave_out():
    """It says which option to blame."""
    assert _hints("nginx", _snapshot(a=NearMisses(others=2, full=0)), users=("zoe",)) == [
        "2 processes on a match by --match alone: the other process options leave them out"
    ]


def test_no_hint_where_anything_matched():
    """A host without a match beside one with a match is no mistake."""
    matched = snapshot(host("a", process(1, "nginx")))
    near = HostResult("b", "no-match", None, None, (), near=NearMisses(("nginx",), full=0))
    found = Snapshot((*matched.hosts, near), matched.processes, matched.table, matched.run)
    assert _hints("nginx", found) == []
