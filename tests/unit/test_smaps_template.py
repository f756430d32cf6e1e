"""Blocks that look alike, read as one matrix."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.smaps.block_parser import Template, learn
from fleetpmap.smaps.text_buffer import Window

FIELDS = b"Size:                 12 kB\nRss:                   8 kB\nTHPeligible:\t\t0\nVmFlags: rd wr \n"


def read(template: Template, *texts: bytes) -> list[list[int] | None]:
    """Each text's numbers, None for one that does not fit."""
    window = Window()
    window.load(np.frombuffer(b"".join(texts), np.uint8), 0, sum(map(len, texts)))
    at = np.cumsum([0, *map(len, texts[:-1])])
    numbers, fits = template.read(window, at)
    return [column.tolist() if fit else None for column, fit in zip(numbers.T, fits, strict=True)]


def test_another_blocks_digits_are_read() -> None:
    """One template, learned from the first, reads them all."""
    template = learn(FIELDS)
    assert template is not None
    assert template.keys == ("Size", "Rss", "THPeligible")
    other = FIELDS.replace(b"      12 kB", b"99999999 kB").replace(b"\t0", b"\t1").replace(b"rd wr", b"rd")
    assert read(template, FIELDS, other) == [[12, 8, 0], [99999999, 8, 1]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Rss", b"Pss"),
        (b"8 kB", b"8 MB"),
        (b"12", b"1x"),
        (b"  12", b"1 12"),
        (b"      12", b"4294967296"),
        (b"\t\t0", b"\t 0"),
        (b"VmFlags", b"VmFlugs"),
    ],
)
def test_a_block_of_another_shape_does_not_fit(old: bytes, new: bytes) -> None:
    """Any byte that is not a value's digit counts, and so does one that should be."""
    template = learn(FIELDS)
    assert template is not None
    assert read(template, FIELDS, FIELDS.replace(old, new)) == [[12, 8, 0], None]


def test_a_narrow_column_is_read_beside_its_label() -> None:
    """Where fewer than eight characters are a value's, the label's must be the same."""
    template = learn(b"Size:   12 kB\nRss: 8 kB\n")
    assert template is not None
    assert template.last_key == "Rss"
    assert read(template, b"Size:  345 kB\nRss: 9 kB\n", b"Sice:   12 kB\nRss: 8 kB\n") == [[345, 9], None]


def test_a_template_is_learned_once_for_all_texts_of_its_outline() -> None:
    """Other digits change nothing; another label does, also where it differs in a digit, and so does VmFlags."""
    assert learn(FIELDS) is learn(FIELDS.replace(b" 12 kB", b"345 kB").replace(b"rd wr", b"ex"))
    texts = [b"Node%d:      12 kB\nRss:         8 kB\n" % node for node in (1, 2)]
    texts += [FIELDS, FIELDS.replace(b"Rss", b"Pss"), FIELDS[: FIELDS.index(b"VmFlags")]]
    templates = [learn(text) for text in texts]
    assert [template and (*template.keys, template.last_key) for template in templates] == [
        ("Node1", "Rss", "Rss"),
        ("Node2", "Rss", "Rss"),
        ("Size", "Rss", "THPeligible", "VmFlags"),
        ("Size", "Pss", "THPeligible", "VmFlags"),
        ("Size", "Rss", "THPeligible", "THPeligible"),
    ]


def test_lines_of_several_lengths() -> None:
    """Values that stand at no equal distances are each read from their own place."""
    fields = (
        b"Size:            1 kB\nRss:             2 kB\nPss:       3 kB\nSwap:          4 kB\nLocked:        5 kB\n"
    )
    template = learn(fields)
    assert template is not None
    assert read(template, fields) == [[1, 2, 3, 4, 5]]


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"VmFlags: rd \n",
        b"Size: 123456789 kB\n",
        b"Name:      [anon:x]\nSize:      12 kB\n",
        b"Size:      12 kB\nVmFlags: rd \nRss:       8 kB\n",
        b"Size:      12 kB\nSize:      12 kB\n",
        b"Name:      12\nSize:      12 kB\n",
        b"Size:      12 kB",
        b"S: 1\n",
    ],
)
def test_no_template_for_other_shapes(fields: bytes) -> None:
    """Nine digits, words, a key twice, a key behind VmFlags, a cut: the general path's work."""
    assert learn(fields) is None
