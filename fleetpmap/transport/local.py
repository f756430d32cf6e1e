"""This machine, without SSH.   inventory.Host ─► [local] ─► pipes.PipeChannel

The command runs as we are, with our environment, in a session of its own; no shell reads it.
"""

from __future__ import annotations

import os
import shlex

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Channel, Deadline, Transport
from fleetpmap.transport.pipes import PipeChannel


class LocalTransport(Transport):
    """A way to this machine. Holds nothing open between commands."""

    def __init__(self, host: Host, *, deadline: Deadline) -> None:
        self._host = host
        self._deadline = deadline
        self._channels: list[PipeChannel] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing to tell."""
        return ()

    @property
    def is_root(self) -> bool:
        """Whether we are root."""
        return os.geteuid() == 0

    def run(self, command: str) -> Channel:
        """Start `command`.

        Raises:
            RemoteError: there is no such program.
        """
        channel = PipeChannel(shlex.split(command), host=self._host.name, deadline=self._deadline)
        self._channels.append(channel)
        return channel

    def renew(self, deadline: Deadline) -> None:
        """Give the commands started from now on another deadline."""
        self._deadline = deadline

    def close(self) -> None:
        """End every command that still runs."""
        for channel in self._channels:
            channel.close()
