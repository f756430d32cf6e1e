"""Real processes in real cgroups of this machine, of the version that it has."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.capture import load
from fleetpmap.processes import Selection
from fleetpmap.snapshot_file import load_snapshot
from program import fleetpmap

ROOT = Path("/sys/fs/cgroup")
V1 = ROOT / "memory"
ID = f"{os.getpid():08x}" * 8
HOLDER = "import sys; kept = bytearray(b'x' * (24 << 20)); print('ready', flush=True); sys.stdin.read()"
SLACK_KIB = 2048
"""The kernel charges in batches, and counts some of them late."""


@pytest.fixture
def slice_() -> Iterator[tuple[Path, str]]:
    """A slice of 96 MiB below which cgroups can be made, and the name of a cgroup's current usage."""
    is_v1 = (V1 / "memory.usage_in_bytes").exists()
    directory = (V1 if is_v1 else ROOT) / f"fpm{os.getpid()}.slice"
    try:
        directory.mkdir()
        if not is_v1:
            (directory / "cgroup.subtree_control").write_text("+memory")
        (directory / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(96 << 20))
    except OSError as error:
        with contextlib.suppress(OSError):
            directory.rmdir()
        pytest.skip(reason=f"no cgroup with memory can be made here: {error}")
    yield directory, "memory.usage_in_bytes" if is_v1 else "memory.current"
    directory.rmdir()


@contextlib.contextmanager
def running_in(cgroup: Path) -> Iterator[int]:
    """Yield the pid of a process that has 24 MiB and has been in this new cgroup from its start."""
    cgroup.mkdir()
    enter = 'echo $$ > "$0" && exec "$@"'
    argv = ["sh", "-c", enter, f"{cgroup}/cgroup.procs", sys.executable, "-c", HOLDER]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.communicate()
        cgroup.rmdir()


def test_what_the_kernel_says_of_real_cgroups(slice_: tuple[Path, str], tmp_path: Path) -> None:
    """A unit with a backslash in its name, and a container: charged, limited by their slice, captured and saved."""
    directory, usage = slice_
    unit, container = directory / "big\\x2dcache.service", directory / f"docker-{ID}.scope"
    saved, kept = tmp_path / "run.parquet", tmp_path / "cap"
    with running_in(unit) as first, running_in(container) as second:
        (tmp_path / "here.toml").write_text('[hosts.here]\ntransport = "local"\n')
        words = ("-i", str(tmp_path / "here.toml"), "--pid", str(first), "--pid", str(second))
        done = fleetpmap("run", *words, "--save", str(saved), "--capture", str(kept))
        assert done.returncode == 0, done.stderr
        charged = {path.name: int((path / usage).read_text()) >> 10 for path in (unit, container)}
    snapshot = load_snapshot(saved)
    groups = {group.path.rpartition("/")[2]: group for group in snapshot.hosts[0].cgroups}
    assert set(groups) == set(charged)
    for name, group in groups.items():
        assert group.current_kib == pytest.approx(charged[name], abs=SLACK_KIB)
        assert 24 << 10 <= (group.anon_kib or 0) <= charged[name] + SLACK_KIB
        assert (group.limit_kib, group.limit_path) == (96 << 10, f"/{directory.name}")
        assert (group.processes, group.oom_kills, group.is_unlimited) == (1, 0, False)
    by_pid = {process.pid: process for process in snapshot.processes}
    assert by_pid[first].service == unit.name
    assert (by_pid[second].container, by_pid[second].service) == (f"docker:{ID[:12]}",) * 2
    for process in by_pid.values():
        assert process.resident is not None
        assert process.resident.rss_kib > 24 << 10
    shown = load(kept, Selection())
    assert (shown.hosts, shown.processes) == (snapshot.hosts, snapshot.processes)
