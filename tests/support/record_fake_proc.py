"""Record the fleet of tests/fake_proc.   live processes ─► [record] ─► tests/fake_proc/<host>/<pid>/smaps, stat, …

    python3 tests/support/record_fake_proc.py [DIR]   (Debian 12, with its own /usr/bin/python3 and bash; needs no root)

Not run by the tests: running it again gives other numbers, and with them other expected tables.

What is real: every mapping, field, width and order, and what fork, mlock, madvise and huge pages do to them, comes from
processes that ran, per host: bash, a script, a Python server with OpenSSL and its forked worker. What is made up,
because one machine cannot be three: who they are (fake_proc_fleet.py), devices and inodes; the lack of fields that an
older kernel does not print (`as_kernel`); swap and huge pages in use (`page_out`, `use_huge_pages`); a library of
another build (`relink`) or replaced on disk since (`Host.replaced`); cgroups and what they are charged
(fake_proc_memory). Environments are never read.

A process whose smaps could not be opened has an empty file `smaps.denied` in place of `smaps`: neither git nor a wheel
can keep a file that nobody may read. `fleetpmap.demo.lay_out` makes it one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fake_proc_memory
from fake_proc_fleet import APP, FLEET, PASSWD, ROOT, Host, Identity, Kernel
from smaps_blocks import Block, parse_blocks

PAGE_KIB = 4
HUGE_PAGE_KIB = 2048
GUNICORN = """\
#!/usr/bin/python3
import mmap, os, signal, ssl, sys
data_kib, board_kib, worker_kib = map(int, sys.argv[1:])
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
MAP_LOCKED, MAP_NORESERVE, MAP_HUGETLB, MADV_FREE, MADV_HUGEPAGE = 0x2000, 0x4000, 0x40000, 8, 14
context = ssl.create_default_context()
data = mmap.mmap(-1, data_kib * 1024 + 2**20, flags=PRIVATE)
data.write(b"d" * data_kib * 1024)
board = mmap.mmap(-1, board_kib * 1024, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
board.write(b"b" * 8192)
locked = mmap.mmap(-1, 5 * 4096, flags=PRIVATE | MAP_LOCKED)
huge = mmap.mmap(-1, 2 * 2**21, flags=PRIVATE | MAP_HUGETLB | MAP_NORESERVE)
transparent = mmap.mmap(-1, 2 * 2**21, flags=PRIVATE)
transparent.madvise(MADV_HUGEPAGE)
transparent.write(b"t" * 2**22)
lazy = mmap.mmap(-1, 7 * 4096, flags=PRIVATE)
lazy.write(b"l" * 7 * 4096)
done, ready = os.pipe()
worker = os.fork()
if not worker:
    data.seek(0)
    data.write(b"w" * worker_kib * 1024)
    sessions = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(worker_kib // 64)]
lazy.madvise(MADV_FREE)
if not worker:
    os.write(ready, b"!")
    signal.pause()
os.read(done, 1)
print(worker, flush=True)
signal.pause()
"""
COLLECTOR = """\
#!/bin/sh
x=$(printf '%*s' "$1" '')
echo ready
read -r x
"""


# what is made up


def relink(blocks: list[Block], library: str, kib: int) -> None:
    """Make `library` another build, whose code is `kib` larger.

    What lies behind the code moves up in the file, what lies below it moves down in memory, as far as the next gap.
    """
    parts = [block for block in blocks if block.path.endswith(f"/{library}")]
    code = next(block for block in parts if "x" in block.perms)
    for part in parts[parts.index(code) + 1 :]:
        part.offset += kib * 1024
    floor = code.start
    code.start -= kib * 1024
    for below in reversed(blocks[: blocks.index(code)]):
        if below.end <= floor - kib * 1024:
            break
        floor = below.start
        below.start -= kib * 1024
        below.end -= kib * 1024
    for key in ("Size", "Rss", "Pss", "Private_Clean", "Referenced"):
        code.fields[key] += kib


def page_out(block: Block, private_kib: int, shared_kib: int, sharers: int) -> None:
    """Move pages of an anonymous mapping to swap: `shared_kib` of them belong to `sharers` processes."""
    moved = private_kib + shared_kib
    share = private_kib + shared_kib // sharers
    for key, kib in (("Rss", moved), ("Anonymous", moved), ("Pss", share), ("Pss_Dirty", share)):
        block.fields[key] -= kib
    block.fields["Private_Dirty"] -= private_kib
    block.fields["Shared_Dirty"] -= shared_kib
    block.fields["Referenced"] = min(block.fields["Referenced"], block.fields["Rss"])
    block.fields["Swap"] += moved
    block.fields["SwapPss"] += share
    if min(block.fields.values()) < 0:
        raise ValueError(f"no {private_kib} + {shared_kib} KiB to page out: {block}")


def use_huge_pages(block: Block, shared: int, private: int) -> None:
    """Fault in pages of a hugetlb mapping; the recording machine has none to give."""
    block.fields["Shared_Hugetlb"] = shared * HUGE_PAGE_KIB
    block.fields["Private_Hugetlb"] = private * HUGE_PAGE_KIB


def as_kernel(block: Block, kernel: Kernel) -> None:
    """Leave out what `kernel` does not print, and print what it prints wrongly."""
    for key in kernel.lacks:
        block.fields.pop(key, None)
    if kernel.locked_is_pss:
        block.fields["Locked"] = block.fields["Pss"]


def as_host(block: Block, host: Host) -> None:
    """The host's own device, inodes and library names."""
    if block.path.startswith("/usr/"):
        block.device = host.device
        block.inode += host.inodes
    block.path = block.path.replace("libtinfo.so.6.4", host.tinfo)
    if block.path.rpartition("/")[2] in host.replaced:
        block.path += " (deleted)"


# one process


@dataclass
class Recording:
    """One process as /proc showed it; `blocks` is None where its smaps was not to be read."""

    stat: str
    status: str
    comm: str
    blocks: list[Block] | None
    rollup: Block | None

    @classmethod
    def of(cls, pid: int, *, smaps: bool = True) -> Recording:
        """Read a stopped process, a zombie or a kernel thread."""
        proc = Path(f"/proc/{pid}")
        text = (proc / "smaps").read_text() if smaps else ""
        return cls(
            stat=(proc / "stat").read_text(),
            status=(proc / "status").read_text(),
            comm=(proc / "comm").read_text(),
            blocks=[b for b in parse_blocks(text) if b.path != "[vvar_vclock]"] if smaps else None,  # new in 6.13
            rollup=parse_blocks((proc / "smaps_rollup").read_text())[0] if text else None,
        )

    def edit(self, change: Callable[[list[Block]], None]) -> None:
        """Change the mappings, and with them every sum of them: the rollup, stat's rss and vsize, status' Vm lines."""
        if self.blocks is None or self.rollup is None:
            raise ValueError("only a process with mappings can be edited")
        before = _sums(self.blocks)
        change(self.blocks)
        grown = {key: value - before[key] for key, value in _sums(self.blocks).items()}
        for key in self.rollup.fields:
            self.rollup.fields[key] += grown.get(key, 0)
        self.stat = _add_to_stat(self.stat, {23: grown["Size"] * 1024, 24: grown["Rss"] // PAGE_KIB})
        for line, key in (
            ("VmSize", "Size"),
            ("VmRSS", "Rss"),
            ("RssAnon", "Rss_Anon"),
            ("RssFile", "Rss_File"),
            ("VmSwap", "Swap"),
            ("HugetlbPages", "Hugetlb"),
        ):
            self.status = re.sub(
                rf"(?m)^({line}:\t) *(\d+) kB$", lambda m, kib=grown[key]: f"{m[1]}{int(m[2]) + kib:>8} kB", self.status
            )

    def identify(self, identity: Identity) -> None:
        """Give it the pid, parent, user, start and name of `identity`."""
        name = identity.name or self.comm.rstrip("\n")
        _, _, rest = self.stat.rpartition(") ")
        fields = rest.split()
        fields[0] = fields[0].replace("T", "S")
        fields[1:4] = [str(identity.ppid), str(identity.pid), str(identity.pid)]  # a session of its own
        fields[19] = str(identity.start_ticks)
        self.stat = f"{identity.pid} ({name}) {' '.join(fields)}\n"
        self.comm = f"{name}\n"
        uids = "\t".join([str(identity.uid)] * 4)
        for key, value in (
            ("Name", name),
            ("State", re.sub("T .*", "S (sleeping)", re.search(r"State:\t(.*)", self.status)[1])),
            ("(?:Tgid|Pid|NStgid|NSpid|NSpgid|NSsid)", str(identity.pid)),
            ("PPid", str(identity.ppid)),
            ("(?:Uid|Gid)", uids),
            ("Groups", f"{identity.uid} "),
        ):
            self.status = re.sub(rf"(?m)^({key}:\t).*$", lambda m, value=value: m[1] + value, self.status)

    def write(self, directory: Path, identity: Identity) -> None:
        """Write the files of one process."""
        directory.mkdir(parents=True)
        files = {
            "stat": self.stat,
            "status": self.status,
            "comm": self.comm,
            "cmdline": "".join(f"{word}\0" for word in identity.cmdline),
        }
        if self.blocks is None:
            files["smaps.denied"] = ""
        else:
            files["smaps"] = "".join(block.render() for block in self.blocks)
        if self.rollup is not None:
            files["smaps_rollup"] = self.rollup.render()
        for name, text in files.items():
            (directory / name).write_text(text)


def _sums(blocks: list[Block]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for block in blocks:
        sums.update(block.fields)
        kind = "File" if block.path.startswith("/usr/") else "Anon"
        sums.update({f"Rss_{kind}": block.fields["Rss"], f"Pss_{kind}": block.fields["Pss"]})
    sums["Hugetlb"] = sums["Shared_Hugetlb"] + sums["Private_Hugetlb"]
    return sums


def _add_to_stat(stat: str, grown: dict[int, int]) -> str:
    """`grown` maps the field's number in proc(5), from 1, to what is added."""
    head, _, rest = stat.rpartition(") ")
    fields = rest.split()
    for number, more in grown.items():
        fields[number - 3] = str(int(fields[number - 3]) + more)
    return f"{head}) {' '.join(fields)}\n"


# one host


class Stage:
    """The live processes of one host, stopped to hold still; leaving it ends them."""

    def __init__(self, directory: Path) -> None:
        directory.chmod(0o755)
        self._directory = directory
        self._children: list[subprocess.Popen[str]] = []

    def start(self, program: str, *arguments: str, script: str | None = None) -> tuple[int, str]:
        """Run it until it prints a line; its pid, and that line."""
        path = shutil.which(program)
        if script is not None:
            file = self._directory / program
            file.write_text(script)
            file.chmod(0o755)
            path = str(file)
        child = subprocess.Popen(
            [str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            start_new_session=True,
            user=APP if os.geteuid() == 0 else None,  # without root's capabilities in status
        )
        self._children.append(child)
        return child.pid, child.stdout.readline().strip()

    def start_zombie(self, name: str) -> int:
        """A process that ended and is not waited for."""
        link = self._directory / name
        link.symlink_to("/usr/bin/true")
        child = subprocess.Popen([str(link)], start_new_session=True)
        self._children.append(child)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return child.pid

    def stop(self) -> None:
        """Stop every process where it is."""
        for child in self._children:
            os.killpg(child.pid, signal.SIGSTOP)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def record(host: Host) -> Iterator[tuple[Identity, Recording]]:
    """Start the host's processes, stop them, and read them all while they hold still."""
    with tempfile.TemporaryDirectory() as scratch, Stage(Path(scratch)) as stage:
        live: list[tuple[Identity, int, bool]] = []
        server, worker = stage.start("gunicorn", *map(str, host.sizes_kib), script=GUNICORN)
        live += [(host.gunicorn[0], server, True), (host.gunicorn[1], int(worker), True)]
        for identity, kept in host.shells:
            keep = f"x=$(printf '%*s' {kept} ''); echo ready; read -r x"
            live.append((identity, stage.start("bash", "--norc", "--noprofile", "-c", keep)[0], True))
        if host.collector:
            live.append((host.collector, stage.start("metrics-collector", "50000", script=COLLECTOR)[0], True))
        # Of a process that may not be read only its identity is ever seen: any process will do.
        live += [(denied, stage.start("bash", "-c", "echo; read -r x")[0], False) for denied in host.denied]
        live.append((host.zombie, stage.start_zombie(host.zombie.name or ""), True))
        live.append((Identity(2, 0, 3, ROOT, (), None), 2, True))
        stage.stop()
        recordings = [(identity, Recording.of(pid, smaps=smaps)) for identity, pid, smaps in live]
    for identity, recording in recordings:
        recording.identify(identity)
        if recording.blocks:
            recording.edit(lambda blocks, identity=identity: _disguise(blocks, identity, host))
            _as_kernel(recording, host.kernel)
        yield identity, recording


def _disguise(blocks: list[Block], identity: Identity, host: Host) -> None:
    if identity in host.gunicorn:
        plain = (block for block in blocks if not block.path and not block.fields["AnonHugePages"])
        data = max(plain, key=lambda block: block.fields["Rss"])
        is_worker = identity is host.gunicorn[1]
        private, shared = host.swapped_kib
        page_out(data, private if is_worker else 0, shared, sharers=2)
        huge = next(block for block in blocks if block.path.startswith("/anon_hugepage"))
        use_huge_pages(huge, shared=1, private=int(is_worker))
        if host.newer_libssl_kib:
            relink(blocks, "libssl.so.3", host.newer_libssl_kib)
    for block in blocks:
        as_host(block, host)
        if block.path and not block.path.startswith(("/usr/", "/dev/zero", "/anon_hugepage", "[")):
            raise ValueError(f"a path of this machine: {block.path}")


def _as_kernel(recording: Recording, kernel: Kernel) -> None:
    for block in (*recording.blocks, recording.rollup):
        as_kernel(block, kernel)


def main() -> None:
    """Record the fleet into DIR, replacing what is there."""
    target = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[1] / "fake_proc"
    shutil.rmtree(target, ignore_errors=True)
    (target / "etc").mkdir(parents=True)
    (target / "etc/passwd").write_text(PASSWD)
    for host in FLEET:
        kernel = target / host.name / "sys/kernel"
        (kernel / "random").mkdir(parents=True)
        (kernel / "osrelease").write_text(f"{host.kernel.release}\n")
        (kernel / "random/boot_id").write_text(f"{host.boot_id}\n")
        for identity, recording in record(host):
            recording.write(target / host.name / str(identity.pid), identity)
        fake_proc_memory.write(target / host.name, fake_proc_memory.MACHINES[host.name])


if __name__ == "__main__":
    main()
