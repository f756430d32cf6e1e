"""The table of kernel fields."""

from __future__ import annotations

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
