"""Feed a reader damaged input, and hold it to its promises.   fuzz_targets/NAME.py ─► [fuzzing] ─► test_fuzz

    python tests/support/fuzzing.py NAME [INPUTS] [SEED]

A target is a module of `fuzz_targets` with

    SEEDS           inputs that are valid, or nearly: bytes, short ones
    WORDS           (optional) what the format is made of: keywords, separators, numbers at the edge
    read(data)      reads one input; it may return anything and raise a FleetpmapError, and nothing else

Each input is a seed after one to six random changes. Every call is held to three seconds of CPU, and the whole process
to 200 MB more than it had before the first input. The first input that breaks a promise is printed, and kept in a file.
"""

from __future__ import annotations

import importlib
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from fleetpmap.errors import FleetpmapError

SLOWEST_S = 3.0
MEMORY = 200 << 20
LONGEST = 1 << 20
"""Bytes of the longest input: long enough to see a reader whose time grows with the square of its input."""
_KEPT = tempfile.gettempdir()
_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"4294967295", b"18446744073709551616", b"9" * 400, b"nan", b"1e999")


class Fuzzed(NamedTuple):
    """What a run came to."""

    inputs: int
    refused: int
    """Inputs that raised a FleetpmapError."""
    slowest_s: float
    """CPU seconds of the slowest input."""
    memory: int
    """Bytes by which the process's peak grew."""


class BrokenPromiseError(AssertionError):
    """An input that the target did not take as it should."""


def fuzz(target: ModuleType, inputs: int, seed: int) -> Fuzzed:
    """Give the target so many inputs.

    Raises:
        BrokenPromiseError: one raised something other than a FleetpmapError, or took too long, or too much memory.
    """
    read: Callable[[bytes], object] = target.read
    for valid in target.SEEDS:  # what is imported late and kept for ever is not the inputs' memory
        _refused(read, valid)
    peak = _peak()
    _limit_memory()
    rng = random.Random(seed)
    refused, slowest_s = 0, 0.0
    for number in range(inputs):
        data = mutated(rng, target.SEEDS, getattr(target, "WORDS", ()))
        began = time.thread_time()
        try:
            refused += _refused(read, data)
        except Exception as error:
            raise BrokenPromiseError(f"input {number}: {_kept(data)}") from error
        took_s = time.thread_time() - began
        slowest_s = max(slowest_s, took_s)
        if took_s > SLOWEST_S:
            raise BrokenPromiseError(f"input {number} took {took_s:.1f} s: {_kept(data)}")
    return Fuzzed(inputs, refused, slowest_s, _peak() - peak)


def mutated(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the seeds after one to six changes."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(_CHANGES)(rng, data, seeds, words)[:LONGEST]
    return data


def _place(rng: random.Random, data: bytes, longest: int = 64) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(0, longest))


def _flip(rng: random.Random, data: bytes, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, _ = _place(rng, data)
    return data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]


def _delete(rng: random.Random, data: bytes, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, stop = _place(rng, data)
    return data[:start] + data[stop:]


def _truncate(rng: random.Random, data: bytes, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _insert_word(rng: random.Random, data: bytes, _seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start, stop = _place(rng, data, 8)
    return data[:start] + rng.choice([*words, *_NUMBERS]) + data[rng.choice((start, stop)) :]


def _repeat(rng: random.Random, data: bytes, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, stop = _place(rng, data)
    times = rng.choice((2, 3, 50)) if rng.random() < 0.995 else LONGEST // max(1, stop - start)
    return data[:start] + data[start:stop] * times + data[stop:]


def _splice(rng: random.Random, data: bytes, seeds: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    start, _ = _place(rng, data)
    return data[:start] + other[rng.randint(0, len(other)) :]


_CHANGES = (_flip, _flip, _delete, _truncate, _insert_word, _insert_word, _repeat, _splice)


def _refused(read: Callable[[bytes], object], data: bytes) -> bool:
    try:
        read(data)
    except FleetpmapError:
        return True
    return False


def _kept(data: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="fleetpmap-fuzz-", dir=_KEPT, delete=False) as file:
        file.write(data)
    return f"{len(data)} bytes in {file.name}, {data[:300]!r}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _limit_memory() -> None:
    """What goes beyond the limit raises MemoryError, which breaks the promise."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(name: str, inputs: str = "100000", seed: str = "1") -> int:
    """Fuzz one target and print what it came to."""
    with tempfile.TemporaryDirectory(prefix="fleetpmap-fuzz-") as place:
        tempfile.tempdir = place  # for what a target writes
        target = importlib.import_module(f"fuzz_targets.{name}")
        try:
            found = fuzz(target, int(inputs), int(seed))
        except BrokenPromiseError as broken:
            traceback.print_exception(broken)
            return 1
    print(
        f"{name}: {found.inputs:,} inputs, {found.refused:,} refused, "
        f"slowest {found.slowest_s:.3f} s, {found.memory >> 20} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
