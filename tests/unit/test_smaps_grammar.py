"""The mapping line, one at a time."""

from __future__ import annotations

import pytest

from fleetpmap.smaps.grammar import Header, Place, read_header


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (
            b"55f523c9f000-55f523cc1000 r-xp 00001000 08:02 5505067                    /sbin/cgmanager",
            Header(0x55F523C9F000, 0x55F523CC1000, "r-xp", 0x1000, Place("08:02", 5505067, "/sbin/cgmanager")),
        ),
        (
            b"08048000-08056000 r-xp 00000000 03:0c 64593      /sbin/rpc.statd",
            Header(0x8048000, 0x8056000, "r-xp", 0, Place("03:0c", 64593, "/sbin/rpc.statd")),
        ),
        (
            b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
            Header(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "--xp", 0, Place("00:00", 0, "[vsyscall]")),
        ),
        (
            b"7f0000000000-7f0000001000 rw-s 1f00000000 103:0a2 18446744073709551615 /dev/x",
            Header(
                0x7F0000000000, 0x7F0000001000, "rw-s", 0x1F00000000, Place("103:0a2", 18446744073709551615, "/dev/x")
            ),
        ),
        (
            b"7f0000000000-7f0000001000 ---p 00000000 00:00 0 ",
            Header(0x7F0000000000, 0x7F0000001000, "---p", 0, Place("00:00", 0, "")),
        ),
        (
            b"7f0000000000-7f0000001000 ---p 00000000 00:00 0",
            Header(0x7F0000000000, 0x7F0000001000, "---p", 0, Place("00:00", 0, "")),
        ),
    ],
    ids=["padded", "32-bit", "vsyscall", "wide", "no path", "no path, no space"],
)
def test_a_mapping_line_is_read(line: bytes, header: Header) -> None:
    """Widths and padding vary; the parts do not."""
    assert read_header(line) == header


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/srv/with two  spaces ", "/srv/with two  spaces "),
        (b"/srv/tab\there", "/srv/tab\there"),
        (b"/srv/new\\012line", "/srv/new\\012line"),
        (b"/srv/\xff\xfe", "/srv/\udcff\udcfe"),
        (b"/usr/lib/libssl.so.3 (deleted)", "/usr/lib/libssl.so.3 (deleted)"),
        (b"[anon:a b: c]", "[anon:a b: c]"),
    ],
)
def test_the_path_is_the_rest_of_the_line_as_it_is(raw: bytes, path: str) -> None:
    """Nothing of a path is split, trimmed or lost."""
    header = read_header(b"7f0000000000-7f0000001000 r--p 00000000 fe:01 393326                     " + raw)
    assert header is not None
    assert header.place.path == path


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Rss:                   4 kB",
        b"7f00000-7f00001000 r--p 00000000 fe:01 1",
        b"7f0000000000-7f0000001000 rwzp 00000000 fe:01 1",
        b"7f0000000000-7f0000001000 r--p 00000000 fe01 1",
        b"7f0000000000-7f0000001000 r--p 00000000 fe:01 18446744073709551616",
        b"7f0000000000-7f0000001000 r--p 00000000 fe:01 1\t/x",
        b"7F0000000000-7F0000001000 r--p 00000000 fe:01 1",
    ],
)
def test_another_line_is_no_mapping_line(line: bytes) -> None:
    """What is not wholly a mapping line is none."""
    assert read_header(line) is None
