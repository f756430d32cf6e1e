"""--rollup: one sum for each process in the place of its mappings."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.report import hosts, processes
from fleetpmap.transport import SshOptions
from program import fleetpmap
from sshd import Sshd
from targets import Target

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
SIZES = ("rss_kib", "pss_kib", "uss_kib", "dirty_kib", "swap_kib", "swap_pss_kib", "hugetlb_kib")
_HAS_ROLLUP = Path("/proc/self/smaps_rollup").exists()
needs_rollup = pytest.mark.skipif(not _HAS_ROLLUP, reason="this kernel has no smaps_rollup (4.14)")


def _looked(pid: int, host: Host, options: SshOptions | None = None, *, rollup_only: bool):
    return collect([host], Question(Selection(pids=(pid,)), rollup_only=rollup_only, ssh=options or SshOptions()))


def _cells(report, *names: str):
    return [report.tables[0].column(name).cells()[0] for name in names]


@needs_rollup
def test_the_dirty_memory_is_that_of_smaps(sshd: Sshd):
    """A stopped process: what it has written is the same by either file; what it shares changes with the others."""
    with Target("summed") as target:
        by_mapping, by_sum = (
            _looked(target.pid, sshd.host(), sshd.options, rollup_only=only) for only in (False, True)
        )
    names = ("dirty_kib", "hugetlb_kib")
    assert _cells(processes(by_sum), *names) == _cells(processes(by_mapping), *names)


@needs_rollup
@pytest.mark.parametrize("view", [hosts, processes])
def test_what_a_sum_does_not_tell_is_unknown(sshd: Sshd, view):
    """How many mappings there are, and how large: null in the row and in the total."""
    with Target("summed") as target:
        report = view(_looked(target.pid, sshd.host(), sshd.options, rollup_only=True))
    assert _cells(report, "mappings", "size_kib") == [None, None]
    assert [report.tables[0].column(name).total for name in ("mappings", "size_kib")] == [None, None]


def test_a_kernel_without_it_gives_smaps(tmp_path):
    """The numbers are all there, and a note says why."""
    tree = tmp_path / "proc"
    shutil.copytree(FAKE_PROC / "web-01", tree, ignore=shutil.ignore_patterns("smaps_rollup"))
    here = Host("here", transport="local", proc_root=str(tree))
    snapshot = _looked(1843, here, rollup_only=True)
    assert "its kernel has no smaps_rollup (before 4.14), so smaps was read" in snapshot.hosts[0].notes
    assert _cells(hosts(snapshot), "mappings", *SIZES) == _cells(
        hosts(_looked(1843, here, rollup_only=False)), "mappings", *SIZES
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--rollup is for the views hosts, services and processes, not for --view summary"),
        (("--view", "hosts", "--export", "merged=x.csv"), "not for --view merged"),
        (("--view", "hosts", "--capture", "kept"), "--rollup reads only sums"),
    ],
)
def test_views_that_need_mappings_are_refused(words: tuple[str, ...], message: str):
    """Before any host is asked."""
    done = fleetpmap("run", "-H", "local", "--all", "--rollup", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize("command", ["ps", "hosts", "doctor"])
def test_commands_that_read_no_memory_refuse_it(command: str):
    """It would change nothing, where the user expects it to; doctor reads once a process option says whom."""
    done = fleetpmap(command, "-H", "local", "--rollup")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"--rollup says how memory is read, and .* reads none\nhint: leave out --rollup\n", done.stderr)


def test_doctor_tries_it_where_it_reads(tmp_path: Path):
    """And tells of a kernel that has none, before a run does."""
    shutil.copytree(FAKE_PROC / "web-01", tmp_path / "proc", ignore=shutil.ignore_patterns("smaps_rollup"))
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(f'[hosts.old]\ntransport = "local"\nproc_root = "{tmp_path}/proc"\n')
    done = fleetpmap("doctor", "-i", str(inventory), "--match", "gunicorn", "--rollup")
    assert done.returncode == 0, done.stderr
    assert "old: its kernel has no smaps_rollup (before 4.14), so smaps was read" in done.stderr


def test_verbose_tells_how_long_the_reading_took():
    """By the host's own clock."""
    done = fleetpmap("run", "-H", "local", "--pid", str(os.getpid()), "-v", "--view", "hosts")
    assert re.search(r"^local: reading took \d+\.\d\d s there$", done.stderr, re.MULTILINE)
