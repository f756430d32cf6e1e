"""The general path: what smaps is, and what is wrong with a text that is not."""

from __future__ import annotations

import pytest

from fleetpmap.errors import SmapsError
from fleetpmap.smaps.reference_parser import last_block_start, read_process, signature

HEADER = b"7f0000000000-7f0000003000 rw-p 00000000 00:00 0 \n"
BLOCK = HEADER + b"Size:                 12 kB\nRss:                   8 kB\nVmFlags: rd wr mr \n"
BLOCK_2 = BLOCK.replace(b"7f00", b"7f01")
HEADER_2 = HEADER.replace(b"7f00", b"7f01")
NOT_SMAPS = "this is not the text of /proc/PID/smaps"


def error_of(text: bytes) -> SmapsError | None:
    """What read_process says against a text, if anything."""
    try:
        read_process(text)
    except SmapsError as error:
        return error
    return None


def test_an_empty_text_has_no_mappings() -> None:
    """A kernel thread's file is empty."""
    assert read_process(b"") == []


def test_a_block_gives_its_numbers_and_flags() -> None:
    """Values as printed, in order; flags without the trailing space."""
    (block,) = read_process(BLOCK)
    assert list(block.numbers.items()) == [("Size", 12), ("Rss", 8)]
    assert block.flags == "rd wr mr"


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        (b"THPeligible:\t\t1", "THPeligible", 1),
        (b"ProtectionKey:         3", "ProtectionKey", 3),
        (b"Size:         4294967296 kB", "Size", 4294967296),
        (b"HugePFNMap:           12 kB", "HugePFNMap", 12),
        (b"dirty_thing:           5 kB", "dirty_thing", 5),
        (b"Rss:  140737488355328 kB", "Rss", 140737488355328),
    ],
)
def test_every_numeric_line_is_kept(line: bytes, key: str, value: int) -> None:
    """Tabs, no unit, ten digits, unknown and lower-case keys."""
    (block,) = read_process(HEADER + line + b"\n")
    assert block.numbers == {key: value}


def test_a_name_line_gives_the_path_that_the_header_lacks() -> None:
    """Old Android kernels print the name of an anonymous mapping below its header."""
    (block,) = read_process(HEADER + b"Name:           [anon:libc malloc]\nPss: 3 kB\n")
    assert block.header.place.path == "[anon:libc malloc]"


def test_a_name_line_does_not_replace_a_path() -> None:
    """The header's own path stays."""
    (block,) = read_process(HEADER.replace(b"0 \n", b"0 /x\n") + b"Name:   [anon:y]\nPss: 3 kB\n")
    assert block.header.place.path == "/x"


def test_words_of_an_unknown_key_are_passed_over() -> None:
    """A column holds numbers; a vendor's words do not make the process unreadable."""
    (block,) = read_process(HEADER + b"Rss: 4 kB\nMood: quite good\n")
    assert block.numbers == {"Rss": 4}


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (b"hello\n", "expected a mapping line, got 'hello'", 0),
        (b"Rss: 4 kB\n", "expected a mapping line, got 'Rss: 4 kB'", 0),
        (BLOCK + HEADER.replace(b"rw-p", b"rw!p") + b"Rss: 4 kB\n", "expected a mapping line", len(BLOCK)),
        (HEADER + b"Rss: 4 kB\nRss: 4 kB\n", 'the key "Rss" stands twice in one mapping', len(HEADER) + 10),
        (HEADER + b"VmFlags: rd\nVmFlags: rd\n", 'the key "VmFlags" stands twice', len(HEADER) + 12),
        (HEADER + b"Rss: lots\n", "\"Rss\": expected a number of kB, got 'lots'", len(HEADER)),
        (HEADER + b"Rss: 140737488355329 kB\n", '"Rss": expected a number', len(HEADER)),
        (HEADER + b"Rss: 4\n", "\"Rss\": expected a number of kB, got '4'", len(HEADER)),
        (HEADER + b"THPeligible: 1 kBit\n", "\"THPeligible\": expected a number, got '1 kBit'", len(HEADER)),
        (HEADER + b"Rss: 4 kB\r\n", "\"Rss\": expected a number of kB, got '4 kB\\r'", len(HEADER)),
        (HEADER + b"\x1b[2J\n", "expected a field (\"Rss:   4 kB\"), got '\\x1b[2J'", len(HEADER)),
        (HEADER + BLOCK, "a mapping without fields", 0),
    ],
)
def test_what_is_not_smaps_is_an_error_with_its_place(text: bytes, message: str, offset: int) -> None:
    """The message quotes the line, escaped; the offset is where it begins."""
    with pytest.raises(SmapsError) as caught:
        read_process(text)
    assert message in caught.value.message
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b"\x7fELF\x02\x01\x01\x00", "expected a mapping line, got '\\x7fELF\\x02\\x01\\x01\\x00'", NOT_SMAPS),
        (b"root:x:0:0:root:/root:/bin/sh\n", "expected a mapping line, got 'root:x:0:0:root:/root:/bin/sh'", NOT_SMAPS),
        (b"\n", "expected a mapping line, got ''", NOT_SMAPS),
        (HEADER + HEADER, "a mapping without fields", "this looks like /proc/PID/maps: smaps is needed"),
        (
            b"00400000-7fff1000 ---p 00000000 00:00 0     [rollup]\nRss: 884 kB\n",
            "expected a mapping line, got '00400000-7fff1000 ---p 00000000 00:00 0     [rollup]'",
            "this is smaps_rollup, one sum over all mappings: smaps is needed",
        ),
        (
            b"00400000-ffffffffff601000 ---p 00000000 00:00 0     [rollup]\nRss: 884 kB\n",
            "expected a mapping line, got '00400000-ffffffffff601000 ---p 00000000 00:00 0     [rollup]'",
            "this is smaps_rollup, one sum over all mappings: smaps is needed",
        ),
    ],
    ids=["program", "passwd", "empty line", "maps", "rollup", "rollup with vsyscall"],
)
def test_another_file_is_told_from_smaps(text: bytes, message: str, hint: str) -> None:
    """At its first byte, with what it probably is; none of them is a process without memory."""
    error = error_of(text)
    assert error is not None
    assert (error.message, error.hint, error.offset) == (message, hint, 0)


@pytest.mark.parametrize("again", [BLOCK, BLOCK.replace(b"3000 ", b"2000 "), BLOCK.replace(b"0000-", b"1000-")])
def test_a_mapping_that_comes_twice_is_not_counted_twice(again: bytes) -> None:
    """The same block again, or one that lies in it: ends only rise in a whole text."""
    error = error_of(BLOCK + again + BLOCK_2)
    assert error is not None
    assert error.message.startswith("mapping 7f00000")
    assert error.message.endswith(" ends no further than the one in front of it")
    assert error.offset == len(BLOCK)


def test_a_mapping_that_grew_is_kept() -> None:
    """The kernel prints it once more, with another end: the self-check says what that counts twice."""
    grown = BLOCK.replace(b"3000 ", b"4000 ")
    assert [block.header.end for block in read_process(BLOCK + grown)] == [0x7F0000003000, 0x7F0000004000]


@pytest.mark.parametrize(
    "tail",
    [
        b"7f01",
        b"7f0100000000-7f01000",
        b"7f0100000000-7f0100003000 rw-p 00000000 00:00 0",
        b"7f0100000000-7f0100003000 rw-p 00000000 00:00 0                  /usr/lib/lib",
        b"7f0100000000-7f0100003000 rw-p 00000000 00:00 0 \n",
        HEADER_2 + b"Si",
        HEADER_2 + b"Size:",
        HEADER_2 + b"Size:        ",
        HEADER_2 + b"Size:                 1",
        HEADER_2 + b"Size:                 12",
        HEADER_2 + b"Size:                 12 k",
        HEADER_2 + b"Size:                 12 kB",
        HEADER_2 + b"Size:                 12 kB\n",
        HEADER_2 + b"Size:                 12 kB\nRss:                   8 kB\nVmFlags: rd w",
    ],
)
def test_a_torn_tail_says_what_is_whole(tail: bytes) -> None:
    """Cut in the header, a field's name, its number, before the unit or the newline: where, and what came before."""
    error = error_of(BLOCK + tail)
    assert error is not None
    assert error.message == "cut off in the middle of a mapping, after 1 whole mapping"
    assert error.hint == "the process probably exited while it was read: read it again"
    assert error.offset == len(BLOCK)


def test_a_number_cut_short_in_the_only_mapping_is_no_smaller_number() -> None:
    """12 of 128 kB, and 1 of protection key 15: without a unit or a newline nobody can know."""
    for line in (b"Size:                 12", b"ProtectionKey:         1"):
        error = error_of(HEADER + line)
        assert error is not None
        assert error.message == "cut off in the middle of a mapping, after 0 whole mappings"


def test_every_cut_is_seen_but_those_that_leave_a_whole_text() -> None:
    """Cut anywhere behind the first mapping: torn, unless between mappings, or the last line's flags."""
    text = BLOCK + BLOCK_2
    errors = {size: error_of(text[:size]) for size in range(len(BLOCK) + 1, len(text))}
    seen = [error for error in errors.values() if error is not None]
    assert {error.message for error in seen} == {"cut off in the middle of a mapping, after 1 whole mapping"}
    assert {error.offset for error in seen} == {len(BLOCK)}
    unseen = [text[:size].rsplit(b"\n", 1)[-1] for size, error in errors.items() if error is None]
    assert unseen == [
        b"VmFlags:",
        b"VmFlags: ",
        b"VmFlags: rd",
        b"VmFlags: rd ",
        b"VmFlags: rd wr",
        b"VmFlags: rd wr ",
        b"VmFlags: rd wr mr",
        b"VmFlags: rd wr mr ",
    ]


def test_a_missing_last_newline_is_no_cut() -> None:
    """Editors and copies drop it. But then the last flags may lack some, so they are unknown."""
    first, last = read_process((BLOCK + BLOCK_2)[:-1])
    assert last.numbers == {"Size": 12, "Rss": 8}
    assert (first.flags, last.flags) == ("rd wr mr", None)


def test_the_last_block_of_a_text_begins_at_its_last_mapping_line() -> None:
    """Also when nothing but a piece of its address is left."""
    assert last_block_start(BLOCK + BLOCK_2[:-1]) == len(BLOCK)
    assert last_block_start(BLOCK + b"7f01") == len(BLOCK)
    assert last_block_start(b"no mapping\nat all") == 0


def test_a_signature_is_the_labels_of_the_first_block() -> None:
    """In order; the values, the paths and the further blocks play no part, nor does what lies outside the range."""
    assert signature(BLOCK, 0, len(BLOCK)) == b"Size:Rss:VmFlags:"
    other = HEADER.replace(b"0 \n", b"0   /a:b\n") + b"Size: 4 kB\nRss:\t9 kB\nVmFlags:\n" + HEADER_2 + b"Pss: 1 kB\n"
    assert signature(memoryview(b"junk" + other), 4, 4 + len(other)) == b"Size:Rss:VmFlags:"
    assert signature(other, other.index(HEADER_2), len(other)) == b"Pss:"


def test_signatures_differ_where_keys_do() -> None:
    """One key more, another order, or none at all: b"" for an empty text."""
    lines = (b"Size: 4 kB\n", b"Rss: 8 kB\n")
    texts = (HEADER + lines[0] + lines[1], HEADER + lines[1] + lines[0], HEADER + lines[0], b"")
    assert [signature(text, 0, len(text)) for text in texts] == [b"Size:Rss:", b"Rss:Size:", b"Size:", b""]


def test_flags_that_are_a_number_and_cut_are_an_error_of_the_text():
    """Found by fuzzing: a text that ends in `VmFlags: 7` is torn, and no TypeError."""
    with pytest.raises(SmapsError, match="cut off in the middle of a mapping"):
        read_process(b"00400000-00401000 r-xp 00000000 08:01 9 /bin/odd\nRss: 4 kB\nVmFlags: 7")
