"""The kernel's fields of smaps, as data.   [fields] ─► reference_parser, table, reports, docs

Source: Documentation/filesystems/proc.rst; fs/proc/task_mmu.c, show_smap() and its history. A new kernel field is one
row of FIELDS. A key that is not in the table is kept as well: `column_name` derives its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Unit = Literal["KiB", "flag", "number", "text"]
Totals = Literal["sum", "upper bound", "none"]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a mapping's block."""

    key: str
    """The kernel's key, without the colon."""
    column: str
    """The column's name in every report and export."""
    unit: Unit
    since: str
    """First kernel that prints it; `vendor` if only kernels with vendors' patches do."""
    meaning: str
    """Meaning of the field, in one sentence."""
    totals: Totals
    """Meaning of its sum over several processes: `sum` is exact, `upper bound` counts shared pages once per process,
    `none` has no meaning."""


FIELDS = (
    Field("Size", "kernel_size_kib", "KiB", "2.6.14",
          "Address space of the mapping, as the kernel counts it.", "upper bound"),
    Field("KernelPageSize", "kernel_page_size_kib", "KiB", "2.6.29",
          "Page size with which the kernel backs the mapping.", "none"),
    Field("MMUPageSize", "mmu_page_size_kib", "KiB", "2.6.29",
          "Page size that the processor uses for it.", "none"),
    Field("Rss", "rss_kib", "KiB", "2.6.14",
          "What of the mapping is in RAM, shared or not; hugetlb pages are not counted.", "upper bound"),
    Field("Pss", "pss_kib", "KiB", "2.6.25",
          "Rss with each page divided by the number of mappings that have it.", "sum"),
    Field("Pss_Dirty", "pss_dirty_kib", "KiB", "6.0",
          "The part of Pss in dirty pages.", "sum"),
    Field("Pss_Anon", "pss_anon_kib", "KiB", "5.3",
          "The part of Pss in anonymous pages (smaps_rollup only).", "sum"),
    Field("Pss_File", "pss_file_kib", "KiB", "5.3",
          "The part of Pss in pages of files (smaps_rollup only).", "sum"),
    Field("Pss_Shmem", "pss_shmem_kib", "KiB", "5.3",
          "The part of Pss in shared memory (smaps_rollup only).", "sum"),
    Field("Shared_Clean", "shared_clean_kib", "KiB", "2.6.14",
          "Resident pages that other mappings have too, unchanged since read in.", "upper bound"),
    Field("Shared_Dirty", "shared_dirty_kib", "KiB", "2.6.14",
          "Resident pages that other mappings have too, changed.", "upper bound"),
    Field("Private_Clean", "private_clean_kib", "KiB", "2.6.14",
          "Resident pages that only this mapping has, unchanged since read in.", "sum"),
    Field("Private_Dirty", "private_dirty_kib", "KiB", "2.6.14",
          "Resident pages that only this mapping has, changed.", "sum"),
    Field("Referenced", "referenced_kib", "KiB", "2.6.22",
          "Resident pages marked as accessed.", "upper bound"),
    Field("Anonymous", "anonymous_kib", "KiB", "2.6.37",
          "Resident pages of no file; private copies of a file's pages are among them.", "upper bound"),
    Field("KSM", "ksm_kib", "KiB", "6.7",
          "Resident pages that kernel samepage merging merged with equal ones.", "upper bound"),
    Field("LazyFree", "lazy_free_kib", "KiB", "4.12",
          "Pages given up with MADV_FREE that the kernel has not taken yet.", "upper bound"),
    Field("AnonHugePages", "anon_huge_pages_kib", "KiB", "2.6.39",
          "Anonymous memory in transparent huge pages.", "upper bound"),
    Field("ShmemPmdMapped", "shmem_pmd_mapped_kib", "KiB", "4.8",
          "Shared memory mapped with huge pages.", "upper bound"),
    Field("FilePmdMapped", "file_pmd_mapped_kib", "KiB", "5.4",
          "Page cache of files mapped with huge pages.", "upper bound"),
    Field("Shared_Hugetlb", "shared_hugetlb_kib", "KiB", "4.4",
          "hugetlbfs pages that other mappings have too; in neither Rss nor Pss.", "upper bound"),
    Field("Private_Hugetlb", "private_hugetlb_kib", "KiB", "4.4",
          "hugetlbfs pages that only this mapping has; in neither Rss nor Pss.", "sum"),
    Field("Swap", "swap_kib", "KiB", "2.6.26",
          "Memory of the mapping that is in swap; shared memory since 4.5 only.", "upper bound"),
    Field("SwapPss", "swap_pss_kib", "KiB", "4.3",
          "Swap with each page divided by its mappings; without shared memory.", "sum"),
    Field("Locked", "locked_kib", "KiB", "2.6.38",
          "Pss held in RAM by mlock; kernels 4.14 to 4.19 print Pss, locked or not.", "sum"),
    Field("THPeligible", "thp_eligible", "flag", "5.0",
          "1 if the mapping may get transparent huge pages.", "none"),
    Field("ProtectionKey", "protection_key", "number", "4.9",
          "Memory protection key of the mapping (x86 and others that have them).", "none"),
    Field("VmFlags", "vm_flags", "text", "3.8",
          "Two-letter flags of the mapping, space-separated.", "none"),
    Field("HugePFNMap", "huge_pfn_map_kib", "KiB", "vendor",
          "Raw page frames, such as a device's memory, mapped with huge pages.", "upper bound"),
    Field("ShmemHugePages", "shmem_huge_pages_kib", "KiB", "vendor",
          "Shared memory in huge pages, however it is mapped.", "upper bound"),
    Field("Writeback", "writeback_kib", "KiB", "vendor",
          "Resident pages being written back.", "upper bound"),
    Field("Name", "name", "text", "vendor",
          "Old Android's name of an anonymous mapping; here it is the mapping's path.", "none"),
)  # fmt: skip  # a table: two lines a field read better than eight
"""All known fields, in the order of a recent kernel; fields of vendors' kernels come last."""

FIELD_BY_KEY = MappingProxyType({field.key: field for field in FIELDS})

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


def column_name(key: str) -> str:
    """Return the column name of a kernel key: the table's, or for an unknown key the key in snake case with `_kib`.

    `HugeThing` is `huge_thing_kib`. An unknown key counts as a size whether or not its line says kB: the table has all
    keys without that unit that kernels have printed so far.
    """
    known = FIELD_BY_KEY.get(key)
    if known is not None:
        return known.column
    return _WORD_STARTS.sub("_", key).strip("_").lower() + "_kib"


def field_columns(keys: Iterable[str]) -> dict[str, str]:
    """Return the column names of all known fields and of `keys`, by kernel key. Names are made distinct with `_`."""
    columns = {field.key: field.column for field in FIELDS if field.unit != "text"}
    for key in keys:
        if key in columns:
            continue
        name = column_name(key)
        while name in columns.values():
            name += "_"
        columns[key] = name
    return columns
