"""Hosts with their own processes and cgroups, made of namespaces.   [real_hosts] ─► tests

Each has its own pid, mount, cgroup, UTS and IPC namespaces, an sshd on a loopback address of its own, and a first
process that starts services in cgroups, as systemd does. Inside, /proc shows only its processes, and the path of a
cgroup is as on a machine of its own. The cgroups are real, in v1's controllers of this machine, below one directory
for each host; all of it is gone after `close()`, and the processes also if the tests are killed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory.hosts import Host
from fleetpmap.processes import Selection
from fleetpmap.snapshot import Snapshot
from fleetpmap.transport import SshOptions
from program import fleetpmap
from sshd import Sshd

PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
Usage = dict[str, dict[str, Any]]
"""The figures of cgroup_reader.py for a host, by cgroup."""

_ALL = Selection()
_READER = Path(__file__).with_name("cgroup_reader.py")

_ENTER = """
for directory; do echo 0 >"$directory/cgroup.procs" || exit; done
exec $unshare bash -c "$init" "$name"
"""
_UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--cgroup", "--uts", "--ipc", "--kill-child")
# bash as the first process takes the place of init for the orphans of its host: it waits for each that ends.
_INIT = """
set -e
log=$PWD/log
for directory in /run /dev/shm /var/lib /sys/fs/cgroup; do mount -t tmpfs tmpfs "$directory"; done
mkdir -m 755 /run/sshd
cd /sys/fs/cgroup
mkdir $hierarchies
mount -t cgroup -o memory cgroup memory
[ ! -d systemd ] || mount -t cgroup -o none,name=systemd cgroup systemd
[ ! -d unified ] || mount -t cgroup2 cgroup2 unified
cd "${log%/*}"
echo "$0" >/proc/sys/kernel/hostname
enter() {
    for hierarchy in $hierarchies; do echo 0 >"/sys/fs/cgroup/$hierarchy$1/cgroup.procs"; done
}
start() {
    (
        enter "$1"
        shift
        exec "$@"
    ) </dev/null >>"$log" 2>&1 &
    echo "$!"
}
enter /init.scope
echo ready
while IFS= read -r -d '' command; do eval "$command"; done
"""


def hierarchies() -> dict[str, Path]:
    """Find the hierarchies that a host gets: memory, systemd and unified, as far as this machine has them."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        words = options.split(",")
        if kind == "cgroup" and "memory" in words:
            found.setdefault("memory", Path(place))
        elif kind == "cgroup" and "name=systemd" in words:
            found.setdefault("systemd", Path(place))
        elif kind == "cgroup2":
            found.setdefault("unified", Path(place))
    return found


def need_hosts(*programs: str) -> None:
    """Leave a test out where there can be no such host with these programs; fail if they have to be there."""
    if reason := _why_none():
        pytest.skip(reason=reason)
    if absent := [name for name in ("setpriv", "bash", *programs) if program(name) is None]:
        reason = f"no {' and no '.join(absent)} on this machine"
        if os.environ.get("FLEETPMAP_REQUIRE_SSHD") == "1":
            pytest.fail(f"FLEETPMAP_REQUIRE_SSHD=1, but {reason}")
        pytest.skip(reason=reason)


def _why_none() -> str:
    if program("unshare") is None:
        return "no unshare on this machine"
    if os.geteuid() != 0:
        return "cgroups and namespaces take root"
    memory = hierarchies().get("memory")
    if memory is None or not os.access(memory, os.W_OK):
        return "no memory controller of cgroup v1 on this machine in which cgroups may be made"
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        return "namespaces are not allowed here"
    return ""


def program(name: str) -> str | None:
    """Find a program; Debian keeps those of PostgreSQL apart, by version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return shutil.which(name, path=os.pathsep.join([PATH, *map(str, reversed(versions))]))


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for it; a RuntimeError after these seconds."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class RealHost:
    """A running host. `close()` ends it.

    Attributes:
        name: also its host name.
        directory: for the files of its services; any account may enter it.
    """

    def __init__(self, name: str, address: str, directory: Path, sshd: Sshd) -> None:
        """Start it, with an sshd that takes the keys of `sshd`."""
        self.name = name
        self.directory = directory
        self._address, self._sshd = address, sshd
        self._tops = {kind: place / f"{directory.parent.name}-{name}" for kind, place in hierarchies().items()}
        directory.mkdir(mode=0o755)
        self._make("/init.scope")
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/"}
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._init = subprocess.Popen(
                ["bash", "-c", _ENTER, "bash", *self._tops.values()],
                env=environment
                | {"init": _INIT, "name": name, "hierarchies": " ".join(self._tops), "unshare": " ".join(_UNSHARE)},
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            self._reply()
            self.start("/system.slice/ssh.service", "sshd", "-D", "-e", "-f", str(sshd.config_for([address])))
        except BaseException:
            self.close()
            raise

    @property
    def host(self) -> Host:
        """The host as an inventory has it."""
        return self._sshd.host(self.name, address=self._address)

    @property
    def inventory_lines(self) -> str:
        """The same in TOML."""
        host = self.host
        keys = {"address": host.address, "port": host.port, "user": host.user, "identity_file": host.identity_file[0]}
        return "\n".join([f"[hosts.{self.name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""])

    @property
    def known_hosts_line(self) -> str:
        """Its line of known_hosts."""
        key = self._sshd.public_key(self._sshd.host_keys["ed25519"])
        return f"[{self._address}]:{self._sshd.port} {key}\n"

    @property
    def root(self) -> Path:
        """Its root directory, as seen from here."""
        pid = self._init.pid
        return Path(f"/proc/{Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0]}/root")

    def memory(self, cgroup: str) -> Path:
        """The directory of a cgroup in the memory hierarchy, as seen from here."""
        return Path(f"{self._tops['memory']}{cgroup}")

    def limit(self, cgroup: str, size: int) -> None:
        """Limit a cgroup to these bytes."""
        self._make(cgroup)
        (self.memory(cgroup) / "memory.limit_in_bytes").write_text(str(size))

    def start(self, cgroup: str, name: str, *arguments: str, user: str = "") -> int:
        """Start a program in a cgroup, and return its pid on the host."""
        self._make(cgroup)
        path = program(name)
        assert path is not None, name
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] if user else []
        assert self._init.stdin is not None
        self._init.stdin.write(shlex.join(["start", cgroup, *become, path, *arguments]) + "\0")
        self._init.stdin.flush()
        return int(self._reply())

    def is_reachable(self) -> bool:
        """Return True if its sshd listens."""
        with socket.socket() as client:
            return client.connect_ex((self._address, self._sshd.port)) == 0

    def processes(self, cgroup: str) -> int:
        """Count the processes in a cgroup."""
        return len((self.memory(cgroup) / "cgroup.procs").read_text().split())

    def close(self) -> None:
        """End the host's processes, and remove its cgroups."""
        try:
            self._init.communicate(timeout=20)  # the end of its input ends the first process, and that all others
        except subprocess.TimeoutExpired:
            self._init.kill()  # and with it the first process
            self._init.communicate()
        for top in self._tops.values():
            for directory, _, _ in os.walk(top, topdown=False):
                Path(directory).rmdir()

    def _make(self, cgroup: str) -> None:
        for top in self._tops.values():
            Path(f"{top}{cgroup}").mkdir(parents=True, exist_ok=True)

    def _reply(self) -> str:
        assert self._init.stdout is not None
        if not (line := self._init.stdout.readline()):
            raise RuntimeError(f"{self.name} ended: {self._log.read_text(errors='replace')}")
        return line.strip()


@dataclass(frozen=True)
class Fleet:
    """Running hosts, and how fleetpmap reaches them.

    Attributes:
        words: the options for that on a command line.
        ssh: the same for `collect`.
    """

    hosts: tuple[RealHost, ...]
    directory: Path
    words: tuple[str, ...]
    ssh: SshOptions

    def run(self, *words: str) -> str:
        """Return the stdout of `fleetpmap run WORDS…` on all of them, which has to succeed."""
        done = fleetpmap("run", *self.words, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def collect(self, selection: Selection = _ALL) -> Snapshot:
        """Collect from all of them in this process."""
        return collect([host.host for host in self.hosts], Question(selection=selection, ssh=self.ssh))

    def read(self) -> dict[str, Usage]:
        """Read by cgroup_reader.py; the result by host."""
        argv = [sys.executable, "-I", "-S", str(_READER), *(str(host.memory("")) for host in self.hosts)]
        found: list[Usage] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        return {host.name: usage for host, usage in zip(self.hosts, found, strict=True)}


@contextmanager
def running(places: Mapping[str, str], sshd: Sshd) -> Iterator[Fleet]:
    """Start hosts, by their names at these addresses; whatever happens, nothing is left of them afterwards."""
    hosts: list[RealHost] = []
    # Not tmp_path: accounts other than ours must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="fleetpmap-hosts-") as path:
        directory = Path(path)
        directory.chmod(0o755)
        try:
            for name, address in places.items():
                hosts.append(RealHost(name, address, directory / name, sshd))
            for host in hosts:
                wait_until(host.is_reachable, f"the sshd of {host.name} listens")
            known_hosts, inventory = directory / "known_hosts", directory / "inventory.toml"
            known_hosts.write_text("".join(host.known_hosts_line for host in hosts))
            inventory.write_text("".join(host.inventory_lines for host in hosts))
            words = ("-i", str(inventory), "--known-hosts", str(known_hosts), "--ssh-config", sshd.ssh_config)
            options = SshOptions(known_hosts=(str(known_hosts),), ssh_config=sshd.ssh_config)
            yield Fleet(tuple(hosts), directory, words, options)
        finally:
            for host in hosts:
                host.close()
