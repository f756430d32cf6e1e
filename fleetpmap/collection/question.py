"""The question that a run asks of every host.   command line, library ─► [question] ─► host, interpret"""

from __future__ import annotations

from dataclasses import dataclass, field

from fleetpmap.processes import Selection
from fleetpmap.transport import Secret, SshOptions
from fleetpmap.transport.secret import Redaction


@dataclass(frozen=True, slots=True)
class Question:
    """The processes to select on each host, the files of them to read, and the credentials to get there."""

    selection: Selection = field(default_factory=Selection)
    smaps: bool = True
    """False: list the processes that would be read, and read none."""
    rollups: bool = False
    """Also read smaps_rollup, for the self-check: the kernel walks each process's page tables a second time."""
    rollup_only: bool = False
    """Read smaps_rollup, one sum for each process, in the place of smaps, where a host's kernel has it."""
    ssh: SshOptions = field(default_factory=SshOptions)
    become_password: Secret | None = None
    """For hosts with `sudo` on which sudo requires a password."""

    own_pid: int | None = None
    """The process of the run, if another one asks for it; None: this process. It and its children never match."""

    @property
    def redaction(self) -> Redaction:
        """Removes the run's secrets from texts that hosts sent."""
        return Redaction.of([self.ssh.password, self.become_password, *self.ssh.passphrases.values()])
