"""What can go wrong.   [errors] ─► everything

    FleetpmapError                  message, hint
    ├── UsageError                  an option, a regex, a node set, a column: exit 2
    │   └── InventoryError          every mistake of one inventory file, each with its address
    ├── SmapsError                  a text that is not smaps, or is torn: byte offset
    └── HostError                   one host could not be asked: host, stage, and the status it gets
        ├── ResolveError            dns
        ├── RefusedError            refused
        ├── UnreachableError        unreachable
        ├── DeadlineError           timeout
        ├── HostKeyError            host-key
        ├── AuthError               auth
        ├── SudoError               sudo
        ├── ProtocolError           protocol
        ├── RemoteError             remote-error
        ├── ConfigError             error: a setting of this host alone
        ├── ExhaustedError          error: this machine has no descriptor or memory left
        └── UnexpectedError         error: a bug

The class says whose fault it is, the attributes hold the facts, `message` is one sentence of what and where, and `hint`
what to do. A HostError is a value in a snapshot (the host's failure); everything else ends the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


class FleetpmapError(Exception):
    """The root of the tree: one sentence of what and where, and what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(FleetpmapError):
    """The user asked for something that cannot be: exit status 2."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file: what is wrong, and the address of the place (`hosts.web-03.port`)."""

    what: str
    address: str

    def __str__(self) -> str:
        return f"{self.what} - at {self.address}" if self.address else self.what


class InventoryError(UsageError):
    """An inventory that cannot be used; `mistakes` holds all of them, in the file's order."""

    def __init__(self, path: str, mistakes: tuple[Mistake, ...], *, hint: str = "") -> None:
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in mistakes), hint=hint)
        self.path = path
        self.mistakes = mistakes


class SmapsError(FleetpmapError):
    """A text that is not smaps or was torn; `offset` is the byte where the first bad line or block begins."""

    def __init__(self, message: str, *, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class HostError(FleetpmapError):
    """A host could not be asked.

    `stage` is the step that failed: config, dns, tcp, banner, kex, host-key, auth, exec, sudo, list or read; `ask`
    where it is one of these and not known which.
    """

    status: ClassVar[str]
    """The host's status in every report."""
    said = ""
    """What the host printed that is not ours (a banner, a login script, stderr), where the failure came in between."""
    traceback = ""
    """Where in the code it came up; empty for what is known to happen."""
    may_pass = False
    """Whether the same may go well in a moment: the host hung up before anybody logged in, or the resolver was busy."""

    openssh_can = ""
    """What the system's ssh does that the built-in client does not, where that may get us in, as `knows older
    algorithms`. Empty: it would not get further either."""

    def __init__(self, message: str, *, host: str, stage: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.stage = stage

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive Exception's own pickling, and a process pool sends errors back.
        return (_rebuild, (type(self), self.message, self.host, self.stage, self.hint), self.__dict__)


def _rebuild(kind: type[HostError], message: str, host: str, stage: str, hint: str) -> HostError:
    return kind(message, host=host, stage=stage, hint=hint)


class NotAskedError(HostError):
    """The host had no turn: the run was interrupted, or its time was over."""

    status = "not-asked"


class ResolveError(HostError):
    """The name has no address."""

    status = "dns"


class RefusedError(HostError):
    """The host answers, but nothing listens on that port."""

    status = "refused"


class UnreachableError(HostError):
    """No way to the host, or the connection broke."""

    status = "unreachable"


class DeadlineError(HostError):
    """The host's time is used up; `stage` says where it went."""

    status = "timeout"


class HostKeyError(HostError):
    """The host's key is unknown, changed or revoked."""

    status = "host-key"


class AuthError(HostError):
    """The host is the right one and lets us not in."""

    status = "auth"


class SudoError(HostError):
    """Logged in, but sudo says no."""

    status = "sudo"
    needs: Literal["", "password", "program"] = ""
    """What could help: a password that sudo asks for, or another program where there is no sudo."""


class ProtocolError(HostError):
    """What came back is not the wire format, or not all of it."""

    status = "protocol"


class RemoteError(HostError):
    """The far side could not run the probe."""

    status = "remote-error"


class ConfigError(HostError):
    """A setting that concerns this host alone cannot be used, as an unset variable in its part of ssh_config."""

    status = "error"


class ExhaustedError(HostError):
    """This machine gave the program no more descriptors, processes or memory: nothing is wrong with the host."""

    status = "error"


class UnexpectedError(HostError):
    """An exception that nothing here expects came up at this host: a bug of ours or of a library."""

    status = "error"
