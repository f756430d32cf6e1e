"""Feed whole parquet files with changed bytes to the parquet reader, each in a child process as `show` has it.

    python tests/support/fuzz_parquet.py [INPUTS] [SEED]

The reader may abort or use up its memory: then the child is killed, and `show` says so. Here that is counted. A
fault is an exception outside our tree, or a child that neither the limits nor the reader ends.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import polars as pl

from fleetpmap.cli.confined import Limits, limited
from fleetpmap.errors import UsageError
from fleetpmap.snapshot_file import load_snapshot, write_snapshot
from fleetpmap.snapshot_file.parquet import SHA256
from fuzzing import mutated
from snapshots import small_fleet

_LIMITS = Limits(memory=512 << 20, cpu_s=5, wait_s=30)
_OUTSIDE = 70


def _unsealed() -> bytes:
    """A snapshot's file without a checksum, which would refuse every change."""
    file, bare = io.BytesIO(), io.BytesIO()
    write_snapshot(small_fleet(), file)
    file.seek(0)
    metadata = {key: text for key, text in pl.read_parquet_metadata(file).items() if key.startswith("fleetpmap")}
    del metadata[SHA256]
    file.seek(0)
    pl.read_parquet(file).write_parquet(bare, metadata=metadata, compression="uncompressed")
    return bare.getvalue()


def _child(path: Path) -> int:
    """The exit code of a child that reads the file."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    code = _OUTSIDE
    try:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a device
            os.dup2(nothing.fileno(), 2)
        with limited(_LIMITS), contextlib.suppress(UsageError, MemoryError):
            load_snapshot(path)
            os._exit(0)
        code = 2
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
    finally:
        os._exit(code)


def main(inputs: str = "200", seed: str = "1") -> int:
    """Read so many files, and print what became of them."""
    # In a process of its own: to write a file starts threads, and no fork may come after that.
    seeds = Path(tempfile.mkdtemp(prefix="fleetpmap-fuzz-")) / "seed"
    if os.fork() == 0:
        seeds.write_bytes(_unsealed())
        os._exit(0)
    os.wait()
    whole = seeds.read_bytes()
    path = seeds.with_name("snapshot.parquet")
    path.write_bytes(whole)
    if _child(path) != 0:
        print("the whole file is not read")
        return 1
    rng = random.Random(int(seed))
    ends: Counter[str] = Counter()
    for _ in range(int(inputs)):
        # Most of what is fragile is the footer.
        head = rng.choice((0, len(whole) - 12_000, len(whole) - 500))
        path.write_bytes(whole[:head] + mutated(rng, (whole[head:],), (b"\0", b"\xff\xff\xff\xff\x0f", b"\x15")))
        code = _child(path)
        ends[signal.Signals(-code).name if code < 0 else {0: "read", 2: "refused"}.get(code, "outside")] += 1
        if code == _OUTSIDE:
            path.rename(seeds.with_name("outside.parquet"))
            print(f"kept in {seeds.with_name('outside.parquet')}")
            break
    print(dict(ends))
    return 1 if ends["outside"] or ends["SIGALRM"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
