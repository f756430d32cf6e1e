"""table: derived sizes, and what a sum does with a null."""

import numpy as np

from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.table import concatenate, distinct_per_group, from_columns, sums, total


def coded(*texts):
    names = tuple(dict.fromkeys(text for text in texts if text is not None))
    return Coded(np.array([-1 if text is None else names.index(text) for text in texts], np.int32), names)


def columns(fields, *, process=(0, 0), paths=("/lib/libc.so.6", ""), start=(4096, 0xFFFFFFFFFF600000)):
    ends = [first + 8192 for first in start]
    return SmapsColumns(
        process=np.array(process, np.int32),
        start=np.array(start, np.uint64),
        end=np.array(ends, np.uint64),
        perms=coded(*["r--p"] * len(paths)),
        offset=np.zeros(len(paths), np.uint64),
        device=coded(*["08:01"] * len(paths)),
        inode=np.zeros(len(paths), np.uint64),
        path=coded(*paths),
        fields={key: np.array(values, np.int64) for key, values in fields.items()},
        flags=coded(*[None] * len(paths)),
    )


FIELDS = {
    "Rss": [8, 4],
    "Pss": [3, 4],
    "Shared_Clean": [5, 0],
    "Shared_Dirty": [1, 0],
    "Private_Clean": [2, 1],
    "Private_Dirty": [0, 3],
    "Swap": [0, 16],
    "SwapPss": [0, 9],
    "Shared_Hugetlb": [2048, 0],
    "Private_Hugetlb": [4096, 0],
}


def test_derived_sizes():
    """dirty, uss and hugetlb are sums of two kernel fields each; size is the range, above 2^63 as well."""
    metrics = from_columns(columns(FIELDS)).metrics
    assert {name: values.tolist() for name, values in metrics.items()} == {
        "size_kib": [8, 8],
        "rss_kib": [8, 4],
        "pss_kib": [3, 4],
        "uss_kib": [2, 4],
        "dirty_kib": [1, 3],
        "swap_kib": [0, 16],
        "swap_pss_kib": [0, 9],
        "hugetlb_kib": [6144, 0],
    }


def test_a_field_that_the_kernel_lacks_is_null():
    """What cannot be derived is null, never zero; one missing part is enough."""
    metrics = from_columns(columns({"Rss": [8, NULL], "Private_Dirty": [1, 2]})).metrics
    assert metrics["rss_kib"].tolist() == [8, NULL]
    assert metrics["uss_kib"].tolist() == [NULL, NULL]
    assert metrics["pss_kib"].tolist() == [NULL, NULL]


def test_sums_leave_nulls_out():
    """A sum over some nulls is the sum of the rest; a sum of nulls, and of nothing, is null."""
    values = np.array([5, NULL, 7, NULL], np.int64)
    group = np.array([0, 0, 0, 1], np.int64)
    assert sums(values, group, 3).tolist() == [12, NULL, NULL]


def test_sums_pass_two_terabytes():
    """KiB sums are exact far past 2^31."""
    values = np.array([2**40 + 1, 2**40 + 2], np.int64)
    assert sums(values, np.zeros(2, np.int64), 1).tolist() == [2199023255555]


def test_total():
    """The total of the known values; None when nothing is known."""
    assert total(np.array([5, NULL, 7], np.int64)) == 12
    assert total(np.array([NULL], np.int64)) is None


def test_distinct_per_group():
    """Different values are counted once in each group."""
    values = np.array([3, 3, 4, 9], np.int32)
    assert distinct_per_group(values, np.array([0, 0, 0, 2], np.int64), 3).tolist() == [2, 0, 1]


def test_concatenate_shifts_processes_and_joins_texts():
    """Rows keep their process and their texts; a field that only one host has is null for the other."""
    one = from_columns(columns(FIELDS, paths=("/lib/libc.so.6", "")))
    two = from_columns(columns({"Rss": [1, 2], "KSM": [6, 7]}, paths=("[heap]", "/lib/libc.so.6")))
    both = concatenate([(one, 0), (two, 1)])
    assert both.process.tolist() == [0, 0, 1, 1]
    assert both.path.texts() == ["/lib/libc.so.6", "", "[heap]", "/lib/libc.so.6"]
    assert both.mapping.texts() == ["libc.so.6", "[anon]", "[heap]", "libc.so.6"]
    assert both.fields["KSM"].tolist() == [NULL, NULL, 6, 7]
    assert both.fields["Rss"].tolist() == [8, 4, 1, 2]
    assert both.metrics["pss_kib"].tolist() == [3, 4, NULL, NULL]
    assert both.flags.texts() == [None, None, None, None]


def test_fields_are_kept_narrow_and_sizes_have_64_bits():
    """A field takes four bytes a row where they do, or one slot for all rows; whoever reckons with sizes gets eight."""
    alone = from_columns(columns({"Rss": [8, 4], "Pss": [3, 2**31], "Swap": [0, 0]}))
    assert [alone.fields[key].strides for key in ("Rss", "Pss", "Swap")] == [(4,), (8,), (0,)]
    joined = concatenate([(alone, 0), (from_columns(columns({"Rss": [1, 2], "Pss": [5, 6], "Swap": [7, 7]})), 1)])
    assert [joined.fields[key].strides for key in ("Rss", "Pss", "Swap")] == [(4,), (8,), (4,)]
    assert joined.metrics["rss_kib"].dtype == np.int64
    assert joined.fields["Pss"].tolist() == [3, 2**31, 5, 6]
    assert joined.fields["Swap"].tolist() == [0, 0, 7, 7]


def test_the_parts_of_a_size_may_be_narrower_than_their_sum():
    """Two kernel fields that fit 32 bits add up to a size that does not."""
    metrics = from_columns(columns({"Private_Clean": [2**31 - 1, 1], "Private_Dirty": [2**31 - 2, 2]})).metrics
    assert metrics["uss_kib"].tolist() == [2**32 - 3, 3]


def test_concatenate_nothing():
    """No tables are an empty table."""
    assert len(concatenate([])) == 0
