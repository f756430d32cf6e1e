"""Commands on this machine, without SSH.   inventory.Host ─► [local] ─► pipes.PipeChannel

A command runs with our user and environment, in a session of its own; no shell interprets it.
"""

from __future__ import annotations

import os
import shlex

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Channel, Deadline, Transport
from fleetpmap.transport.pipes import PipeChannel


class LocalTransport(Transport):
    """A way to this machine. It holds nothing open between commands."""

    def __init__(self, host: Host, *, deadline: Deadline) -> None:
        self._host = host
        self._deadline = deadline
        self._channels: list[PipeChannel] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Always empty."""
        return ()

    @property
    def is_root(self) -> bool:
        """True if fleetpmap itself runs as root."""
        return os.geteuid() == 0

    def run(self, command: str) -> Channel:
        """Start `command`.

        Raises:
            RemoteError: the program does not exist.
        """
        channel = PipeChannel(shlex.split(command), host=self._host.name, deadline=self._deadline)
        self._channels.append(channel)
        return channel

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline of the commands started from now on."""
        self._deadline = deadline

    def close(self) -> None:
        """End every command that still runs."""
        for channel in self._channels:
            channel.close()
