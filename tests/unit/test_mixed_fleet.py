"""One report over kernels of twenty years: the union of their columns, null where one lacks a field, and whose.

The hosts are trees made here, read by the real probe. Each runs one process, `app`, of two mappings: its libc and
memory of its own. What a host's smaps holds is what its kernel prints; no two figures of one column are alike.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.export import EXPORTERS
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.render import plain
from fleetpmap.report import Report, Shape, hosts, mappings, merged
from fleetpmap.snapshot import Snapshot
from smaps_blocks import Block
from snapshots import expected

_FIRST = "Size Rss Shared_Clean Shared_Dirty Private_Clean Private_Dirty"
_OF_3_2 = (
    "Size Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous AnonHugePages Swap"
    " KernelPageSize MMUPageSize Locked"
)
_OF_4_14 = (
    "Size Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous LazyFree AnonHugePages"
    " ShmemPmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss KernelPageSize MMUPageSize Locked"
)
_OF_5_4 = (
    "Size KernelPageSize MMUPageSize Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous"
    " LazyFree AnonHugePages ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss Locked"
    " THPeligible"
)
_OF_6_18 = (
    "Size KernelPageSize MMUPageSize Rss Pss Pss_Dirty Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced"
    " Anonymous KSM LazyFree AnonHugePages ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss"
    " Locked THPeligible ProtectionKey"
)
_ANDROID = (
    "Size Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous AnonHugePages Swap SwapPss"
    " Writeback KernelPageSize MMUPageSize Locked"
)


@dataclass(frozen=True)
class Kernel:
    """A host's name, its kernel's release, and the lines of its smaps."""

    host: str
    release: str
    keys: str
    flags: str | None = None
    name: str | None = None
    """The `Name:` line of the process's own memory."""


KERNELS = (
    Kernel("sarge", "2.6.14-1-386", _FIRST),
    Kernel("wheezy", "3.2.0-4-amd64", _OF_3_2),
    Kernel("amazon", "4.14.0-1-amd64", _OF_4_14, flags="rd wr mr mw me ac"),
    Kernel("focal", "5.4.0-1-amd64", _OF_5_4, flags="rd wr mr mw me ac"),
    Kernel("newest", "6.18.1-amd64", _OF_6_18, flags="rd wr mr mw me ac sd"),
    Kernel("wsl", "4.4.0-19041-Microsoft", "Pss"),
    Kernel("android", "4.14.117-perf", _ANDROID, flags="rd wr mr mw me ac", name="[anon:libc_malloc]"),
)


def _figures(seed: int) -> dict[str, int]:
    """A value of every field. Rss is the sum of its parts, and Size is the range."""
    parts = {"Shared_Clean": 40 + seed, "Shared_Dirty": seed, "Private_Clean": 2 * seed, "Private_Dirty": 90 + 3 * seed}
    return {
        **parts,
        "Rss": sum(parts.values()),
        "Pss": 100 + 5 * seed,
        "Pss_Dirty": 80 + 3 * seed,
        "Referenced": 60 + seed,
        "Anonymous": 50 + seed,
        "Swap": 11 * seed,
        "SwapPss": 7 * seed,
        "Shared_Hugetlb": 2048 * seed,
        "Private_Hugetlb": 4096 * seed,
        "KernelPageSize": 4,
        "MMUPageSize": 4,
        "THPeligible": seed % 2,
        "Writeback": 30 + seed,
    }


def _smaps(kernel: Kernel, seed: int) -> str:
    libc = (0x7F0000000000, 2000 + 4 * seed, "r-xp", "/lib/libc.so.6")
    own = (0x7F8000000000, 8000 + 4 * seed, "rw-p", "")
    text = ""
    for place, (start, kib, perms, path) in enumerate((libc, own)):
        figures = {**_figures(seed + 20 * place), "Size": kib}
        fields = {key: figures.get(key, 0) for key in kernel.keys.split()}
        block = Block(start, start + kib * 1024, perms, 0, "00:00", 0, path, fields, kernel.flags).render()
        if kernel.name and not path:
            block = block.replace("\n", f"\nName:           {kernel.name}\n", 1)
        text += block
    return text


def _plant(root: Path, kernel: Kernel, seed: int) -> Host:
    """The tree of one host, and the host that reads it."""
    proc = root / kernel.host
    pid = 4_000_000 + seed  # no process of this machine, which we might be
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    stat = "S 1 1 1 0 -1 4194304" + " 0" * 12 + f" {1000 + seed} 8192000 33 " + "0 " * 27
    for file, text in {
        "stat": f"{pid} (app) {stat.strip()}\n",
        "status": f"Name:\tapp\nUid:\t{seed}\t{seed}\t{seed}\t{seed}\n",
        "cmdline": "/usr/bin/app\0",
        "smaps": _smaps(kernel, seed),
    }.items():
        (directory / file).write_text(text)
    (proc / "sys" / "kernel").mkdir(parents=True)
    (proc / "sys" / "kernel" / "osrelease").write_text(f"{kernel.release}\n")
    return Host(kernel.host, transport="local", proc_root=str(proc))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """One host of each kernel, read as a fleet is."""
    root = tmp_path_factory.mktemp("fleet")
    planted = [_plant(root, kernel, seed) for seed, kernel in enumerate(KERNELS, start=1)]
    snapshot = collect(planted, Question(Selection()))
    assert [host.status for host in snapshot.hosts] == ["ok"] * 7
    return snapshot


def _csv(report: Report) -> str:
    file = io.BytesIO()
    EXPORTERS["csv"].write(report, file)
    return file.getvalue().decode()


@pytest.mark.parametrize("view", [hosts, merged], ids=["hosts", "merged"])
def test_sizes(fleet: Snapshot, view):
    """A size that a kernel does not tell is unknown, its total is that of the others, and the notes say whose."""
    report = view(fleet)
    text = plain(report)
    assert text == expected(f"mixed_fleet_{view.__name__}.txt", text)
    assert report.notes == (
        "rss_kib, uss_kib and dirty_kib leave out wsl:"
        " its kernel has no Rss, Private_Clean, Private_Dirty, Shared_Dirty",
        "pss_kib leaves out sarge: its kernel has no Pss",
        "swap_kib leaves out sarge,wsl: their kernels have no Swap",
        "swap_pss_kib leaves out sarge,wheezy,wsl: their kernels have no SwapPss",
        "hugetlb_kib leaves out android,sarge,wheezy,wsl: their kernels have no Shared_Hugetlb, Private_Hugetlb",
    )


def test_every_field(fleet: Snapshot):
    """The view mappings has the columns of all kernels, and a note on each set of hosts about its columns."""
    report = mappings(fleet)
    text = _csv(report)
    assert text == expected("mixed_fleet_mappings.csv", text)
    assert report.notes == (
        "kernel_size_kib, rss_kib, shared_clean_kib, shared_dirty_kib, private_clean_kib and private_dirty_kib"
        " leave out wsl: its kernel has no such fields",
        "pss_kib leaves out sarge: its kernel has no such field",
        "referenced_kib, anonymous_kib, anon_huge_pages_kib, swap_kib, kernel_page_size_kib, mmu_page_size_kib"
        " and locked_kib leave out sarge,wsl: their kernels have no such fields",
        "lazy_free_kib, shmem_pmd_mapped_kib, shared_hugetlb_kib and private_hugetlb_kib"
        " leave out android,sarge,wheezy,wsl: their kernels have no such fields",
        "swap_pss_kib leaves out sarge,wheezy,wsl: their kernels have no such field",
        "file_pmd_mapped_kib and thp_eligible"
        " leave out amazon,android,sarge,wheezy,wsl: their kernels have no such fields",
        "pss_dirty_kib, ksm_kib and protection_key"
        " leave out amazon,android,focal,sarge,wheezy,wsl: their kernels have no such fields",
        "writeback_kib leaves out amazon,focal,newest,sarge,wheezy,wsl: their kernels have no such field",
    )


def test_totals_of_fields(fleet: Snapshot):
    """What a kernel lacks is in no total; what does not add up has none."""
    columns = {column.name: column for column in mappings(fleet).tables[0].columns}
    totals = {name: columns[name].total for name in ("ksm_kib", "pss_dirty_kib", "writeback_kib", "thp_eligible")}
    assert totals == {"ksm_kib": 0, "pss_dirty_kib": 250, "writeback_kib": 94, "thp_eligible": None}


def test_names_of_old_android(fleet: Snapshot):
    """The `Name:` line is what the mapping is called, on that host alone."""
    rows = merged(fleet, ("host", "mapping", "kind"), Shape(columns=("host", "mapping", "kind"))).tables[0].rows()
    assert ("android", "[anon:libc_malloc]", "named-anon") in rows
    assert ("newest", "[anon]", "anon") in rows


def test_checks_of_all_kernels(fleet: Snapshot):
    """The identity holds wherever a kernel tells Rss and its parts; elsewhere it is unknown."""
    assert fleet.coverage.checked.verdicts["rss_identity"] == {"held": 6, "unknown": 1}
