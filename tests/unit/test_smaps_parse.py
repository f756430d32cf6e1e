"""Text to columns: what the columns hold, that both paths agree, and that a bad process costs no other."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from fleetpmap.errors import SmapsError
from fleetpmap.smaps import NULL, parse, parse_processes
from smaps_paths import assert_both_paths_agree, rows_of, spans_of

TEXTS = Path(__file__).parents[1] / "data" / "smaps_texts"

KERNEL_3_2 = b"""\
00400000-004a2000 r-xp 00000000 08:01 2883606                            /bin/zsh4
Size:                648 kB
Rss:                 584 kB
Pss:                  30 kB
Shared_Clean:        581 kB
Locked:                0 kB
006a1000-006a2000 r--p 000a1000 08:01 2883606                            /bin/zsh4
Size:                  4 kB
Rss:                   3 kB
Pss:                   2 kB
Shared_Clean:          1 kB
Locked:                5 kB
ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0                  [vsyscall]
Size:                  7 kB
Rss:                   0 kB
Pss:                   0 kB
Shared_Clean:          0 kB
Locked:                0 kB
"""

KERNEL_6 = b"""\
55f523c9f000-55f523cc1000 r-xp 00001000 fe:00 260386                     /usr/bin/a b
Size:                136 kB
Rss:                 132 kB
Pss:                  61 kB
Pss_Dirty:            11 kB
THPeligible:           0
VmFlags: rd ex mr mw me\x20
7fff76a3d000-7fff76a5e000 rw-s 00000000 103:02 18446744073709551615      /srv/\xff (deleted)
Size:         4294967296 kB
Rss:                  22 kB
Pss:                  21 kB
Pss_Dirty:            20 kB
THPeligible:           1
VmFlags: rd wr\x20
"""


def test_an_empty_text_has_no_mappings() -> None:
    """A kernel thread is no error: no rows, no fields, no names."""
    columns = parse(b"")
    assert rows_of(columns) == []
    assert columns.fields == {}
    assert columns.path.names == ()


def test_every_column_of_an_old_kernel() -> None:
    """3.2: no VmFlags; an address above 2^63; the path comes as printed."""
    columns = parse(KERNEL_3_2)
    assert columns.process.tolist() == [0, 0, 0]
    assert columns.start.tolist() == [0x400000, 0x6A1000, 0xFFFFFFFFFF600000]
    assert columns.end.tolist() == [0x4A2000, 0x6A2000, 0xFFFFFFFFFF601000]
    assert columns.offset.tolist() == [0, 0xA1000, 0]
    assert columns.perms.texts() == ["r-xp", "r--p", "r-xp"]
    assert columns.device.texts() == ["08:01", "08:01", "00:00"]
    assert columns.inode.tolist() == [2883606, 2883606, 0]
    assert columns.path.texts() == ["/bin/zsh4", "/bin/zsh4", "[vsyscall]"]
    assert columns.flags.texts() == [None, None, None]
    assert {key: column.tolist() for key, column in columns.fields.items()} == {
        "Size": [648, 4, 7],
        "Rss": [584, 3, 0],
        "Pss": [30, 2, 0],
        "Shared_Clean": [581, 1, 0],
        "Locked": [0, 5, 0],
    }


def test_ten_digits_a_wide_inode_and_bytes_that_are_not_utf8() -> None:
    """What fits no template is read all the same."""
    columns = parse(KERNEL_6)
    assert columns.fields["Size"].tolist() == [136, 4294967296]
    assert columns.inode.tolist() == [260386, 18446744073709551615]
    assert columns.device.texts() == ["fe:00", "103:02"]
    assert columns.path.texts() == ["/usr/bin/a b", "/srv/\udcff (deleted)"]
    assert columns.flags.texts() == ["rd ex mr mw me", "rd wr"]


def test_the_types_are_those_of_the_contract() -> None:
    """Addresses, offsets and inodes are unsigned, values int64, codes int32."""
    columns = parse(KERNEL_6)
    assert {columns.start.dtype, columns.end.dtype, columns.offset.dtype, columns.inode.dtype} == {np.dtype("u8")}
    assert {column.dtype for column in columns.fields.values()} == {np.dtype("i8")}
    codes = (columns.process, columns.perms.codes, columns.device.codes, columns.path.codes, columns.flags.codes)
    assert {code.dtype for code in codes} == {np.dtype("i4")}


def test_processes_of_two_kernels_in_one_buffer() -> None:
    """Rows know their process; a key that a kernel lacks is null there; empty spans are processes without mappings."""
    texts = [b"", KERNEL_6, b"", KERNEL_3_2, b""]
    columns = parse(b"".join(texts), spans_of(texts))
    assert columns.process.tolist() == [1, 1, 3, 3, 3]
    assert columns.fields["Pss_Dirty"].tolist() == [11, 20, NULL, NULL, NULL]
    assert columns.fields["Locked"].tolist() == [NULL, NULL, 0, 5, 0]
    assert columns.flags.texts() == ["rd ex mr mw me", "rd wr", None, None, None]


def test_hosts_in_one_buffer_are_read_as_one_by_one() -> None:
    """Of several kernels, some with a bad process: the same rows and errors, only the processes are counted on."""
    recorded = (TEXTS / "linux-6.18-sleep.smaps").read_bytes()
    hosts = [
        [recorded, recorded[:-30], b"", KERNEL_6],
        [KERNEL_3_2, KERNEL_3_2],
        [b"junk\n"],
        [],
        [recorded.replace(b"KSM:", b"Ksm:"), recorded.replace(b":  ", b": ")],
        [KERNEL_6, recorded[:-1]],
    ]
    rows, errors = [], {}
    for number, texts in enumerate(hosts):
        before = sum(map(len, hosts[:number]))
        columns, bad = parse_processes(b"".join(texts), spans_of(texts))
        rows += [(row[0] + before, *row[1:]) for row in rows_of(columns)]
        errors |= {process + before: (error.message, error.offset) for process, error in bad.items()}
    texts = [text for host in hosts for text in host]
    columns, bad = parse_processes(b"".join(texts), spans_of(texts))
    assert rows_of(columns) == rows
    assert {process: (error.message, error.offset) for process, error in bad.items()} == errors
    assert list(errors) == [1, 6]


def test_each_mapping_keeps_its_numbers_whichever_shapes_were_tried_before() -> None:
    """A shape of the first text is tried on the second's blocks: the last is too short for it, the others misfit."""
    block = "{0}0000000-{0}0001000 r--p 00000000 00:00 0 \nSize:           {1:8} kB\nRss:            {2:8} kB\n"
    eligible = "THPeligible:           0\n"
    first = block.format(1, 1, 2) + eligible + block.format(2, 3, 4) + eligible[:-1]  # so its last block stands alone
    second = block.format(3, 5, 6) + "VmFlags: rd ex mr mw me sd\n"
    second += block.format(4, 7, 8) + "VmFlags: rd wr mr mw me sd\n" + block.format(5, 9, 10) + "VmFlags: rd\n"
    texts = [first.encode(), second.encode()]
    columns = parse(b"".join(texts), spans_of(texts))
    assert columns.start.tolist() == [0x10000000, 0x20000000, 0x30000000, 0x40000000, 0x50000000]
    assert columns.fields["Size"].tolist() == [1, 3, 5, 7, 9]
    assert columns.fields["Rss"].tolist() == [2, 4, 6, 8, 10]


def test_nothing_is_left_from_one_text_to_the_next() -> None:
    """The memory is used again: what was behind the end of the shorter text is not there."""
    parse(KERNEL_3_2)
    columns, errors = parse_processes(KERNEL_3_2[:-60], [(0, len(KERNEL_3_2) - 60)])
    assert (len(columns.start), list(errors)) == (0, [0])


def test_a_memoryview_is_as_good_as_bytes() -> None:
    """No copy of the buffer is asked of the caller."""
    assert rows_of(parse(memoryview(KERNEL_6))) == rows_of(parse(KERNEL_6))


def test_a_recorded_process() -> None:
    """sleep on 6.18: totals as awk sums them."""
    columns = parse((TEXTS / "linux-6.18-sleep.smaps").read_bytes())
    totals = {key: int(columns.fields[key].sum()) for key in ("Size", "Rss", "Pss", "Private_Dirty", "Referenced")}
    assert len(columns.start) == 37
    assert totals == {"Size": 2924, "Rss": 1892, "Pss": 271, "Private_Dirty": 112, "Referenced": 1892}


def test_a_bad_process_costs_no_other() -> None:
    """It is left out whole and said why; its neighbours are whole."""
    torn = KERNEL_3_2[: KERNEL_3_2.index(b"Pss:                   2")]
    texts = [KERNEL_6, b"junk\n", KERNEL_3_2, torn, torn[:-4], KERNEL_6]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert columns.process.tolist() == [0, 0, 2, 2, 2, 5, 5]
    assert {process: error.message for process, error in errors.items()} == {
        1: "expected a mapping line, got 'junk'",
        3: "cut off in the middle of a mapping, after 1 whole mapping",
        4: "cut off in the middle of a mapping, after 1 whole mapping",
    }
    assert errors[3].offset == errors[4].offset == torn.index(b"006a1000")


def test_a_block_that_comes_twice_costs_its_process_only() -> None:
    """Its numbers would count twice; the same addresses in another process are another memory."""
    first = KERNEL_3_2[: KERNEL_3_2.index(b"006a1000")]
    texts = [KERNEL_3_2, first + KERNEL_3_2, KERNEL_3_2]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert columns.process.tolist() == [0, 0, 0, 2, 2, 2]
    assert {process: (error.message, error.offset) for process, error in errors.items()} == {
        1: ("mapping 00400000-004a2000 ends no further than the one in front of it", len(first))
    }


def test_a_size_without_its_unit_is_refused_on_the_fast_path_too() -> None:
    """A template never learns it."""
    with pytest.raises(SmapsError, match="\"Pss\": expected a number of kB, got '2'"):
        parse(KERNEL_3_2.replace(b"   2 kB", b"   2"))


def test_a_field_that_only_a_bad_process_has_is_not_there() -> None:
    """No column of nothing but null, no name that no row has."""
    texts = [KERNEL_3_2, KERNEL_6 + b"junk\n"]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert list(errors) == [1]
    assert list(columns.fields) == ["Size", "Rss", "Pss", "Shared_Clean", "Locked"]
    assert columns.path.names == ("/bin/zsh4", "[vsyscall]")


def test_parse_raises_the_first_error() -> None:
    """For those who want all or nothing."""
    texts = [KERNEL_6, KERNEL_6[:-20], b"junk\n"]
    with pytest.raises(SmapsError, match="after 1 whole mapping"):
        parse(b"".join(texts), spans_of(texts))


@pytest.mark.parametrize("spans", [[], [(0, 3)], [(1, len(KERNEL_6))], [(0, 5), (6, len(KERNEL_6))], [(0, 9), (9, 4)]])
def test_spans_must_cover_the_text(spans: list[tuple[int, int]]) -> None:
    """A gap would be mappings that nobody counts."""
    with pytest.raises(ValueError, match="spans must cover the text"):
        parse(KERNEL_6, spans)


def test_a_host_does_not_choose_how_many_columns_there_are() -> None:
    """Each key costs a slot in every row: the process whose key is one too many is left out."""
    texts = [b"00001000-00002000 r--p 00000000 00:00 0 \nKey%d: 4 kB\n" % number for number in range(300)]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert len(columns.fields) == len(columns.start) == 256
    assert {error.message for error in errors.values()} == {"its host's smaps have more than 256 different keys"}


def test_every_cut_of_a_buffer_of_three_processes() -> None:
    """Wherever the middle one is cut, both paths say the same."""
    for size in range(len(KERNEL_3_2)):
        assert_both_paths_agree([KERNEL_6, KERNEL_3_2[:size], KERNEL_6])


def test_a_hundred_flipped_bytes() -> None:
    """Whatever a byte becomes, both paths read or refuse it alike."""
    recorded = (TEXTS / "linux-6.18-sleep.smaps").read_bytes()
    dice = random.Random(2013)
    for _ in range(100):
        text = bytearray(recorded[: recorded.index(b"\n7", 4000) + 1])
        text[dice.randrange(len(text))] = dice.choice(b"0 9a:-\n\tz\xff")
        assert_both_paths_agree([KERNEL_6, bytes(text), KERNEL_6])


def test_several_windows_join() -> None:
    """A text longer than one window, with odd blocks, other templates and a bad process here and there."""
    one = (TEXTS / "linux-6.18-sleep.smaps").read_bytes()
    texts = [one] * 45 + [KERNEL_6] + [one] * 45 + [KERNEL_3_2, one[:-200]] + [one] * 5
    assert sum(map(len, texts)) > 2 * 2**20
    assert_both_paths_agree(texts)


def test_more_mappings_than_are_taken_are_an_error_of_their_processes():
    """The processes that were read by then are whole."""
    one = b"00400000-00401000 r-xp 00000000 08:01 9 /bin/odd\nRss:                   4 kB\n"
    many = b"".join(
        b"%08x-%08x r-xp 00000000 08:01 9 /bin/odd\nRss:                   4 kB\n" % (at, at + 1)
        for at in range(0x10000000, 0x10000000 + 340_000)
    )
    texts = [one, many, one]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert columns.process.tolist() == [0]
    assert {place: error.message for place, error in errors.items()} == dict.fromkeys(
        (1, 2), "more than 300,000 mappings, or 100,000 different files, on one host"
    )
