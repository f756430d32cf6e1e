"""The table of kernel fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetpmap.smaps.fields import FIELD_BY_KEY, FIELDS, column_name


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("Size", "kernel_size_kib"),
        ("Rss", "rss_kib"),
        ("KernelPageSize", "kernel_page_size_kib"),
        ("MMUPageSize", "mmu_page_size_kib"),
        ("Pss_Dirty", "pss_dirty_kib"),
        ("KSM", "ksm_kib"),
        ("AnonHugePages", "anon_huge_pages_kib"),
        ("Shared_Hugetlb", "shared_hugetlb_kib"),
        ("SwapPss", "swap_pss_kib"),
        ("THPeligible", "thp_eligible"),
        ("ProtectionKey", "protection_key"),
        ("VmFlags", "vm_flags"),
    ],
)
def test_a_kernel_key_has_one_column_name(key: str, column: str) -> None:
    """Reports and exports call a field by the table's name."""
    assert column_name(key) == column


@pytest.mark.parametrize(
    ("key", "column"),
    [("HugeTHPMap", "huge_thp_map_kib"), ("dirty_thing", "dirty_thing_kib"), ("Active(anon)", "active_anon_kib")],
)
def test_an_unknown_key_becomes_snake_case_in_kib(key: str, column: str) -> None:
    """A vendor's key gets a name of the same kind as the others."""
    assert column_name(key) == column


def test_every_column_and_key_is_there_once() -> None:
    """Two fields never share a column."""
    assert len({field.column for field in FIELDS}) == len(FIELDS) == len(FIELD_BY_KEY)


def test_pss_adds_and_rss_is_an_upper_bound_and_page_sizes_do_not_add() -> None:
    """How a field totals over processes that share pages."""
    totals = {key: FIELD_BY_KEY[key].totals for key in ("Pss", "SwapPss", "Rss", "Swap", "MMUPageSize", "THPeligible")}
    assert totals == {
        "Pss": "sum",
        "SwapPss": "sum",
        "Rss": "upper bound",
        "Swap": "upper bound",
        "MMUPageSize": "none",
        "THPeligible": "none",
    }


SINCE = {
    "Size": "2.6.14",
    "Rss": "2.6.14",
    "Shared_Clean": "2.6.14",
    "Shared_Dirty": "2.6.14",
    "Private_Clean": "2.6.14",
    "Private_Dirty": "2.6.14",
    "Referenced": "2.6.22",
    "Pss": "2.6.25",
    "Swap": "2.6.26",
    "KernelPageSize": "2.6.29",
    "MMUPageSize": "2.6.29",
    "Anonymous": "2.6.37",
    "Locked": "2.6.38",
    "AnonHugePages": "2.6.39",
    "VmFlags": "3.8",
    "SwapPss": "4.3",
    "Shared_Hugetlb": "4.4",
    "Private_Hugetlb": "4.4",
    "ShmemPmdMapped": "4.8",
    "ProtectionKey": "4.9",
    "LazyFree": "4.12",
    "THPeligible": "5.0",
    "Pss_Anon": "5.3",
    "Pss_File": "5.3",
    "Pss_Shmem": "5.3",
    "FilePmdMapped": "5.4",
    "Pss_Dirty": "6.0",
    "KSM": "6.7",
    "HugePFNMap": "vendor",
    "ShmemHugePages": "vendor",
    "Writeback": "vendor",
    "Name": "vendor",
}


def test_every_field_that_kernels_have_printed_is_there() -> None:
    """With the first kernel that did, by the history of fs/proc/task_mmu.c and proc(5)."""
    assert {field.key: field.since for field in FIELDS} == SINCE


@pytest.mark.parametrize("file", ["smaps", "smaps_rollup"])
def test_this_kernel_prints_nothing_unknown(file: str) -> None:
    """A kernel newer than the table shows here first."""
    try:
        text = Path(f"/proc/self/{file}").read_text()
    except OSError:
        pytest.skip(reason=f"this kernel has no {file}")
    keys = set(re.findall(r"^([A-Za-z_]+):", text, re.MULTILINE))
    assert keys - FIELD_BY_KEY.keys() == set()


def test_a_sentence_fits_below_its_field() -> None:
    """`fleetpmap fields` puts it there, indented by four, on a terminal of 80."""
    assert max(len(field.meaning) for field in FIELDS) <= 76
