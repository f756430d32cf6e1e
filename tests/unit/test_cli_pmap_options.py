"""pmap's letters: which go together, what -A means, and which locale it is."""

from __future__ import annotations

import pytest

from fleetpmap.cli.options import ShowOptions
from fleetpmap.cli.pmap_options import is_utf8, letters_from
from fleetpmap.errors import UsageError

HIGHEST = 0xFFFF_FFFF_FFFF_FFFF


def _range(text: str) -> tuple[int, int]:
    letters = letters_from(ShowOptions(range=text), on_terminal=False)
    return letters.low, letters.high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("7f", 0x7F, 0x7F),
        ("7f,80", 0x7F, 0x80),
        ("7f,", 0x7F, HIGHEST),
        (",80", 0, 0x80),
        (",", 0, HIGHEST),
        ("0x7F,0X80", 0x7F, 0x80),
        ("80,7f", 0x80, 0x7F),
        ("0,ffffffffffffffff", 0, HIGHEST),
    ],
)
def test_range(text: str, low: int, high: int):
    """Hex, as pmap reads it: one address is a range of itself, and an end left out is open."""
    assert _range(text) == (low, high)


@pytest.mark.parametrize("text", ["zz", "7f,80,90", "-1", " 7f", "7f,8g", "0x", "10000000000000000", "٧"])
def test_what_is_no_range(text: str):
    """The part that is wrong is named, with an example."""
    with pytest.raises(UsageError, match="is not an address") as error:
        _range(text)
    assert "-A 7f0000000000,7fffffffffff" in error.value.hint


@pytest.mark.parametrize(
    ("letters", "named"),
    [
        ({"extended": True, "wide": 1}, "-x and -X"),
        ({"extended": True, "device": True}, "-x and -d"),
        ({"wide": 2, "device": True}, "-X and -d"),
    ],
)
def test_formats_exclude_each_other(letters: dict, named: str):
    """As they do in pmap."""
    with pytest.raises(UsageError, match=f"{named} exclude each other") as error:
        letters_from(ShowOptions(**letters), on_terminal=False)
    assert error.value.hint == "keep one of them"


@pytest.mark.parametrize(
    ("letters", "format_"),
    [
        ({}, "plain"),
        ({"wide": 1}, "wide"),
        ({"wide": 2}, "widest"),
        ({"wide": 3}, "widest"),
        ({"device": True}, "device"),
    ],
)
def test_formats(letters: dict, format_: str):
    """-X counts; more than twice is twice."""
    assert letters_from(ShowOptions(**letters), on_terminal=False).format == format_


@pytest.mark.parametrize(
    ("environment", "utf8"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8", "LC_ALL": ""}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "POSIX"}, False),
        ({"LANG": "not_INSTALLED.UTF-8"}, False),
        ({}, False),
    ],
)
def test_locale(environment: dict[str, str], utf8: bool):
    """LC_ALL before LC_CTYPE before LANG; none, or one that is not installed, is the C locale."""
    assert is_utf8(environment) is utf8
