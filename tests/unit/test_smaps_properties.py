"""Properties of any text: a kernel's, one cut anywhere, or random bytes.

The texts are made as kernels make them: the fields of a release in its order and widths, rising addresses, paths of any
bytes but newline. The reference parser is the specification; the block parser may differ in nothing but time.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from fleetpmap.smaps import parse, parse_processes
from smaps_paths import Row, assert_both_paths_agree, rows_of, spans_of

RECORDED = (Path(__file__).parents[1] / "data" / "smaps_texts" / "linux-6.18-sleep.smaps").read_bytes()

# The same texts on every machine and every run; no deadline, for a busy machine is no failure.
quick = settings(derandomize=True, deadline=None, max_examples=60)

CLASSIC = "Size Rss Shared_Clean Shared_Dirty Private_Clean Private_Dirty"
KERNEL_KEYS = {
    "2.6.14": CLASSIC,
    "3.2": "Size Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous AnonHugePages Swap "
    "KernelPageSize MMUPageSize Locked",
    "4.14": "Size KernelPageSize MMUPageSize Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced "
    "Anonymous LazyFree AnonHugePages ShmemPmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss Locked",
    "5.4": "Size KernelPageSize MMUPageSize Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced "
    "Anonymous LazyFree AnonHugePages ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss Locked "
    "THPeligible ProtectionKey",
    "6.18": "Size KernelPageSize MMUPageSize Rss Pss Pss_Dirty Shared_Clean Shared_Dirty Private_Clean Private_Dirty "
    "Referenced Anonymous KSM LazyFree AnonHugePages ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap "
    "SwapPss Locked THPeligible",
    "WSL1": "Size Rss Pss",
    "vendor": "Size Rss Pss HugePFNMap dirty_thing Swap.Zram Writeback",
}
WITHOUT_FLAGS = ("2.6.14", "3.2", "WSL1")
UNITLESS = ("THPeligible", "ProtectionKey")


@dataclass(frozen=True)
class Dump:
    """One process's text, and what it says."""

    text: bytes
    rows: list[Row]
    """Of process 0, the last one's flags as they were written."""
    starts: list[int]
    """Where each mapping's block begins in the text."""


addresses = st.integers(0, 2**20)
sizes = st.one_of(st.integers(1, 300), st.integers(1, 2**32))
numbers = st.one_of(
    st.just(0), st.integers(0, 9999), st.integers(0, 99_999_999), st.integers(99_999_990, 100_000_010),
    st.integers(10**9, 2**32),
)  # fmt: skip  # by the number of digits
tails = st.binary(max_size=40).map(lambda tail: tail.replace(b"\n", b"\\012").replace(b"\0", b""))
paths = st.one_of(
    st.just(b""),
    st.sampled_from(
        [b"[heap]", b"[anon:a b: c]", b"/usr/lib/libssl.so.3 (deleted)", b"/memfd:x (deleted)", b"/y" * 600]
    ),
    st.builds(bytes.__add__, st.sampled_from([b"/", b"[anon:", b"anon_inode:", b"/srv/a b\t"]), tails),
)
flags = st.lists(
    st.sampled_from(["rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "gd", "ac", "ht", "sd", "??", "zz"]), max_size=9
).map(" ".join)
places = st.tuples(
    st.sampled_from(["00:00", "fe:01", "103:0a2", "fffff:7"]),
    st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
    paths,
)  # fmt: skip  # device, inode, path


@st.composite
def dumps(draw: st.DrawFn, *, least: int = 0) -> Dump:
    """One process of one kernel: every block has the same lines."""
    kernel = draw(st.sampled_from(list(KERNEL_KEYS)))
    keys, has_flags = KERNEL_KEYS[kernel].split(), kernel not in WITHOUT_FLAGS
    label, width = draw(st.sampled_from([(16, 8), (14, 8), (14, 5), (1, 1)]))
    eligible = draw(st.sampled_from(["THPeligible:           {}", "THPeligible:\t\t{}", "THPeligible:    {}"]))
    address_width, column = draw(st.sampled_from([(8, 49), (8, 73), (12, 0)]))
    names_below = kernel == "4.14" and draw(st.booleans())
    text, rows, starts, end = b"", [], [], 0
    for _ in range(draw(st.integers(least, 6))):
        start = end + 4096 * draw(addresses)
        end = start + 4096 * draw(sizes)
        perms = draw(st.sampled_from(["r--p", "rwxs", "---p", "--xp"]))
        offset, (device, inode, path) = draw(st.sampled_from([0, 0x1F000, 0x1FFFFFF000])), draw(places)
        values = {key: draw(st.integers(0, 1) if key in UNITLESS else numbers) for key in keys}
        starts.append(len(text))
        place = f"{start:0{address_width}x}-{end:0{address_width}x} {perms} {offset:08x} {device} {inode} "
        text += place.encode().ljust(column if path else 0) + path + b"\n"
        if names_below and (path or draw(st.booleans())):
            path = path or b"[anon:" + draw(tails) + b"]"
            text += b"Name:           " + path + b"\n"
        for key, value in values.items():
            line = f"{key + ':':<{label}}{value:>{width}}" + ("" if key in UNITLESS else " kB")
            text += (eligible.format(value) if key == "THPeligible" else line).encode() + b"\n"
        words = draw(flags) if has_flags else None
        text += b"" if words is None else b"VmFlags: " + words.encode() + draw(st.sampled_from([b" ", b""])) + b"\n"
        as_text = path.decode("utf-8", "surrogateescape")
        rows.append((0, start, end, perms, offset, device, inode, as_text, words, values))
    return Dump(text, rows, starts)


def in_process(process: int, rows: list[Row]) -> list[Row]:
    return [(process, *row[1:]) for row in rows]


@quick
@given(st.lists(dumps(), max_size=5))
def test_what_a_kernel_wrote_is_what_is_read(written: list[Dump]) -> None:
    """Processes of several kernels in one buffer: every column of both paths is what went into the text."""
    texts = [dump.text for dump in written]
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    assert errors == {}
    assert rows_of(columns) == [row for slot, dump in enumerate(written) for row in in_process(slot, dump.rows)]
    assert_both_paths_agree(texts)


@quick
@given(dumps(least=1))
def test_a_missing_last_newline_costs_at_most_the_last_flags(dump: Dump) -> None:
    """They may lack some, so they are unknown; everything else is there."""
    text = dump.text.removesuffix(b"\n")
    *whole, (*last, _, values) = dump.rows
    assert rows_of(parse(text)) == [*whole, (*last, None, values)]
    assert_both_paths_agree([text])


@quick
@given(dumps(least=1), st.data())
def test_a_cut_is_an_error_or_whole_mappings(dump: Dump, data: st.DataObject) -> None:
    """Never a smaller number: an error that says how many mappings are whole, or those; what may be missing is null."""
    size = data.draw(st.integers(1, len(dump.text) - 1), label="cut at")
    text = dump.text[:size]
    block = max(slot for slot, start in enumerate(dump.starts) if start < size)
    assert_both_paths_agree([dump.text, text, dump.text])
    columns, errors = parse_processes(text, [(0, size)])
    if errors:
        noun = "mapping" if block == 1 else "mappings"
        said = {f"cut off in the middle of a mapping, after {block} whole {noun}"}
        assert errors[0].message in (said | {"a mapping without fields"} if block == 0 else said)
        assert errors[0].offset == dump.starts[block]
        return
    rows = rows_of(columns)
    assert len(rows) == block + 1
    assert rows[:-1] == dump.rows[:block]
    *head, words, values = rows[-1]
    *head_written, words_written, values_written = dump.rows[block]
    assert list(values.items()) == list(values_written.items())[: len(values)]
    assert len(values) == len(values_written) or block == 0
    assert words in (words_written, None)
    assert head[:-1] == head_written[:-1]
    assert head[-1] in (head_written[-1], "")  # a Name line behind the header may have been cut away


mutations = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.integers(0, 800),
        st.one_of(st.sampled_from([b"", b"\n", b" ", b"0", b"-", b"a", b":", b"\t", b" kB\n"]), st.binary(max_size=8)),
    ),
    max_size=4,
)


@quick
@given(mutations, st.integers(0, 3000), st.integers(0, 2000))
def test_a_damaged_text_is_read_alike_or_refused_alike(edits: list[tuple[int, int, bytes]], at: int, size: int) -> None:
    """Bytes replaced, removed and put in, a piece repeated: both paths, and nothing but SmapsError."""
    text = RECORDED[:3600]
    for begin, length, new in edits:
        text = text[:begin] + new + text[begin + length % 40 :]
    assert_both_paths_agree([RECORDED, text[: at + size] + text[at:], RECORDED])


@quick
@given(st.lists(st.one_of(st.binary(max_size=200), st.text("0af-: \nkBRs", max_size=200).map(str.encode)), max_size=4))
@example([b"00001000-00002000 r--p 00000000 00:00 0", b"\n", b"0" * 20])
@example([b"00001000-00002000 r--p 00000000 00:00 0 \n:\n"])
def test_any_bytes_are_read_alike_or_refused_alike(texts: list[bytes]) -> None:
    """Whatever a host sends for smaps."""
    assert_both_paths_agree(texts)


def mappings(size: int, *fields: bytes) -> bytes:
    """Mappings with these fields, one after the other and again."""
    blocks, length = [], 0
    while length < size:
        start = len(blocks) << 12
        header = b"%012x-%012x r--p 00000000 00:00 0 \n" % (start, start + 4096)
        blocks.append(header + fields[len(blocks) % len(fields)])
        length += len(blocks[-1])
    return b"".join(blocks)


LARGE = b"".join(b"K%03d:        %8d kB\n" % (key, 1) for key in range(250))
SHAPES = [b"K%c:%*d kB\n" % (97 + number % 26, 1 + number, 1) for number in range(64)]
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "headers alone": lambda size: mappings(size, b""),
    "one-line blocks": lambda size: mappings(size, b"Size: 4 kB\n"),
    "alternating templates": lambda size: mappings(size, *SHAPES),
    "a large template among small blocks": lambda size: mappings(size, LARGE, *[b"Mood: x\n"] * 2000),
    "long lines": lambda size: mappings(size, b"Mood: " + b"x" * 60_000 + b"\n"),
    "one line": lambda size: b"7" * size,
    "a last line without end": lambda size: mappings(1, b"Mood: ") + b" " * size,
    "newlines": lambda size: b"\n" * size,
    "lines of one digit": lambda size: b"0\n" * (size // 2),
    "dashes": lambda size: b"00000000-\n" * (size // 10),
    "one block of many lines": lambda size: mappings(1, b"".join(b"A%d: w\n" % line for line in range(size // 10))),
}


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.timed
def test_time_is_linear(shape: str) -> None:
    """Six times the text takes about six times as long, where a square would take thirty-six; nothing crashes."""
    small, large = (HOSTILE[shape](size) for size in (400_000, 2_400_000))
    # The large one is more than a window, so that both what is done in one and what is done over all of them shows.
    assert best_time(large) < 18 * best_time(small)


def best_time(text: bytes) -> float:
    """CPU seconds of the better of two: another process on the machine takes none of them."""
    times = []
    for _ in range(2):
        before = time.process_time()
        parse_processes(text, [(0, len(text))])
        times.append(time.process_time() - before)
    return min(times)


@pytest.mark.parametrize("shape", ["a large template among small blocks", "lines of one digit"])
def test_memory_is_bounded(shape: str) -> None:
    """A text made to take much takes a hundred times its size at most: in 2 MiB windows, whatever the text."""
    text = HOSTILE[shape](3_000_000)
    tracemalloc.start()
    try:
        parse_processes(text, [(0, len(text))])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(text)
