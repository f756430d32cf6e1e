"""processes.choose: which of the listed processes the options mean."""

import re

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.own_processes import find_own
from fleetpmap.processes import Choice, Selection, choose, compile_match, full_name
from fleetpmap.wire import Capabilities, ListedProcess, Listing, Processes

GIB = 1024 * 1024


def listed(pid, name, *arguments, **facts):
    given = {"state": "S", "ppid": 1, "session": pid, "start_ticks": pid * 10, "rss_kib": 1000, "kernel_thread": False}
    return ListedProcess(pid=pid, name=name, arguments=arguments, **(given | facts))


def listing(*processes, users=None, probe_pid=None):
    capabilities = Capabilities(0, "6.1.0", 4096, "boot", "4026531836", "gnu", "gzip", probe_pid)
    return Listing(capabilities, Processes.of(processes), users or {})


def pids(choice: Choice):
    return [process.pid for process in choice.read]


def statuses(choice: Choice):
    return {left.process.pid: left.status for left in choice.skipped}


def test_match_searches_the_name_only():
    """--match finds the pattern anywhere in the process name, and nowhere in the arguments."""
    fleet = listing(listed(5, "bash", "-bash"), listed(6, "vi", "vi", "bash.txt"), listed(7, "rbash", "rbash"))
    assert pids(choose(fleet, Selection(match=re.compile("bash")))) == [5, 7]


def test_full_searches_the_command_line():
    """--full joins the arguments with spaces, as pgrep -f does."""
    fleet = listing(listed(5, "python3", "python3", "-m", "gunicorn"), listed(6, "python3", "python3", "-m", "http"))
    assert pids(choose(fleet, Selection(match=re.compile("-m gunicorn"), full=True))) == [5]


def test_full_ends_where_the_command_line_does():
    """Redis writes its title over its arguments, and what is left of them reads as empty ones."""
    fleet = listing(listed(5, "redis-server", "redis-server *:6379", "", "", ""))
    assert pids(choose(fleet, Selection(match=re.compile(":6379$"), full=True))) == [5]


def test_full_falls_back_to_the_name():
    """A process that erased its command line is matched by its name, as pgrep -f does."""
    assert pids(choose(listing(listed(5, "nginx")), Selection(match=re.compile("nginx"), full=True))) == [5]


def test_exact_wants_the_whole_name():
    """--exact refuses a name that is only part of the way there."""
    fleet = listing(listed(5, "bash", "bash"), listed(6, "bashful", "bashful"))
    assert pids(choose(fleet, Selection(match=re.compile("bash"), exact=True))) == [5]


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("/usr/sbin/nginx", [5, 6]),
        ("nginx", [5, 6, 7]),
        ("nginx*", [5, 6, 7, 8]),
        ("/opt/*", [7, 8]),
        ("*/nginx", [5, 6, 7]),
        ("sbin/nginx", []),
        ("NGINX", []),
    ],
)
def test_exe_is_a_glob_on_the_path_or_its_last_part(glob, found):
    """Without a slash the last part counts; a deleted file is still the same program, and case matters."""
    fleet = listing(
        listed(5, "worker", exe="/usr/sbin/nginx"),
        listed(6, "old", exe="/usr/sbin/nginx (deleted)"),
        listed(7, "nginx", exe="/opt/b/nginx"),
        listed(8, "nginx", exe="/opt/nginx-debug"),
    )
    assert pids(choose(fleet, Selection(exe=glob))) == found


def test_exes_that_cannot_be_read_are_counted_when_nothing_else_rules_them_out():
    """A process matches on what is known; a zombie and a kernel thread have no exe to be read."""
    fleet = listing(
        listed(5, "nginx", exe="/usr/sbin/nginx"),
        listed(6, "nginx"),
        listed(7, "other"),
        listed(8, "nginx", state="Z"),
        listed(9, "nginx", kernel_thread=True),
    )
    choice = choose(fleet, Selection(match=re.compile("nginx"), exe="nginx"))
    assert (pids(choice), statuses(choice), choice.unread_exes) == ([5], {}, 1)


SYSTEM, USER = "/system.slice/nginx.service", "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/pool"
IN_CGROUPS = listing(
    listed(5, "a", cgroups=(SYSTEM,)),
    listed(6, "b", cgroups=("/", USER)),
    listed(7, "c", cgroups=("/system.slice/system-getty.slice/getty@tty1.service", "/")),
    listed(8, "d", cgroups=("/user.slice/user-1000.slice/session-3.scope",)),
    listed(9, "e", cgroups=None),
)


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        (SYSTEM, [5]),
        ("/system.slice", [5, 7]),
        ("/system.slice/", []),
        ("*/nginx.service", [5]),
        ("/user.slice/user-1000.slice", [6, 8]),
        ("/user.slice/*/web.service", [6]),
        ("pool", [6]),
        ("session-*.scope", [8]),
        ("/", [5, 6, 7, 8]),
        ("nginx", []),
    ],
)
def test_cgroup_is_a_glob_on_a_path_or_one_above_it(glob, found):
    """In any hierarchy; without a slash it is one part of the path."""
    assert pids(choose(IN_CGROUPS, Selection(cgroup=glob))) == found


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        ("nginx", [5]),
        ("nginx.service", [5]),
        ("ngin", []),
        ("web", [6]),
        ("user@1000", [6]),
        ("user@", [6]),
        ("getty@tty1", [7]),
        ("getty@.service", [7]),
        ("getty@tty2", []),
        ("session-3.scope", [8]),
        ("session-3", []),
        ("user-1000.slice", [6, 8]),
        ("system.slice", [5, 7]),
        ("*", [5, 6, 7]),
        ("pool", []),
        ("nginx,web", [5, 6]),
        ("pool,getty@tty1,", [7]),
    ],
)
def test_unit_is_a_systemd_unit_in_the_path(unit, found):
    """A service by its name alone; templates by one instance or all; user units, scopes and slices; several."""
    assert pids(choose(IN_CGROUPS, Selection(unit=unit))) == found


def test_a_unit_that_is_called_like_a_file_of_the_kernels_has_an_underscore_in_front():
    """systemd puts it there."""
    fleet = listing(listed(5, "a", cgroups=("/system.slice/_cgroup.procs.service",)))
    assert pids(choose(fleet, Selection(unit="cgroup.procs"))) == [5]


def test_all_that_is_given_must_hold():
    """Program, cgroup, unit and name, as in pgrep."""
    fleet = listing(
        listed(5, "a", cgroups=(SYSTEM,), exe="/bin/a"),
        listed(6, "a", cgroups=(SYSTEM,), exe="/bin/b"),
        listed(7, "a", cgroups=("/",), exe="/bin/a"),
    )
    everything = Selection(match=re.compile("a"), exe="a", cgroup="/system.slice", unit="nginx")
    assert pids(choose(fleet, everything)) == [5]


@pytest.mark.parametrize(
    ("name", "arguments", "whole"),
    [
        ("systemd-timesyn", ("/lib/systemd/systemd-timesyncd",), "systemd-timesyncd"),
        (
            "unattended-upgr",
            ("/usr/bin/python3", "/usr/bin/unattended-upgrade-shutdown"),
            "unattended-upgrade-shutdown",
        ),
        ("exactly-fifteen", ("/usr/bin/exactly-fifteen",), "exactly-fifteen"),
        ("renamed-to-this", ("/usr/bin/python3", "app.py"), "renamed-to-this"),
        ("short", ("/usr/bin/short-and-longer-than-15",), "short"),
        ("a" * 15, ("/usr/bin/" + "a" * 255,), "a" * 255),
        ("a" * 15, ("a" * 120_000,), "a" * 15),
    ],
)
def test_a_cut_name_is_completed(name, arguments, whole):
    """A name of 15 bytes is completed from the program or the script, where one of them begins with it."""
    assert full_name(listed(5, name, *arguments)) == whole


def test_match_sees_the_completed_name():
    """The part of a name that the kernel cut can be matched."""
    fleet = listing(listed(5, "systemd-timesyn", "/lib/systemd/systemd-timesyncd"))
    assert pids(choose(fleet, Selection(match=re.compile("timesyncd$")))) == [5]


def test_users_by_name_and_by_number():
    """--user takes the host's own names, and numbers."""
    fleet = listing(
        listed(5, "a", uid=0), listed(6, "b", uid=33), listed(7, "c", uid=1000), users={0: "root", 33: "www-data"}
    )
    assert pids(choose(fleet, Selection(users=("www-data", "1000")))) == [6, 7]


def test_all_conditions_hold_together():
    """A process has to satisfy every option that is given."""
    fleet = listing(listed(5, "bash", uid=0), listed(6, "bash", uid=1), listed(7, "vi", uid=0))
    assert pids(choose(fleet, Selection(match=re.compile("bash"), users=("0",), pids=(5, 6, 7)))) == [5]


def test_newest_and_oldest_pick_one_by_start_time():
    """Start time decides; the pid only between processes of the same tick."""
    fleet = listing(listed(5, "a", start_ticks=900), listed(6, "a", start_ticks=20), listed(7, "a", start_ticks=900))
    assert pids(choose(fleet, Selection(newest=True))) == [7]
    assert pids(choose(fleet, Selection(oldest=True))) == [6]


def test_kernel_threads_only_by_pid():
    """A kernel thread matches nothing but its own pid, and then has the status kernel."""
    fleet = listing(listed(2, "kthreadd", kernel_thread=True, rss_kib=0), listed(9, "kthreadd-like", "x"))
    assert statuses(choose(fleet, Selection(match=re.compile("kthreadd")))) == {}
    assert statuses(choose(fleet, Selection())) == {}
    assert statuses(choose(fleet, Selection(pids=(2,)))) == {2: "kernel"}


def test_a_zombie_matches_and_is_not_read():
    """A zombie is counted as matched, with its own status."""
    choice = choose(listing(listed(5, "bash", state="Z", rss_kib=0)), Selection(match=re.compile("bash")))
    assert (pids(choice), statuses(choice)) == ([], {5: "zombie"})


def test_guard_skips_a_big_process():
    """A process over --max-rss is skipped, and the reason gives both figures."""
    fleet = listing(listed(5, "db", rss_kib=80 * GIB), listed(6, "db", rss_kib=2 * GIB))
    choice = choose(fleet, Selection())
    assert (pids(choice), statuses(choice)) == ([6], {5: "skipped"})
    assert choice.skipped[0].reason == "its RSS of 80.0G is over --max-rss 64.0G"


def test_guard_reads_the_smallest_first():
    """Under --max-rss-sum the small processes are read and the one that would pass it is skipped."""
    fleet = listing(listed(5, "a", rss_kib=3 * GIB), listed(6, "a", rss_kib=2 * GIB), listed(7, "a", rss_kib=GIB))
    choice = choose(fleet, Selection(max_rss_sum_kib=4 * GIB))
    assert (pids(choice), statuses(choice)) == ([6, 7], {5: "skipped"})


def test_guard_lifted_reads_everything():
    """None is no limit."""
    fleet = listing(listed(5, "db", rss_kib=80 * GIB), listed(6, "db", rss_kib=300 * GIB))
    assert pids(choose(fleet, Selection(max_rss_kib=None, max_rss_sum_kib=None))) == [5, 6]


def test_over_ssh_the_probe_and_its_connection_are_never_matched():
    """The probe's session, its children and this connection's sshd are left out; listener and other logins are not."""
    fleet = listing(
        listed(100, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
        listed(200, "sshd", "sshd: ops [priv]", ppid=100),
        listed(201, "sshd", "sshd: ops@notty", ppid=200),
        listed(202, "bash", "bash", "-c", "sh -s", ppid=201, session=202),
        listed(203, "sh", "sh", "-s", ppid=202, session=202),
        listed(204, "cat", "cat", ppid=203, session=202),
        listed(300, "sshd", "sshd: eve [priv]", ppid=100),
        listed(301, "bash", "-bash", ppid=300),
        probe_pid=203,
    )
    assert pids(choose(fleet, Selection())) == [100, 300, 301]


def test_the_connection_is_known_without_command_lines():
    """Where a plain sh read /proc, the topmost sshd above the probe is the listener, and the others are ours."""
    fleet = listing(
        listed(100, "sshd"),
        listed(200, "sshd-session", ppid=100),
        listed(201, "sshd-session", ppid=200),
        listed(203, "sh", ppid=201, session=203),
        listed(300, "sshd-session", ppid=100),
        probe_pid=203,
    )
    assert pids(choose(fleet, Selection())) == [100, 300]


@pytest.mark.parametrize(("leader", "matched"), [(50, [60, 80]), (70, [60])])
def test_session_that_a_server_shares_with_services(leader: int, matched: list[int]):
    """tinysshd starts a login in the session that it is in itself: the services there are not ours, our shells are."""
    fleet = listing(
        listed(50, "sh", "sh", "/etc/rc.local"),
        listed(55, "tcpserver", ppid=50, session=50),
        listed(60, "bash", "bash", "/srv/service", ppid=50, session=50),
        listed(70, "tinysshd", ppid=55, session=leader),
        listed(71, "bash", "bash", "-c", "sh -s", ppid=70, session=leader),
        listed(72, "sh", "sh", "-s", ppid=71, session=leader),
        listed(73, "bash", "bash", "helper", ppid=71, session=leader),
        listed(80, "bash", "bash", "left", ppid=1, session=70),
        probe_pid=72,
    )
    assert pids(choose(fleet, Selection(match=re.compile("bash")))) == matched


def test_over_sudo_the_pty_session_is_left_out_too():
    """sudo may run the probe in a session of its own: its ancestors up to sshd are ours as well."""
    fleet = listing(
        listed(100, "sshd", "sshd: /usr/sbin/sshd [listener] 0 of 10-100 startups"),
        listed(201, "sshd-session", "sshd-session: ops@notty", ppid=100),
        listed(202, "bash", "bash", "-c", "sudo -n sh -s", ppid=201, session=202),
        listed(203, "sudo", "sudo", "-n", "sh", "-s", ppid=202, session=202),
        listed(204, "sh", "sh", "-s", ppid=203, session=204),
        probe_pid=204,
    )
    assert pids(choose(fleet, Selection())) == [100]


def test_locally_fleetpmap_and_its_children_are_left_out_but_not_the_calling_shell():
    """`run -H local --match bash` finds the shell it was typed in."""
    fleet = listing(
        listed(50, "bash", "-bash", session=50),
        listed(60, "fleetpmap", "fleetpmap", ppid=50, session=50),
        listed(61, "sh", "sh", "-s", ppid=60, session=61),
        listed(62, "cat", "cat", ppid=61, session=61),
        probe_pid=61,
    )
    assert pids(choose(fleet, Selection(), find_own(fleet, 60))) == [50]


def test_what_is_ours_stays_so_while_others_come():
    """A later list: what the probe has started since is ours as well; a login that has come since is not."""
    connection = (
        listed(100, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
        listed(201, "sshd", "sshd: ops@notty", ppid=100),
        listed(203, "sh", "sh", "-s", ppid=201, session=203),
    )
    own = find_own(listing(*connection, probe_pid=203))
    more = (listed(204, "cat", ppid=203, session=204), listed(301, "sshd", "sshd: ops@notty", ppid=100))
    assert pids(choose(listing(*connection, *more, probe_pid=203), Selection(), own)) == [100, 301]


def test_a_session_whose_leader_is_gone_may_be_older_than_the_probe():
    """The session is the probe's all the same."""
    fleet = listing(
        listed(5, "nohup", session=4, start_ticks=7),
        listed(100, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
        listed(201, "sshd", "sshd: ops@notty", ppid=100),
        listed(203, "sh", "sh", "-s", ppid=201, session=4, start_ticks=2000),
        probe_pid=203,
    )
    assert pids(choose(fleet, Selection())) == [100]


def test_a_recorded_tree_has_no_probe_in_it():
    """Without the probe's pid nothing is left out, though fleetpmap itself may happen to have a pid of the tree."""
    recorded = listing(listed(5, "sh", "sh", "-s"))
    assert pids(choose(recorded, Selection())) == [5]
    assert pids(choose(recorded, Selection(), find_own(recorded, 5))) == [5]


@pytest.mark.parametrize("pattern", ["[[:alpha:]]+", "x[[:space:]]"])
def test_a_posix_class_is_refused(pattern):
    """Python would read a POSIX class as a set of letters and match wrongly."""
    with pytest.raises(UsageError, match=r"have no \[:\w+:\]") as refused:
        compile_match(pattern)
    assert "write a range" in refused.value.hint


def test_a_bad_regex_says_where():
    """A pattern that does not compile is named with the place of the mistake."""
    with pytest.raises(UsageError, match=r"--match 'ba\(sh' is not a regular expression: .* at position 2"):
        compile_match("ba(sh")
