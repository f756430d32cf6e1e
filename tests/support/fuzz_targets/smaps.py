"""Texts of processes, by both parsers: they give the same columns, or refuse with the same words.

A call of the fast parser costs half a millisecond, so several inputs are parsed in one call, as those of a host are.
"""

from __future__ import annotations

from smaps_paths import assert_both_paths_agree

_FIELDS = b"Rss:                   4 kB\nTHPeligible:    0\nVmFlags: rd ex \n"
_ONE = b"00400000-00401000 r-xp 00000000 08:01 9                          /bin/odd\n" + _FIELDS
_TWO = b"7f0000000000-7f0000002000 rw-p 00000000 00:00 0 \n" + _FIELDS.replace(b" 4 kB", b"16 kB")
SEEDS = (
    _ONE,
    _ONE + _TWO,
    _ONE + _TWO,
    _ONE + _TWO.replace(b"THP", b"Name: [anon]\nTHP"),
)
WORDS = (
    *(
        b"\n",
        b" kB\n",
        b"Rss:",
        b"VmFlags: ",
        b"Name:",
        b"rd ",
        b"-",
        b":",
        b"/",
        b" (deleted)",
        b"[heap]",
        b"[rollup]",
    ),
    *(b"ffffffffff600000-ffffffffff601000", b"r-xp", b"\t", b"\xff", b"\x00", b"999999999999", _ONE, b"00400000-"),
)
_TOGETHER = 32
_LONG = 1 << 16
_texts: list[bytes] = []


def read(data: bytes) -> object:
    """Keep it until there are enough, and parse them both ways."""
    _texts.append(data)
    if len(_texts) < _TOGETHER and len(data) < _LONG:
        return None
    texts = _texts.copy()
    _texts.clear()
    try:
        assert_both_paths_agree(texts)
    except AssertionError:
        for text in texts:  # which one is it?
            assert_both_paths_agree([text])
        raise
    return texts
