"""What holds in every recorded process, so that a capture put beside them is checked too; and what the fleet shows."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from smaps_blocks import Block, parse_blocks

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
FLEET = ("web-01", "web-02", "web-03")
PROCESSES = sorted(path.parent.relative_to(FAKE_PROC).as_posix() for path in FAKE_PROC.glob("*/[0-9]*/stat"))
READABLE = sorted(
    path.parent.relative_to(FAKE_PROC).as_posix() for path in FAKE_PROC.glob("*/[0-9]*/smaps") if path.stat().st_size
)

each_host = pytest.mark.parametrize("host", FLEET)
any_process = pytest.mark.parametrize("process", PROCESSES)
any_readable = pytest.mark.parametrize("process", READABLE)


def blocks_of(process: str) -> list[Block]:
    return parse_blocks((FAKE_PROC / process / "smaps").read_text())


def sums_of(process: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for block in blocks_of(process):
        sums.update(block.fields)
    return sums


def stat_of(process: str) -> tuple[int, str, list[str]]:
    """Pid, name, and the fields from the third, state, on."""
    head, _, rest = (FAKE_PROC / process / "stat").read_text().rpartition(") ")
    pid, _, name = head.partition(" (")
    return int(pid), name, rest.split()


@any_readable
def test_smaps_is_the_kernels_text(process):
    """Reading and printing a recorded smaps gives the same bytes: columns, widths and line ends are the kernel's."""
    text = (FAKE_PROC / process / "smaps").read_text()
    assert "".join(block.render() for block in parse_blocks(text)) == text


@any_readable
def test_rss_is_the_sum_of_its_four_parts(process):
    """In each mapping Rss is Shared_Clean + Shared_Dirty + Private_Clean + Private_Dirty."""
    for block in blocks_of(process):
        parts = ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")
        assert block.fields["Rss"] == sum(block.fields[part] for part in parts), block


@any_readable
def test_pss_lies_between_uss_and_rss(process):
    """In each mapping USS ≤ PSS ≤ RSS, a kB of rounding aside."""
    for block in blocks_of(process):
        uss = block.fields["Private_Clean"] + block.fields["Private_Dirty"]
        assert uss - 1 <= block.fields["Pss"] <= block.fields["Rss"] + 1, block


@any_readable
def test_mappings_have_room_for_their_pages(process):
    """Size is the range, and resident, swapped and huge pages fit in it."""
    for block in blocks_of(process):
        fields = block.fields
        assert fields["Size"] == (block.end - block.start) // 1024, block
        huge = fields["Shared_Hugetlb"] + fields["Private_Hugetlb"]
        assert fields["Rss"] + fields["Swap"] + huge <= fields["Size"], block
        assert fields["SwapPss"] <= fields["Swap"], block


@any_readable
def test_mappings_are_in_order_and_apart(process):
    """Mappings follow each other by address and do not overlap; a huge page's begins at a multiple of its size."""
    blocks = blocks_of(process)
    assert all(before.end <= after.start for before, after in itertools.pairwise(blocks))
    assert all(block.start % (block.fields["KernelPageSize"] * 1024) == 0 for block in blocks)


@any_readable
def test_rollup_is_the_sum_of_the_mappings(process):
    """Every field of smaps_rollup is the sum over the mappings, but for the fractions of PSS that smaps cuts off."""
    (rollup,) = parse_blocks((FAKE_PROC / process / "smaps_rollup").read_text())
    sums, mappings = sums_of(process), len(blocks_of(process))
    assert rollup.path == "[rollup]"
    for key, value in rollup.fields.items():
        if key.startswith("Pss_") and key != "Pss_Dirty":
            continue  # a split that smaps does not have
        fractions = mappings if "Pss" in key or key == "Locked" else 0  # Locked is a share too
        assert sums[key] <= value <= sums[key] + fractions, key


@any_readable
def test_stat_and_smaps_agree_on_rss(process):
    """The rss of stat, in pages, is that of smaps but for the kernel's batched counters (64 pages a processor)."""
    pages = int(stat_of(process)[2][21])
    assert abs(pages * 4 - sums_of(process)["Rss"]) <= 1024


@any_process
def test_stat_is_a_line_of_52_fields(process):
    """stat is the line of proc(5): the directory's pid, a name of at most 15 bytes, then 50 fields."""
    pid, name, fields = stat_of(process)
    directory = FAKE_PROC / process
    assert str(pid) == directory.name
    assert len(name.encode()) <= 15
    assert (directory / "comm").read_text() == f"{name}\n"
    assert len(fields) == 50
    assert fields[0] in "RSDZTI"
    assert all(re.fullmatch(r"-?\d+", number) for number in fields[1:])


@any_process
def test_status_names_the_same_process(process):
    """The Name, Pid, PPid and Uid lines of status fit stat."""
    pid, name, fields = stat_of(process)
    status = dict(line.split(":\t", 1) for line in (FAKE_PROC / process / "status").read_text().splitlines())
    assert (status["Name"], status["Pid"], status["PPid"]) == (name, str(pid), fields[1])
    assert re.fullmatch(r"(\d+)\t\d+\t\d+\t\d+", status["Uid"])


@any_process
def test_cmdline_ends_each_word_with_a_nul(process):
    """cmdline is words that end in NUL; a zombie and a kernel thread have none."""
    cmdline = (FAKE_PROC / process / "cmdline").read_bytes()
    assert cmdline == b"" or cmdline.endswith(b"\0")


@any_process
def test_nothing_of_the_recording_machine_is_left(process):
    """No path of somebody's home, a temporary directory or a version manager is in any file."""
    for file in (FAKE_PROC / process).iterdir():
        assert not re.search(rb"/(root|home|tmp)/|pyenv|conda", file.read_bytes()), file


@any_process
def test_environment_is_not_recorded(process):
    """Only these files are kept of a process: its environment, which can hold secrets, is not among them."""
    names = {path.name for path in (FAKE_PROC / process).iterdir()}
    known = {"smaps", "smaps.denied", "smaps_rollup", "stat", "status", "comm", "cmdline", "cgroup", "oom_score_adj"}
    assert names <= known
    assert ("smaps" in names) != ("smaps.denied" in names)


@each_host
def test_a_cgroup_lists_the_processes_that_are_in_it(host):
    """cgroup.procs and the cgroup files of the processes agree, but for kernel threads, which are in the root."""
    listed = {
        (int(pid), f"/{path.parent.relative_to(FAKE_PROC / host / 'sys/fs/cgroup')}".removeprefix("/memory"))
        for path in (FAKE_PROC / host).glob("sys/fs/cgroup/**/cgroup.procs")
        for pid in path.read_text().split()
    }
    own = {
        (int(path.parent.name), path.read_text().splitlines()[-1].removeprefix("0::"))
        for path in (FAKE_PROC / host).glob("[0-9]*/cgroup")
    }
    assert own - listed == {(2, "/")}
    assert listed <= own


@each_host
def test_a_cgroup_is_charged_what_its_processes_have(host):
    """At least the anonymous memory that its readable processes have in shares, and less than the host has."""
    root = FAKE_PROC / host / "sys/fs/cgroup" / ("memory" if host == "web-03" else "")
    for procs in root.glob("**/cgroup.procs"):
        stat = dict(line.split() for line in (procs.parent / "memory.stat").read_text().splitlines())
        anon = int(stat.get("anon", stat.get("rss", "0"))) // 1024
        processes = [f"{host}/{pid}" for pid in procs.read_text().split() if f"{host}/{pid}" in READABLE]
        blocks = [block for process in processes for block in blocks_of(process) if not block.path.startswith("/")]
        assert anon == sum(block.fields["Pss"] for block in blocks)


@each_host
def test_no_two_totals_of_a_host_are_alike(host):
    """The sums that reports show all differ, and none is 0: a swapped column cannot pass."""
    sums: Counter[str] = Counter()
    for process in READABLE:
        if process.startswith(f"{host}/"):
            sums.update(sums_of(process))
    totals = [
        sums["Size"],
        sums["Rss"],
        sums["Pss"],
        sums["Private_Clean"] + sums["Private_Dirty"],
        sums["Shared_Dirty"] + sums["Private_Dirty"],
        sums["Swap"],
        sums["SwapPss"],
        sums["Shared_Hugetlb"] + sums["Private_Hugetlb"],
        *(sums[key] for key in ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced")),
        *(sums[key] for key in ("Shared_Hugetlb", "Private_Hugetlb", "Anonymous", "AnonHugePages", "LazyFree")),
    ]
    assert 0 not in totals
    assert len(set(totals)) == len(totals)


@each_host
def test_every_host_has_each_kind_of_process(host):
    """A kernel thread and a zombie with empty smaps, a denied process, and a readable bash are on each host."""
    kinds: Counter[str] = Counter()
    for process in PROCESSES:
        if process.startswith(f"{host}/"):
            _, name, fields = stat_of(process)
            kernel_thread = int(fields[6]) & 0x00200000  # PF_KTHREAD
            denied = (FAKE_PROC / process / "smaps.denied").exists()
            kinds["kernel"] += bool(kernel_thread)
            kinds["zombie"] += fields[0] == "Z"
            kinds["denied"] += denied
            kinds["bash"] += name == "bash" and not denied
            if kernel_thread or fields[0] == "Z":
                assert (FAKE_PROC / process / "smaps").read_bytes() == b""
    assert all(kinds[kind] for kind in ("kernel", "zombie", "denied", "bash"))


def test_boot_ids_tell_the_hosts_apart():
    """Each host has a boot_id of its own: they are three machines, not one under three names."""
    boot_ids = {(FAKE_PROC / host / "sys/kernel/random/boot_id").read_text() for host in FLEET}
    assert len(boot_ids) == len(FLEET)


def test_kernels_differ():
    """The recorded kernels are those that the expected tables speak of."""
    releases = {host: (FAKE_PROC / host / "sys/kernel/osrelease").read_text().strip() for host in FLEET}
    assert releases == {"web-01": "6.1.0-27-amd64", "web-02": "6.12.12+bpo-amd64", "web-03": "4.19.0-26-amd64"}


def test_web_03_lacks_what_its_kernel_does_not_print():
    """4.19 has no Pss_Dirty, KSM, FilePmdMapped and THPeligible."""
    newer = set(blocks_of("web-02/1702")[0].fields)
    assert newer - set(blocks_of("web-03/20512")[0].fields) == {"Pss_Dirty", "KSM", "FilePmdMapped", "THPeligible"}


def test_web_02_runs_another_build_of_libssl():
    """The code of libssl.so.3 is larger on web-02 than on web-01."""
    sizes = {
        process: block.fields["Size"]
        for process in ("web-01/1843", "web-02/1702")
        for block in blocks_of(process)
        if block.path.endswith("libssl.so.3") and "x" in block.perms
    }
    assert sizes == {"web-01/1843": 372, "web-02/1702": 384}


def test_web_03_still_maps_replaced_libraries():
    """Libraries replaced on disk stay mapped on web-03, and only there."""
    deleted = {
        (process.partition("/")[0], block.path.rpartition("/")[2])
        for process in READABLE
        for block in blocks_of(process)
        if ".so" in block.path and block.path.endswith(" (deleted)")
    }
    assert deleted == {
        ("web-03", "libssl.so.3 (deleted)"),
        ("web-03", "libcrypto.so.3 (deleted)"),
        ("web-03", "libtinfo.so.6.3 (deleted)"),
    }


def test_a_name_cut_by_the_kernel_is_whole_in_the_command_line():
    """metrics-collector on web-01 has a name of 15 bytes, which its command line completes."""
    assert stat_of("web-01/2411")[1] == "metrics-collect"
    assert b"/usr/local/bin/metrics-collector\0" in (FAKE_PROC / "web-01/2411/cmdline").read_bytes()


def test_the_fleet_is_small():
    """The recorded trees travel in the wheel: together below 512 KiB."""
    assert sum(path.stat().st_size for path in FAKE_PROC.rglob("*") if path.is_file()) < 512 * 1024
