"""table: derived sizes, and what a sum does with a null."""

import numpy as np
import pytest

from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.table import concatenate, distinct, distinct_per_group, from_columns, join_coded, sums, total


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


def test_distinct_per_group_of_many_groups():
    """Too many groups and values for a table of all pairs give the same counts."""
    values = np.array([3, 3, 99_999, 9], np.int32)
    assert distinct_per_group(values, np.array([0, 0, 0, 2], np.int64), 3).tolist() == [2, 0, 1]


def test_joined_columns_are_as_narrow_as_their_values():
    """A byte for values up to 127 and a null, more for more; one wide part makes the whole wide."""
    narrow = from_columns(columns({"Rss": [1, 127], "Swap": [1, NULL]}))
    wide = from_columns(columns({"Rss": [5, 128], "Swap": [7, 7]}))
    both = concatenate([(narrow, 0), (wide, 1)])
    assert (both.fields["Rss"].dtype, both.fields["Rss"].tolist()) == (np.int16, [1, 127, 5, 128])
    assert (both.fields["Swap"].dtype, both.fields["Swap"].tolist()) == (np.int8, [1, NULL, 7, 7])


@pytest.mark.parametrize(("names", "dtype"), [(126, np.int8), (127, np.int16), (40_000, np.int32)])
def test_codes_are_as_narrow_as_the_number_of_names(names, dtype):
    """A code + 1, and the number of names + 1, fit as well: no view has to think of that."""
    texts = [str(number) for number in range(names)]
    joined = join_coded([coded_in_order(texts), Coded(np.array([NULL], np.int32), ())])
    assert (joined.codes.dtype, joined.texts()) == (dtype, [*texts, None])
    assert (joined.codes + 1).max() == names


def coded_in_order(texts):
    return Coded(np.arange(len(texts), dtype=np.int32), tuple(texts))


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
    """A field takes as few bytes a row as its values need, or one slot for all rows; a size has eight."""
    alone = from_columns(columns({"Rss": [8, 4], "Pss": [3, 2**31], "Swap": [0, 0]}))
    assert [alone.fields[key].strides for key in ("Rss", "Pss", "Swap")] == [(1,), (8,), (0,)]
    joined = concatenate([(alone, 0), (from_columns(columns({"Rss": [1, 2], "Pss": [5, 6], "Swap": [7, 7]})), 1)])
    assert [joined.fields[key].strides for key in ("Rss", "Pss", "Swap")] == [(1,), (8,), (1,)]
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


def test_columns_that_repeat_one_value_are_added_like_any_other():
    """A column without memory of its own gives the sums of the same column with all its items."""
    group = np.array([2, 0, 2])
    for value in (0, 7, NULL):
        short = np.broadcast_to(np.int64(value), 3)
        assert sums(short, group, 4).tolist() == sums(short.copy(), group, 4).tolist()


def test_distinct_values_are_found_with_and_without_a_table():
    """Small numbers, negative ones and those too large for a table come once each, ascending."""
    for values in ([3, 1, 3], [-1, 4, -1], [5, 1 << 40, 5], []):
        assert distinct(np.array(values, dtype=np.int64)).tolist() == sorted({*values})


def test_joined_texts_that_no_table_has_take_no_memory():
    """Sums have neither device nor flags, on however many hosts."""
    none = Coded(np.broadcast_to(np.int32(NULL), 2), ())
    joined = join_coded([none, none])
    assert (joined.codes.tolist(), joined.codes.strides, joined.names) == ([NULL] * 4, (0,), ())
