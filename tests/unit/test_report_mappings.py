"""mappings: a row per VMA, with every field its kernel printed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from fleetpmap.render import plain
from fleetpmap.report import Shape, mappings
from fleetpmap.table import concatenate
from snapshots import expected, failed, host, mapping, process, small_fleet, snapshot

DAEMONS = ((7, "sshd", 40), (8, "nginx", 80))


def _column(report, name):
    return next(column for column in report.tables[0].columns if column.name == name)


def test_a_row_per_vma():
    """Fields in the kernel's order under our names; what a kernel lacks is unknown."""
    text = plain(mappings(small_fleet()))
    assert text == expected("mappings.txt", text)


def test_addresses_are_hex_of_at_least_eight_digits():
    """start, end and offset look as in smaps."""
    one = mapping(start=0x8048000, size=4, offset=0x1000)
    high = mapping("[vsyscall]", start=0xFFFFFFFFFF600000, size=4)
    report = mappings(snapshot(host("a", process(1, "x", one, high))))
    assert _column(report, "start").cells() == ["08048000", "ffffffffff600000"]
    assert _column(report, "end").cells() == ["08049000", "ffffffffff601000"]
    assert _column(report, "offset").cells() == ["00001000", "00000000"]


def test_inode_of_64_bits():
    """An inode above 2^63 stays what it is."""
    report = mappings(snapshot(host("a", process(1, "x", mapping("/f", inode=2**64 - 2)))))
    assert _column(report, "inode").cells() == [18446744073709551614]


def test_deleted_is_a_column_and_not_part_of_the_path():
    """The path is the one the file had."""
    report = mappings(snapshot(host("a", process(1, "x", mapping("/usr/lib/a.so (deleted)")))))
    assert (_column(report, "path").cells(), _column(report, "deleted").cells()) == (["/usr/lib/a.so"], [True])


def test_unknown_kernel_field_is_kept_without_a_total():
    """A key that is not in FIELDS becomes a column without a total."""
    column = _column(mappings(snapshot(host("a", process(1, "x", mapping(HugeThing=3))))), "huge_thing_kib")
    assert (column.cells(), column.unit, column.rule) == ([3], "KiB", None)


def test_page_sizes_have_no_total():
    """A page size is a property: it does not add."""
    column = _column(mappings(snapshot(host("a", process(1, "x", mapping(KernelPageSize=4))))), "kernel_page_size_kib")
    assert column.rule is None


def test_no_vm_flags_no_column():
    """There is no column VmFlags if no kernel prints it."""
    report = mappings(snapshot(host("a", process(1, "x", mapping(Rss=3)))))
    assert [column.name for column in report.tables[0].columns][-2:] == ["pod", "started"]


def test_two_fields_of_one_name_are_two_columns():
    """A kernel, or a fake one, may print `RSS` beside `Rss`: each has a column."""
    fleet = snapshot(host("a", process(1, "x", mapping(Rss=3, RSS=7))), host("b", process(2, "x", mapping(Rss=5))))
    report = mappings(fleet)
    assert [_column(report, name).cells() for name in ("rss_kib", "rss_kib_")] == [[3, 5], [7, None]]
    assert report.notes == ("rss_kib_ leaves out b: its kernel has no such field",)


def test_total_of_nothing_and_of_nobody():
    """Zero where no process matched, as in every view; unknown where no host answered."""
    shape = Shape(columns=("mapping", "rss"))
    totals = [
        _column(mappings(snapshot(one), shape), "rss_kib").total for one in (host("a"), failed("b", "dns", "b: no"))
    ]
    assert totals == [0, None]


def test_columns_of_processes_sort_and_shorten_as_others_do():
    """What follows from the process is there for each of its rows, also in the order of --sort and with --top."""
    one, two = (process(pid, name, mapping(size=size), mapping("/f", size=1)) for pid, name, size in DAEMONS)
    report = mappings(snapshot(host("b", one), host("a", two)), Shape(sort="name", columns=("host", "name", "pid")))
    assert report.tables[0].rows() == [("a", "nginx", 8), ("a", "nginx", 8), ("b", "sshd", 7), ("b", "sshd", 7)]
    top = mappings(snapshot(host("b", one), host("a", two)), Shape(top=1, sort="host", columns=("host", "name")))
    assert top.tables[0].rows() == [("a", "nginx"), ("(3 more)", None)]


def test_a_row_takes_little_memory():
    """The view of 100,000 rows needs at most 35 bytes a row beside the snapshot (it takes 25; with columns of
    codes 50)."""
    fleet = small_fleet()
    times = 100_000 // len(fleet.table)
    fleet = replace(fleet, table=concatenate([(fleet.table, 0)] * times))
    tracemalloc.start()
    try:
        report = mappings(fleet)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(report.tables[0]) == len(fleet.table)
    assert peak / len(fleet.table) < 35
