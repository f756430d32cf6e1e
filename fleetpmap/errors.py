"""The tree of errors.   [errors] ─► everything

    FleetpmapError                  message, hint
    ├── UsageError                  an option, a regex, a node set, a column: exit 2
    │   └── InventoryError          every mistake of one inventory file, each with its address
    ├── SmapsError                  a text that is not smaps, or is torn: byte offset
    └── HostError                   one host gave no reply: host, stage, and the status it gets
        ├── ResolveError            dns
        ├── RefusedError            refused
        ├── UnreachableError        unreachable
        ├── DeadlineError           timeout
        ├── HostKeyError            host-key
        ├── AuthError               auth
        ├── SudoError               sudo
        ├── ProtocolError           protocol
        ├── RemoteError             remote-error
        ├── AmbiguousError          remote-error: the selection means one of two there
        ├── ConfigError             error: a setting of this host alone
        ├── ExhaustedError          error: this machine has no descriptor or memory left
        └── UnexpectedError         error: a bug

The class places the blame, the attributes hold the facts, `message` is one sentence of what and where, and `hint` says
what to do. A HostError becomes a value in a snapshot (the host's failure); every other error ends the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


class FleetpmapError(Exception):
    """Root of the tree: one sentence of what and where, and a hint what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


_MOST_MISTAKES = 10
"""Mistakes of a file that a message names."""


class UsageError(FleetpmapError):
    """The command or the call is wrong: exit status 2."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file: what is wrong, and the address of the place (`hosts.web-03.port`)."""

    what: str
    address: str

    def __str__(self) -> str:
        return f"{self.what} - at {self.address}" if self.address else self.what


class InventoryError(UsageError):
    """An inventory that cannot be used; `mistakes` holds all of them, in the file's order.

    The message names the first ones, and counts the others.
    """

    def __init__(self, path: str, mistakes: tuple[Mistake, ...], *, hint: str = "") -> None:
        lines = [f"{path}: {mistake}" for mistake in mistakes[:_MOST_MISTAKES]]
        lines += [f"{path}: {more} more like these"] if (more := len(mistakes) - _MOST_MISTAKES) > 0 else []
        super().__init__("\n".join(lines), hint=hint)
        self.path = path
        self.mistakes = mistakes


class SmapsError(FleetpmapError):
    """A text that is not smaps or was torn; `offset` is the byte where the first bad line or block begins."""

    def __init__(self, message: str, *, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.offset = offset


class HostError(FleetpmapError):
    """A host gave no reply.

    `stage` is the step that failed: config, bastion, dns, tcp, banner, kex, host-key, auth, exec, sudo, list or
    read; `ask` if it is unknown which of them.
    """

    status: ClassVar[str]
    """The host's status in every report."""
    said = ""
    """Other output of the host than the probe's (a banner, a login script's output, stderr) up to the failure."""
    traceback = ""
    """Stack trace of an unexpected error; empty for an expected one."""
    may_pass = False
    """True if a second attempt may succeed: the host hung up before the login, or the resolver was busy."""

    openssh_can = ""
    """Ability of the system's ssh that the built-in client lacks and that may help here, as a clause (`knows older
    algorithms`). Empty if ssh would get no further."""

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
    """The host was not asked: the run was interrupted, or its time was over."""

    status = "not-asked"


class ResolveError(HostError):
    """The name has no address."""

    status = "dns"


class RefusedError(HostError):
    """The host is up, but nothing listens on that port."""

    status = "refused"


class UnreachableError(HostError):
    """No way to the host, or the connection broke."""

    status = "unreachable"


class DeadlineError(HostError):
    """The host's time is used up; `stage` is the step that it was used up in."""

    status = "timeout"


class HostKeyError(HostError):
    """The host's key is unknown, changed or revoked."""

    status = "host-key"


class AuthError(HostError):
    """The host key is right, but the login was rejected."""

    status = "auth"


class SudoError(HostError):
    """The login succeeded, but sudo refused."""

    status = "sudo"
    needs: Literal["", "password", "program"] = ""
    """Remedy: a password if sudo asks for one, another program if there is no sudo; empty if there is none."""


class ProtocolError(HostError):
    """The reply is not in the wire format, or is cut off."""

    status = "protocol"


class RemoteError(HostError):
    """The host could not run the probe."""

    status = "remote-error"


class AmbiguousError(HostError):
    """A text of the selection, which has to mean one container or pod of the host, fits two."""

    status = "remote-error"


class ConfigError(HostError):
    """A setting of this host alone cannot be used, such as an unset variable in its part of ssh_config."""

    status = "error"


class ExhaustedError(HostError):
    """This machine has no more descriptors, processes or memory for the program; nothing is wrong with the host."""

    status = "error"


class UnexpectedError(HostError):
    """An unexpected exception was raised for this host: a bug of fleetpmap or of a library."""

    status = "error"
