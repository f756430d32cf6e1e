"""A small fleet on this machine: recorded hosts behind SSH servers.   tests/fake_proc ─► [demo] ─► Inventory

The hosts are the recorded trees of the tests (in a wheel: the same files, put beside this one at build). Their SSH
servers run in this process, and hosts are read as in any run: SSH, the probe, the wire format. Needs sh, grep and tail,
but no sshd.
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
    """Return the directory of the recorded hosts.

    Raises:
        FleetpmapError: it is neither in the package nor in a checkout around it.
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
    """Copy recorded hosts to `directory`, with denied smaps made unreadable there. Return the hosts' names, in order.

    A file `smaps.denied` marks a process with an smaps that could not be opened. In the copy its smaps is a socket: it
    exists, and open() fails for every user, even for root, which a file mode would not stop. The probe reports such a
    process as denied.
    """
    shutil.copytree(recorded, directory, dirs_exist_ok=True)
    for mark in tuple(directory.glob(f"*/[0-9]*/{_DENIED}")):
        os.mknod(mark.with_name("smaps"), stat.S_IFSOCK)
    return tuple(sorted(place.parents[2].name for place in directory.glob("*/sys/kernel/osrelease")))


@contextmanager
def demo_fleet(recorded: Path) -> Iterator[Inventory]:
    """Run an SSH server for each recorded host and yield their inventory. The copies are removed afterwards."""
    from fleetpmap.demo.server import serve  # paramiko takes 0.2 s to import: only the demo has to wait for it

    with tempfile.TemporaryDirectory(prefix="fleetpmap-demo-") as directory:
        names = lay_out(recorded, Path(directory))
        with serve({name: str(Path(directory, name)) for name in names}) as inventory:
            yield inventory


@contextmanager
def demo_inventory() -> Iterator[Inventory]:
    """Run the fleet of `fleetpmap demo` and yield its inventory: web-01, web-02 and web-03."""
    with demo_fleet(trees()) as inventory:
        yield inventory
