"""The fast path alone: which blocks it leaves to the general path."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fleetpmap.smaps.block_parser import Reader
from fleetpmap.smaps.text_buffer import Window

SLEEP = (Path(__file__).parents[1] / "data" / "smaps_texts" / "linux-6.18-sleep.smaps").read_bytes()
ODD = b"7f0000000000-7f0000003000 rw-p 00000000 00:00 0 \nName:    [anon:n]\nSize:         4294967296 kB\n"


def read_alone_count(text: bytes) -> int:
    """How many of the text's blocks took the general path."""
    window, reader = Window(), Reader()
    window.load(np.frombuffer(text, np.uint8), 0, len(text))
    reader.read(window, np.zeros(0, np.int64))
    return reader.read_alone_count


def test_no_block_of_a_real_process_is_read_alone() -> None:
    """37 mappings, VmFlags of several widths, with and without paths: one template."""
    assert read_alone_count(SLEEP) == 0


def test_processes_of_several_shapes_in_one_buffer() -> None:
    """Each shape gets a template; other labels at the same widths are another shape."""
    texts = [
        SLEEP,
        SLEEP.replace(b":  ", b": "),
        SLEEP.replace(b"KSM:", b"Ksm:"),
        SLEEP.replace(b"VmFlags", b"VmFlacks"),
    ]
    assert read_alone_count(b"".join(texts[:3])) == 0
    # The last has words where a template has VmFlags: 37 blocks that no template can read.
    assert read_alone_count(b"".join(texts)) == 37


def test_only_the_odd_blocks_are_read_alone() -> None:
    """Two of them cost the others nothing."""
    assert read_alone_count(SLEEP + ODD + SLEEP + ODD + SLEEP) == 2
