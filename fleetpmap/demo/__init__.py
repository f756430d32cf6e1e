"""A small fleet on this machine: recorded hosts behind SSH servers of our own.   tests/fake_proc ─► [demo] ─► Inventory

The hosts are the tests' recorded trees (in a wheel: the same files, put beside this one at build). Their servers run in
this process, and the way to them is the real one: SSH, the probe, the wire format. Needs sh, grep and tail, no sshd.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetpmap.errors import FleetpmapError
from fleetpmap.inventory.hosts import Inventory

_DENIED = "smaps.denied"


def trees() -> Path:
    """The directory of the recorded hosts.

    Raises:
        FleetpmapError: neither in the package nor in a checkout around it.
    """
    package = Path(__file__).parent
    for place in (package / "fake_proc", package.parents[1] / "tests" / "fake_proc"):
        if place.is_dir():
            return place
    raise FleetpmapError(
        f"the demo's recorded hosts are not in {package}",
        hint="install fleetpmap again from a wheel, or run the demo from a checkout",
    )


def lay_out(recorded: Path, directory: Path) -> tuple[str, ...]:
    """Copy recorded hosts to `directory` and make unreadable there what could not be read; the hosts' names, in order.

    What marks such a process is a file `smaps.denied` in place of its smaps. In the copy its smaps is a socket that
    nobody may read: open() fails for everybody, for root too, whom the mode alone would not stop, and yet the file is
    there. That is what the probe calls denied.
    """
    shutil.copytree(recorded, directory, dirs_exist_ok=True)
    for mark in tuple(directory.glob(f"*/[0-9]*/{_DENIED}")):
        os.mknod(mark.with_name("smaps"), stat.S_IFSOCK)
    return tuple(sorted(place.parents[2].name for place in directory.glob("*/sys/kernel/osrelease")))


@contextmanager
def demo_fleet(recorded: Path) -> Iterator[Inventory]:
    """An SSH server for each recorded host, as an inventory; all of it is gone afterwards."""
    from fleetpmap.demo.server import serve  # paramiko takes 0.2 s to import: only who runs the demo pays

    with tempfile.TemporaryDirectory(prefix="fleetpmap-demo-") as directory:
        names = lay_out(recorded, Path(directory))
        with serve({name: str(Path(directory, name)) for name in names}) as inventory:
            yield inventory


@contextmanager
def demo_inventory() -> Iterator[Inventory]:
    """The fleet of `fleetpmap demo`: web-01, web-02 and web-03."""
    with demo_fleet(trees()) as inventory:
        yield inventory
