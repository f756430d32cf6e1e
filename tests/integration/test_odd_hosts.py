"""Hosts that are set up unlike the usual, each a real login to a real sshd."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection, compile_match
from fleetpmap.snapshot import Snapshot
from sshd import Sshd
from targets import Target

TREES = Path(__file__).parents[1] / "fake_proc"
NAME = f"fpmo{os.getpid() % 100000}"


def ask(host: Host, sshd: Sshd, **selection: object) -> Snapshot:
    return collect(
        [host], Question(Selection(**(selection or {"match": compile_match(f"^{NAME}$")})), ssh=sshd.options)
    )


def assert_read(snapshot: Snapshot, pid: int, *, notes: tuple[str, ...] = ()) -> None:
    """The host gave this process, whole, and nothing else."""
    host = snapshot.hosts[0]
    assert (host.status, host.failure, host.notes) == ("ok", None, notes)
    assert [(process.pid, process.name, process.status) for process in snapshot.processes] == [(pid, NAME, "read")]
    ranges = re.findall(r"(?m)^([0-9a-f]+)-", Path(f"/proc/{pid}/smaps").read_text())
    assert snapshot.table.start.tolist() == [int(start, 16) for start in ranges]


@pytest.fixture
def target() -> Iterator[Target]:
    """A stopped process of the user who runs the tests."""
    with Target(NAME) as one:
        yield one


@contextmanager
def process_of(user: str) -> Iterator[int]:
    """A process called NAME, of another account: a script there, since ours may lie where it may not go."""
    entry = pwd.getpwnam(user)
    script = Path(entry.pw_dir) / NAME
    script.write_text("#!/bin/sh\necho\nread line\n")
    script.chmod(0o755)
    ids = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with subprocess.Popen([script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", **ids) as process:
        process.stdout.readline()  # it runs its own program now
        yield process.pid
        process.kill()


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
@pytest.mark.parametrize("name", ["fish", "tcsh", "rbash", "bash", "mksh"])
def test_any_login_shell(sshd: Sshd, account: Callable[..., str], name: str, transport: str) -> None:
    """What is exec'd is plain words, which every login shell takes, a restricted one too."""
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(reason=f"no {name} on this machine, the login shell to be tried")
    user = account(name, shell=shell)
    sshd.authorize(user, sshd.identity_file)
    with process_of(user) as theirs:
        assert_read(ask(sshd.host(user=user, transport=transport), sshd), theirs)


@pytest.fixture
def bash_user(sshd: Sshd, account: Callable[..., str]) -> Callable[[str], str]:
    """An account whose ~/.bashrc is the text given; bash reads it for every command that sshd starts."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip(reason="no bash on this machine")

    def make(bashrc: str) -> str:
        user = account("bash", shell=bash)
        sshd.authorize(user, sshd.identity_file)
        home = Path(pwd.getpwnam(user).pw_dir)
        (home / "ran").unlink(missing_ok=True)
        (home / ".bashrc").write_text(f"{bashrc}\ntouch ~/ran\n")
        return user

    return make


def assert_bashrc_ran(user: str) -> None:
    if not (Path(pwd.getpwnam(user).pw_dir) / "ran").exists():
        pytest.skip(reason="this machine's bash does not read .bashrc when sshd starts it")


def test_a_bashrc_that_prints_noise(sshd: Sshd, bash_user: Callable[[str], str]) -> None:
    """Noise on both streams before our data, with something like a frame in it, without a newline at the end."""
    guess = "0" * 32
    user = bash_user(f"echo Welcome; echo '{guess} begin 1 uid=0'; echo oops >&2; printf '\\377\\033[2J no newline'")
    with process_of(user) as theirs:
        assert_read(ask(sshd.host(user=user), sshd), theirs)
    assert_bashrc_ran(user)


def test_a_slow_bashrc(sshd: Sshd, bash_user: Callable[[str], str]) -> None:
    """It only takes its time; a host whose time is shorter than that is a timeout."""
    user = bash_user("sleep 1.5")
    with process_of(user) as theirs:
        assert_read(ask(sshd.host(user=user), sshd), theirs)
        late = ask(sshd.host(user=user, timeout_s=1.0), sshd).hosts[0]
    assert late.status == "timeout"
    assert_bashrc_ran(user)


@pytest.mark.parametrize(
    ("bashrc", "needs"),
    [
        ("exec zsh", "zsh"),
        ("export ZDOTDIR=~ && echo 'setopt noglob; alias grep=false' >~/.zshenv && exec zsh -s", "zsh"),
        ("exec mksh", "mksh"),
        ("exec busybox sh", "busybox"),
        ("set -o noglob; export SHELLOPTS; exec bash --norc", "bash"),
        ("set -o errexit -o nounset -o noclobber; export SHELLOPTS; exec bash --norc", "bash"),
        ("grep() { false; }; echo() { false; }; export -f grep echo; exec bash --norc", "bash"),
        ("export GLOBIGNORE='*' IFS=0123456789; exec bash --norc", "bash"),
        ("read line", "bash"),
    ],
)
def test_a_bashrc_that_puts_another_shell_in_the_place_of_sh(
    sshd: Sshd, bash_user: Callable[[str], str], bashrc: str, needs: str
) -> None:
    """Another shell, inherited options and functions, a line that was read: the host is read as any other."""
    if shutil.which(needs) is None:
        pytest.skip(reason=f"no {needs} on this machine, the shell to be tried")
    user = bash_user(f"touch ~/ran\n{bashrc}")
    with process_of(user) as theirs:
        assert_read(ask(sshd.host(user=user), sshd), theirs)
    assert_bashrc_ran(user)


@pytest.mark.parametrize(
    ("bashrc", "message", "hint"),
    [
        ("exec tcsh", "csh reads the script in the place of sh", "echo ok </dev/null"),
        ("exec rbash", "a restricted shell reads the script in the place of sh", "ordinary shell"),
        ("exec cat", "what runs there in the place of `sh` gives back what it is sent", "echo ok </dev/null"),
        ("exec >/dev/null", "the output of the script goes to /dev/null", "redirects it"),
        ("exec </dev/null", "exit status 0 before the probe began: nothing on stderr", "reads from stdin"),
        ("read a; read b; read c; read d", "another program read the first lines of the script", "reads from stdin"),
        ("ulimit -n 8", "the account may open too few files at a time (ulimit -n)", "limits"),
        ("ulimit -u 1; exec sh -s", "fork", "limits"),
    ],
)
def test_a_bashrc_that_keeps_the_probe_from_beginning(
    sshd: Sshd, bash_user: Callable[[str], str], bashrc: str, message: str, hint: str
) -> None:
    """What is in the way is named at once, and never taken for a host where nothing matches."""
    user = bash_user(f"touch ~/ran\n{bashrc}")
    started = time.monotonic()
    failure = ask(sshd.host(user=user, timeout_s=60.0), sshd).hosts[0].failure
    assert_bashrc_ran(user)
    assert failure is not None
    assert (failure.status, message in failure.message) == ("remote-error", True), failure.message
    assert hint in failure.hint
    assert time.monotonic() - started < 40


def test_a_time_out_shows_what_the_host_printed(sshd: Sshd) -> None:
    """A login that asks a question waits for an answer: the question is in the message."""
    waits = sshd.forced("waits", "sh", "printf 'Choose a project: '; exec sleep 60", timeout_s=6)
    silent = sshd.forced("silent", "sh", "exec sleep 60", timeout_s=6)
    failures = [ask(host, sshd).hosts[0].failure for host in (waits, silent)]
    assert [(one.status, one.message) for one in failures if one] == [
        (
            "timeout",
            'no time left after 6 s, while waiting for what the command says; it printed "Choose a project:"',
        ),
        ("timeout", "no time left after 6 s, while waiting for what the command says; it printed nothing"),
    ]
    assert "`ssh silent echo ok </dev/null` has to print ok" in failures[1].hint


def test_a_host_that_floods_stderr(sshd: Sshd, target: Target) -> None:
    """A hundred megabytes beside our data are read and dropped, and hold nothing up."""
    flood = "head -c 104857600 /dev/zero >&2 & exec sh -s"
    assert_read(ask(sshd.forced("flood", "sh", flood), sshd), target.pid)


def test_a_recorded_tree_over_ssh(sshd: Sshd) -> None:
    """proc_root is read in place of /proc: other processes, another kernel, and names from the tree's own passwd."""
    snapshot = ask(sshd.host(proc_root=str(TREES / "web-01")), sshd, match=compile_match("gunicorn"))
    assert snapshot.hosts[0].capabilities is not None
    assert snapshot.hosts[0].capabilities.kernel != os.uname().release
    assert [process.pid for process in snapshot.processes if process.status == "read"] == [1843, 1851]


def test_a_text_that_ends_in_an_error_costs_no_other_process(sshd: Sshd, tmp_path: Path) -> None:
    """GNU's tail stops at a file that it cannot read to its end: the others are asked for again."""
    tree = tmp_path / "proc"
    shutil.copytree(TREES / "web-01", tree)
    (tree / "1843/smaps").unlink()
    (tree / "1843/smaps").symlink_to("/proc/self/mem")  # opens, and gives an error at the first byte
    snapshot = ask(sshd.host(proc_root=str(tree)), sshd, match=compile_match("gunicorn|bash"))
    assert [(process.pid, process.status) for process in snapshot.processes] == [
        (1843, "empty"),
        (1851, "read"),
        (2290, "read"),
        (2307, "read"),
    ]
    assert sorted({snapshot.processes[slot].pid for slot in snapshot.table.process.tolist()}) == [1851, 2290, 2307]


def test_files_from_a_clock_that_is_wrong(sshd: Sshd, tmp_path: Path) -> None:
    """A tree dated 2106 and processes that start after it was read: nothing of ours asks what time it is there."""
    tree = tmp_path / "proc"
    shutil.copytree(TREES / "web-01", tree)
    stat = tree / "1843/stat"
    before, _, after = stat.read_text().rpartition(")")
    fields = after.split()
    fields[19] = str(10**12)  # starttime: 300 years of clock ticks
    stat.write_text(f"{before}) {' '.join(fields)}\n")
    (tree / "1843/exe").symlink_to("/usr/bin/python3.11")
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, (2**32 - 1, 2**32 - 1), follow_symlinks=False)
    snapshot = ask(sshd.host(proc_root=str(tree)), sshd, exe="python3*")
    assert [(process.pid, process.status, process.start_ticks) for process in snapshot.processes] == [
        (1843, "read", 10**12)
    ]


def test_exe_unit_and_cgroup_over_ssh(sshd: Sshd, target: Target) -> None:
    """A real process is found by its program and by its cgroup, together with its name."""
    exe = Path(f"/proc/{target.pid}/exe").readlink()
    path = Path(f"/proc/{target.pid}/cgroup").read_text().splitlines()[-1].split(":", 2)[2]
    named = compile_match(f"^{NAME}$")
    assert_read(ask(sshd.host(), sshd, match=named, exe=str(exe), cgroup=path), target.pid)
    assert_read(ask(sshd.host(), sshd, match=named, exe=exe.name, cgroup="/*"), target.pid)
    assert ask(sshd.host(), sshd, match=named, exe="/nowhere/*").hosts[0].status == "no-match"
    assert ask(sshd.host(), sshd, match=named, unit="no-such-unit").hosts[0].status == "no-match"


def test_exes_of_others_are_said_to_be_unknown(sshd: Sshd, account: Callable[..., str], target: Target) -> None:
    """An ordinary login cannot tell what root's process runs: it is left out, counted, and what to do is said."""
    user = account("plain")
    sshd.authorize(user, sshd.identity_file)
    host = ask(sshd.host(user=user), sshd, match=compile_match(f"^{NAME}$"), exe="python*").hosts[0]
    assert host.status == "no-match"
    assert host.notes == (
        "the exe of 1 of its processes could not be read, so --exe leaves them out; --sudo reads them",
    )


class Chroot:
    """A root directory with a few programs, and /proc: what a login there sees of the machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "proc", "dev", "etc"):
            (root / name).mkdir()
        (root / "dev/null").touch()

    def add(self, program: str, *names: str) -> None:
        """Copy a program of this machine, with the libraries it needs, under these names."""
        path = shutil.which(program)
        if path is None:
            pytest.skip(reason=f"no {program} on this machine")
        for name in names:
            shutil.copy(path, self.root / "bin" / name)
        needed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", needed):
            copy = self.root / library.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)

    def host(self, sshd: Sshd, name: str) -> Host:
        """The host where a login finds itself in there. The mounts are its own and end with it."""
        if not self._may_enter():
            pytest.skip(reason="no mounts of one's own here (unshare -m, mount --bind, chroot)")
        return sshd.forced(name, "sh", f"exec {self._enter()} sh -s")

    def _may_enter(self) -> bool:
        return (
            subprocess.run(["sh", "-c", f"{self._enter()} sh -c :"], capture_output=True, check=False).returncode == 0
        )

    def _enter(self) -> str:
        mounts = f"mount --bind /proc {self.root}/proc && mount --bind /dev/null {self.root}/dev/null"
        return f"unshare -m sh -c '{mounts} && PATH=$PATH:/usr/sbin:/sbin exec chroot {self.root} \"$@\"' enter"


@pytest.fixture
def chroot(tmp_path: Path) -> Chroot:
    """An empty one; entering it takes root."""
    if os.geteuid() != 0:
        pytest.skip(reason="chroot takes root")
    return Chroot(tmp_path)


BUSYBOX_NAMES = ("sh", "grep", "awk", "tail", "id", "uname", "readlink", "cut", "sort", "tar", "gzip")


@pytest.mark.parametrize(
    ("without", "can"),
    [("", ("busybox", "gzip")), ("gzip", ("busybox", "none")), ("tail", ("sh", "gzip"))],
    ids=["all", "no gzip", "no tail"],
)
def test_a_host_that_has_only_busybox(
    sshd: Sshd, chroot: Chroot, target: Target, without: str, can: tuple[str, str]
) -> None:
    """No GNU tool anywhere: the same answer, by BusyBox; plain without its gzip, by its shell without its tail."""
    chroot.add("busybox", *(name for name in BUSYBOX_NAMES if name != without))
    snapshot = ask(chroot.host(sshd, f"busybox-{without}"), sshd, match=compile_match(f"^{NAME}$"), exe="python*")
    assert_read(snapshot, target.pid)
    said = snapshot.hosts[0].capabilities
    assert said is not None
    assert (said.reader, said.compression) == can


@pytest.mark.parametrize("shell", ["dash", "mksh"])
def test_a_host_that_has_toybox(sshd: Sshd, chroot: Chroot, target: Target, shell: str) -> None:
    """Android's tools, and its shell: what they can do is used, and the answer is the same."""
    chroot.add("toybox", "grep", "tail", "printf", "id", "uname", "readlink", "nice")
    chroot.add(shell, "sh")
    snapshot = ask(chroot.host(sshd, f"toybox-{shell}"), sshd)
    assert_read(snapshot, target.pid)
    said = snapshot.hosts[0].capabilities
    assert said is not None
    assert (said.reader, said.compression) == ("gnu", "none")


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh"])
def test_a_host_that_has_only_a_shell(sshd: Sshd, chroot: Chroot, target: Target, shell: str) -> None:
    """No tool, not even id: the shell reads /proc alone. dash cannot read command lines, and the report says so."""
    chroot.add(shell, "sh")
    host = chroot.host(sshd, f"only-{shell}")
    notes = (
        ("no usable grep and tail: its shell read /proc alone, without command lines, so only names matched",)
        if shell == "dash"
        else ()
    )
    snapshot = ask(host, sshd)
    assert_read(snapshot, target.pid, notes=notes)
    said = snapshot.hosts[0].capabilities
    assert said is not None
    assert (said.reader, said.compression, said.uid, said.kernel, said.page_size) == (
        "sh",
        "none",
        0,
        os.uname().release,
        os.sysconf("SC_PAGESIZE"),
    )
    by_command_line = ask(host, sshd, match=compile_match(f" {NAME} "), full=True)
    assert len(by_command_line.processes) == (0 if shell == "dash" else 1)


def test_a_shell_alone_cannot_say_what_runs(sshd: Sshd, chroot: Chroot) -> None:
    """--exe takes tar: a host without it is an error that says so, not a host where nothing matches."""
    chroot.add("dash", "sh")
    failure = ask(chroot.host(sshd, "no-tar"), sshd, exe="python*").hosts[0].failure
    assert failure is not None
    assert (failure.status, failure.message) == (
        "remote-error",
        "needs tar there to see which program a process runs",
    )


def test_hidepid_hides_others_and_the_report_says_so(sshd: Sshd, account: Callable[..., str], target: Target) -> None:
    """A login sees only its own processes there: they are read, and a note says that there may be more."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (5, 8):
        pytest.skip(reason="before Linux 5.8 hidepid is one setting for every /proc of the machine")
    user = account("plain")
    entry = pwd.getpwnam(user)
    become = f"setpriv --reuid={entry.pw_uid} --regid={entry.pw_gid} --clear-groups"
    root = Path(entry.pw_dir) / "proc"
    root.mkdir()
    mount = f"mount -t proc -o hidepid=2 proc {root}"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", f"{mount} && {become} true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(reason="no mount of one's own here (unshare -m, mount -t proc)")
    text = f"exec unshare -m sh -c '{mount} && cd / && exec {become} sh -s'"
    with process_of(user) as theirs:
        snapshot = ask(sshd.forced("hidepid", "sh", text, proc_root=str(root)), sshd)
    assert snapshot.hosts[0].failure is None
    assert [(process.pid, process.status) for process in snapshot.processes] == [(theirs, "read")]
    assert snapshot.hosts[0].notes == (
        "its /proc hides other users' processes (hidepid): only the login's own can match; --sudo shows all",
    )
