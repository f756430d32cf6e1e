"""Columns and rows of zeros step back on a terminal; what is unknown, asked for or named by a finding stays."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fleetpmap.export import EXPORTERS
from fleetpmap.render import plain, table
from fleetpmap.report import Report, Shape, compare, hosts, mappings, merged, processes, summary
from fleetpmap.report.finding import Finding
from snapshots import failed, host, mapping, process, sizes, snapshot, unreadable

SOME = sizes(4, 3, 2, 1, 1, 1, 0, 0, 0, 0)
"""A mapping with memory, none of it in swap or in huge pages."""
NOTHING = sizes(4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""A mapping without a resident page."""
FLEET = snapshot(
    host(
        "a",
        process(
            *(1, "x"),
            mapping("/srv/data", **sizes(90, 80, 70, 0, 60, 10, 0, 0, 0, 0)),
            mapping("[vvar]", start=0x40000, **NOTHING),
            mapping("[vsyscall]", start=0x50000, **NOTHING),
        ),
    )
)
NOTE = "2 mappings with no memory resident: [vsyscall], [vvar]"


def _screen(report: Report, width: int = 160) -> list[str]:
    console = Console(width=width, soft_wrap=True, color_system=None)
    with console.capture() as drawn:
        console.print(table(report))
    return drawn.get().splitlines()


def _of(*mappings_, **options) -> Report:
    return merged(snapshot(host("a", process(1, "x", *mappings_))), **options)


def test_columns_and_rows_of_zeros_are_one_sentence_each():
    """Below the table, in their order; the total is that of all rows."""
    lines = _screen(merged(FLEET))
    assert lines[:2] == [
        "hosts  processes  mappings  size  rss  pss  uss  dirty  paths  mapping",
        "    1          1         1    4K  80K  70K  70K    10K      1  /srv/data",
    ]
    assert lines[3] == "    1          1         3   12K  80K  70K  70K    10K      3  total"
    assert lines[-2:] == ["zero everywhere: swap, swap_pss, hugetlb", NOTE]


def test_all_other_formats_have_them():
    """Plain text, csv and json are whole."""
    report = merged(FLEET)
    assert "swap_pss_kib  hugetlb_kib" in plain(report)
    for name in ("csv", "json", "markdown"):
        text = _written(report, name)
        assert "[vvar]" in text
        assert "swap_pss_kib" in text or "swap_pss" in text


def _written(report: Report, name: str) -> str:
    file = io.BytesIO()
    EXPORTERS[name].write(report, file)
    return file.getvalue().decode()


def test_columns_that_are_asked_for_are_shown():
    """With every row, since a row of these columns is not the whole mapping."""
    lines = _screen(merged(FLEET, shape=Shape(columns=("mapping", "swap"))))
    assert lines[:4] == ["mapping     swap", "/srv/data     0K", "[vsyscall]    0K", "[vvar]        0K"]
    assert not any("zero everywhere" in line or "resident" in line for line in lines)


def test_unknown_is_not_zero():
    """A column with an unknown cell stays, and so does a row with one."""
    one = process(1, "x", mapping("/m", **SOME), mapping("/n", start=1 << 20, **NOTHING))
    old = process(2, "y", mapping("/old", Rss=0, Pss=0))
    lines = _screen(merged(snapshot(host("a", one), host("b", old))))
    assert "swap" in lines[0].split()
    assert [line.split()[-1] for line in lines[1:3]] == ["/m", "/old"]
    assert lines[-1] == "1 mapping with no memory resident: /n"


@pytest.mark.parametrize("field", ["Swap", "Shared_Hugetlb", "Rss"])
def test_a_mapping_has_memory_in_any_column(field: str):
    """Swapped out or in huge pages is not nothing."""
    lines = _screen(_of(mapping("/m", **SOME), mapping("/n", **NOTHING | {field: 4})))
    assert any(line.endswith("  /n") for line in lines)


def test_a_row_that_a_finding_names_stays():
    """By its path, or by what hosts share of its name."""
    for name, path in (("/usr/lib/x.so", "/usr/lib/x.so"), ("/memfd:a-*", "/memfd:a-1234567 (deleted)")):
        empty = mapping(path, start=1 << 20, **NOTHING)
        report = _of(mapping("/m", **SOME), empty, by=("mapping", "path"))
        found = replace(report, findings=(Finding("stale", "said", mapping=name),))
        assert not any("resident" in line for line in _screen(found))
        assert any("resident" in line for line in _screen(report))


def test_nothing_but_rows_of_zeros():
    """A table is better than none."""
    lines = _screen(_of(mapping("/n", **NOTHING)))
    assert lines[0].split() == ["hosts", "processes", "mappings", "size", "pss", "paths", "mapping"]
    assert lines[1].endswith("  /n")


def test_the_row_of_the_rest_folds_with_the_others():
    """It stands for mappings without memory alone; else it stays, and they are in it."""
    lines = _screen(merged(FLEET, shape=Shape(top=1)))
    assert lines[-1] == "2 mappings with no memory resident"
    assert not any("more)" in line for line in lines)
    maps = [mapping(f"/{n}", start=n << 20, **sizes(4, n, n, 0, 0, 0, 0, 0, 0, 0)) for n in range(4)]
    assert _screen(_of(*maps, shape=Shape(top=2)))[3].endswith("  (2 more)")


def test_many_names_are_counted():
    """Five are named."""
    maps = [mapping(f"/{n}", start=n << 20, **NOTHING) for n in range(1, 8)]
    lines = _screen(_of(mapping("/m", **SOME), *maps))
    assert lines[-1] == "7 mappings with no memory resident: /1, /2, /3, /4, /5 …"


def test_names_are_made_safe():
    """A mapping can have any name."""
    lines = _screen(_of(mapping("/m", **SOME), mapping("/\x1b[2J", **NOTHING)))
    assert lines[-1] == r"1 mapping with no memory resident: /\x1b[2J"


def test_each_mapping_of_a_process():
    """The view mappings: fields of the kernel as columns, rows without a page, and the length of pages is no memory."""
    page = {"KernelPageSize": 4, "MMUPageSize": 4}
    one = process(
        1,
        "x",
        mapping("/m", **SOME, **page),
        mapping("/n", start=1 << 20, **NOTHING, **page),
    )
    lines = _screen(mappings(snapshot(host("a", one))), 400)
    assert "kernel_page_size" in lines[0].split()
    assert [line for line in lines if "/n" in line] == ["1 mapping with no memory resident: /n"]
    assert "zero everywhere: swap, swap_pss, shared_hugetlb, private_hugetlb" in lines


def test_hosts_never_fold():
    """One without a match, and one that failed, have their row; the failed one's missing numbers are no zeros."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/srv/data", **SOME))), host("b"), failed("c", "timeout", "c: no answer")
    )
    lines = _screen(hosts(fleet))
    assert [line.split()[0] for line in lines[1:4]] == ["a", "b", "c"]
    assert "zero everywhere: absent, swap, swap_pss, hugetlb" in lines


def test_a_column_stays_if_one_process_is_unread():
    """Its numbers are unknown."""
    fleet = snapshot(host("a", process(1, "x", mapping("/m", **SOME)), unreadable(2, "y", 9)))
    assert {"swap_pss", "hugetlb"} <= {*_screen(processes(fleet), 300)[0].split()}
    assert "swap" not in _screen(processes(fleet), 300)[0].split()


def test_a_column_steps_back_in_all_tables_or_in_none():
    """A summary has two; what one of them shows, the other shows too."""
    report = summary(
        snapshot(
            host("a", process(1, "x", mapping("/srv/data", **SOME))), host("b", process(2, "x", mapping("/m", **SOME)))
        )
    )
    heads = [line.split() for line in _screen(report, 300) if "  pss" in line]
    assert len(heads) == 2
    assert not any({"swap", "swap_pss", "hugetlb"} & {*head} for head in heads)
    first, second = report.brief.tables
    more = replace(
        first, columns=tuple(_with_one(column) if column.name == "swap_kib" else column for column in first.columns)
    )
    heads = [line.split() for line in _screen(replace(report, brief=replace(report, tables=(more, second))), 300)]
    assert [("swap" in head) for head in heads if "pss" in head] == [True, True]


def _with_one(column):
    values = column.values.copy()
    values[0] = 1
    return replace(column, values=values, total=1)


def test_columns_of_compare_are_hosts():
    """A host without the service is an answer, and so is a median of zero."""
    names = _screen(compare(snapshot(host("a", process(1, "x", mapping("/m", Pss=0))), host("b"))))[0].split()
    assert names == ["mapping", "a", "b", "median", "spread", "outliers"]


def test_mappings_of_nothing_in_compare():
    """Below the hosts; the number of processes is no size, and a host without the mapping has no zero."""
    vdso, page = mapping("[vdso]", start=1 << 20, Rss=4, Pss=0), mapping("/m", Pss=3)
    one, other = (host(name, process(1, "x", page, vdso)) for name in "ab")
    lines = _screen(compare(snapshot(one, other)))
    assert [line.split()[0] for line in lines[1:3]] == ["processes", "/m"]
    assert lines[-1] == "1 mapping with no memory on any host: [vdso]"
    lines = _screen(compare(snapshot(one, host("b", process(1, "x", page)))))
    assert lines[3].split()[:3] == ["[vdso]", "0K", "-"]
