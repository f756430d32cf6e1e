"""A host that hangs until the worker that asks it is killed.   sshd ─► [stuck_host] ─► tests of workers"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from bounded import wait_until
from fleetpmap.inventory import Host
from sshd import Sshd

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"


def stuck(server: Sshd, directory: Path, *, times: int) -> Host:
    """A host that hangs the first times that it is asked, with a line in `logins` for each time."""
    logins = directory / "logins"
    script = f"""
echo >> {logins}
[ "$(wc -l < {logins})" -gt {times} ] || exec sleep 600
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
    host = server.forced(f"stuck-{directory.name}", "/bin/sh", script)
    return server.host(
        "stuck", identity_file=host.identity_file, proc_root=str(FAKE_PROC / "web-01"), address=server.addresses[-1]
    )


def login_count(directory: Path) -> int:
    logins = directory / "logins"
    return logins.read_text().count("\n") if logins.exists() else 0


def kill_askers(directory: Path, times: int, askers: Callable[[], list[int]]) -> None:
    """Kill the worker whose host hangs, once the others have nothing to do; so many times.

    `askers`: the pids of the workers that are connected to a host, one for each connection.
    """
    for number in range(1, times + 1):
        wait_until(lambda number=number: login_count(directory) == number)
        wait_until(lambda: len(askers()) == 1)
        os.kill(askers()[0], signal.SIGKILL)
