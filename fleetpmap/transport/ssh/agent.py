"""The agent's keys.   IdentityAgent ─► [agent] ─► keys"""

from __future__ import annotations

import socket

from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from fleetpmap.transport.base import Deadline
from fleetpmap.transport.ssh.translate import FOREIGN


class Agent(AgentSSH):
    """The agent at a socket of our choice, under our deadline; paramiko's own knows only $SSH_AUTH_SOCK and no time."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        self._path = path
        self._deadline = deadline

    def fetch(self) -> tuple[AgentKey, ...]:
        """Its keys and certificates; none if there is no agent, or it does not answer as one."""
        if not self._path:
            return ()
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.settimeout(max(self._deadline.remaining(), 0.001))
            agent.connect(self._path)
            self._connect(agent)  # type: ignore[attr-defined]  # private, so not in the stubs
        except FOREIGN:
            agent.close()
        keys = self.get_keys()
        for key in keys:
            if "-cert-" in key.name:  # paramiko would send the bare key in the certificate's name
                key.public_blob = PublicBlob(key.name, key.blob)  # type: ignore[assignment]  # None is only its default
        return keys

    def close(self) -> None:
        """Let go of the socket."""
        self._close()  # type: ignore[attr-defined]  # private, so not in the stubs
