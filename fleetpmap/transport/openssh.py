"""The system's ssh, in batch mode.   inventory.Host ─► [openssh] ─► pipes.PipeChannel

Used for what paramiko cannot do: GSSAPI, security keys, and other options of ssh_config. ssh reads its own
configuration; values of the inventory and the command line are passed as options, which take precedence. Each command
opens a connection of its own when it is run. A failing ssh exits with 255 and one sentence on stderr, which becomes the
error here.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from fleetpmap.errors import (
    AuthError,
    DeadlineError,
    ExhaustedError,
    HostError,
    HostKeyError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ResolveError,
    UnreachableError,
)
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport, printable
from fleetpmap.transport.bastions import Hop, Turn
from fleetpmap.transport.pipes import PipeChannel
from fleetpmap.transport.retry import FEWER_AT_ONCE, hung_up_early, jittered
from fleetpmap.transport.ssh_config import SshSettings

T = TypeVar("T")
_FAILED = 255
"""Exit status of ssh for its own failures; any other status is the command's."""
_GRACE_S = 0.5
"""Seconds to wait for the exit status: a failing ssh closes stdout a moment before it can be had."""


class OpensshTransport(Transport):
    """A way to one host by the system's ssh. It holds nothing open between commands."""

    def __init__(
        self,
        host: Host,
        settings: SshSettings,
        *,
        deadline: Deadline,
        options: SshOptions,
        hops: tuple[Hop, ...] = (),
        notes: tuple[str, ...] = (),
        instead_of: HostError | None = None,
        turn: Callable[[Deadline], Turn] = lambda _: Turn(),
    ) -> None:
        self._host = host
        self._settings = settings
        self._deadline = deadline
        self._options = options
        self._hops = hops
        self._notes = notes
        self._instead_of = instead_of
        self._turn = turn
        self._channels: list[_PatientChannel] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Reason for going this way."""
        return self._notes

    @property
    def is_root(self) -> bool:
        """True if ssh logs in as root."""
        return self._settings.user == "root"

    def run(self, command: str) -> Channel:
        """Start ssh. A failed connection shows at the first receive() or finish().

        Raises:
            RemoteError: this machine has no ssh.
        """

        def start(deadline: Deadline) -> _SshChannel:
            turn = self._turn(deadline)
            argv = [*arguments(self._host, self._settings, self._options, deadline, self._hops), command]
            try:
                channel = _SshChannel(argv, host=self._host.name, deadline=deadline)
            except BaseException:
                turn.over()
                raise
            channel.instead_of, channel.turn = self._instead_of, turn
            return channel

        channel = _PatientChannel(start, self._settings.retries, self._deadline)
        self._channels.append(channel)
        return channel

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline of the commands started from now on."""
        self._deadline = deadline

    def close(self) -> None:
        """End every ssh that still runs."""
        for channel in self._channels:
            channel.close()


def arguments(
    host: Host, settings: SshSettings, options: SshOptions, deadline: Deadline, hops: tuple[Hop, ...] = ()
) -> list[str]:
    """Return the ssh command line up to and including the host's name; `hops` are the bastions, nearest to us first."""
    seconds = min(host.connect_timeout_s or settings.connect_timeout_s, deadline.remaining())
    given = {
        "BatchMode": "yes",
        "LogLevel": "ERROR",  # only errors: stderr is searched for them
        "ConnectTimeout": str(max(1, round(seconds))),
        "ControlMaster": "no",  # an open master of the user's is used; none is left behind
        "ClearAllForwardings": "yes",  # a port forwarding of the user's would be refused a second time
        "RemoteCommand": "none",
        "PermitLocalCommand": "no",
        **_host_key_options(settings, options.known_hosts or host.known_hosts),
    }
    if host.identity_file:
        given["IdentitiesOnly"] = "yes"
    if hops and (options.known_hosts or options.host_key):
        given["ProxyCommand"] = _through(hops, options)
    elif host.proxy_jump:
        given["ProxyJump"] = host.proxy_jump
    return _ssh(host, given, options)


def _host_key_options(settings: SshSettings, known_hosts: tuple[str, ...]) -> dict[str, str]:
    given = {"StrictHostKeyChecking": "accept-new" if settings.accepts_new_keys else "yes"}
    if known_hosts:
        given["UserKnownHostsFile"] = " ".join(f'"{_path(path)}"' for path in known_hosts)
        given["GlobalKnownHostsFile"] = "none"
    return given


def _through(hops: tuple[Hop, ...], options: SshOptions) -> str:
    """Return a ProxyCommand that goes through these bastions with the same options for host keys.

    ssh goes through a ProxyJump by a command like this one, but passes on none of its own options but -F.
    """
    command = ""
    for hop in hops:
        given = {"BatchMode": "yes", "LogLevel": "ERROR"} | _host_key_options(hop.settings, options.known_hosts)
        if command:
            given["ProxyCommand"] = command
        # The ssh that runs the command replaces the tokens of its target, and turns `%%` into `%`.
        words = [word.replace("%", "%%") for word in _ssh(hop.host, given, options)]
        command = shlex.join([words[0], "-W", "[%h]:%p", *words[1:]])
    return command


def _ssh(host: Host, given: dict[str, str], options: SshOptions) -> list[str]:
    argv = ["ssh", "-T", "-a", "-x"]
    argv += ["-F", options.ssh_config] if options.ssh_config else []
    argv += [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
    argv += ["-l", host.user] if host.user else []
    argv += ["-p", str(host.port)] if host.port else []
    argv += [word for path in host.identity_file for word in ("-i", _path(path))]
    # After `--` a name that begins with a dash is a name, never an option such as -oProxyCommand.
    return [*argv, "--", host.address or host.name]


def _path(path: str) -> str:
    """Return a path for ssh: `%` doubled, and `~` expanded here, since ssh would take the passwd entry's home."""
    return str(Path(path).expanduser()).replace("%", "%%")


class _SshChannel(PipeChannel):
    """A command behind ssh; tells failures of ssh from failures of the command."""

    instead_of: HostError | None = None
    """Error of the built-in client. It is also the reason here if ssh fails without one of its own."""
    turn = Turn()
    """Place at the bastion; freed as soon as output arrives or the command ends."""
    _received = False

    def receive(self, until: bytes = b"") -> bytes:
        """Return the next piece of stdout (see Channel.receive)."""
        piece = super().receive(until)
        self.turn.over()
        self._received = self._received or bool(piece)
        if not piece:
            self._raise_if_failed(_GRACE_S)
        return piece

    def finish(self) -> int | None:
        """Return the command's exit status (see Channel.finish)."""
        status = super().finish()
        self.turn.over()
        self._raise_if_failed(0)
        return status

    def close(self) -> None:
        """End ssh (see Channel.close)."""
        self.turn.over()
        super().close()

    def _raise_if_failed(self, grace_s: float) -> None:
        until = time.monotonic() + grace_s
        while (ended := self._ended()) is None and time.monotonic() < until:
            self._wait("stderr", at_most_s=0.005)
        if ended is None or ended.si_status != _FAILED:
            return
        while self._wait("stderr", at_most_s=0):
            pass
        complaints = self.stderr.decode(errors="replace")
        error = classify(complaints, self._host, anything_came=self._received)
        if error and not self._received and hung_up_early(complaints):
            error.may_pass, error.hint = True, FEWER_AT_ONCE
        if error := error or (None if self._received else self.instead_of):
            raise error


class _PatientChannel(Channel):
    """A command behind ssh that is started again if the connection ended before the login.

    The next ssh is sent the same bytes as the one before. Once the command has printed anything, it is running and is
    never repeated.
    """

    def __init__(self, start: Callable[[Deadline], _SshChannel], retries: int, deadline: Deadline) -> None:
        self._start = start
        self._retries = retries
        self._deadline = deadline
        self._failures = 0
        self._sent: list[bytes] | None = []
        """Bytes sent so far, for a new ssh; None once the command runs."""
        self._asked = False
        """True if the last thing received was stderr alone, which may be a prompt of the command."""
        self._channel = start(deadline)

    def send(self, data: bytes) -> None:
        """Write all of `data` (see Channel.send)."""
        if self._asked:
            self._sent = None
        if self._sent is not None:
            self._sent.append(data)
        self._channel.send(data)

    def receive(self, until: bytes = b"") -> bytes:
        """Return the next piece of stdout (see Channel.receive)."""
        return self._patiently(lambda: self._channel.receive(until))

    def receive_any(self) -> bytes | None:
        """Return a piece of stdout, or None for stderr (see Channel.receive_any)."""
        piece = self._patiently(lambda: self._channel.receive_any())
        self._asked = piece is None
        return piece

    def finish(self) -> int | None:
        """Return the command's exit status (see Channel.finish)."""
        return self._patiently(lambda: self._channel.finish())

    @property
    def stderr(self) -> bytes:
        """Stderr of the latest ssh and its command."""
        return self._channel.stderr

    @property
    def deadline(self) -> Deadline:
        """The bound of every wait (see Channel.deadline)."""
        return self._deadline

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline (see Channel.renew)."""
        self._deadline = deadline
        self._channel.renew(deadline)

    def close(self) -> None:
        """End ssh (see Channel.close)."""
        self._channel.close()

    def _patiently(self, read: Callable[[], T]) -> T:
        while True:
            try:
                read_now = read()
            except HostError as error:
                self._start_again(error)
                continue
            if read_now:
                self._sent = None
            return read_now

    def _start_again(self, error: HostError) -> None:
        """Start another ssh if a further attempt can help.

        Raises:
            HostError: `error`, if none can.
        """
        self._failures += 1
        pause_s = jittered(self._failures)
        again = error.may_pass and self._failures <= self._retries and pause_s < self._deadline.remaining()
        if self._sent is None or not again:
            raise error
        self._channel.close()
        time.sleep(pause_s)
        self._channel = self._start(self._deadline)
        for data in self._sent:
            self._channel.send(data)


class _Complaint(NamedTuple):
    pattern: str
    error: type[HostError]
    stage: str
    hint: str


_LOST = _Complaint(
    r"closed by remote host|Broken pipe|Connection reset|not responding", UnreachableError, "read", "try again"
)
_CHANGED = _Complaint(
    r"has changed and you have requested strict",
    HostKeyError,
    "host-key",
    "if the host was set up anew, remove its line from known_hosts; if not, somebody may be listening in between",
)
_COMPLAINTS = (
    _Complaint("Could not resolve hostname", ResolveError, "dns", "check the name, or set address for this host"),
    _Complaint("Connection refused", RefusedError, "tcp", "is sshd running there, and on that port?"),
    _Complaint("timed out during banner exchange", DeadlineError, "banner", "is that the SSH port?"),
    _Complaint("timed out", DeadlineError, "tcp", "a firewall may drop packets; --connect-timeout gives it more time"),
    _Complaint(
        r"[Cc]ertificate invalid",
        HostKeyError,
        "host-key",
        "the certificate is the host's: have it signed anew (ssh-keygen -s), or correct the clocks",
    ),
    _Complaint(
        r"REVOKED HOST KEY|revoked by file|marked as revoked|is revoked",
        HostKeyError,
        "host-key",
        "somebody withdrew that key: give the host a new one before you trust it",
    ),
    _CHANGED,
    _CHANGED._replace(pattern="REMOTE HOST IDENTIFICATION"),  # the frame of the warning, which names no host
    _Complaint(
        r"No .* host key is known",
        HostKeyError,
        "host-key",
        "compare the host's key with known_hosts, or use --host-key accept-new for a host that is new",
    ),
    _Complaint(  # alone, it is that of a bastion: LogLevel reaches only the ssh to the host
        "Host key verification failed",
        HostKeyError,
        "host-key",
        "the key of a bastion on the way is unknown, or has changed: run ssh to it by hand, or give --known-hosts or "
        "--host-key, which hold for bastions too",
    ),
    _Complaint(
        r"Permission denied \(.*(password|keyboard-interactive)",
        AuthError,
        "auth",
        'the system\'s ssh is given no password (batch mode): give it a key, or set transport = "ssh" for --ask-pass',
    ),
    _Complaint(
        r"Permission denied \(|Too many authentication failures",
        AuthError,
        "auth",
        "run ssh to it by hand, or set user/identity_file for this host in inventory.toml",
    ),
    _Complaint(
        "Not allowed at this time",
        ProtocolError,
        "banner",
        "its sshd shuts this address out for a while after failed logins (PerSourcePenalties): wait some minutes",
    ),
    _Complaint(
        r"channel \d+: open failed",
        RemoteError,
        "exec",
        "see MaxSessions (0 allows no command at all) and the account's restrictions in the host's sshd_config",
    ),
    _Complaint(
        "Too many open files",
        ExhaustedError,
        "tcp",
        "this machine has no descriptor left: raise the limit (`ulimit -n`), or ask fewer hosts at a time with --jobs",
    ),
    _Complaint(
        r"exchange_identification|Bad remote protocol version|no matching|Bad packet length",
        ProtocolError,
        "banner",
        "check the port; an sshd with too many new connections (MaxStartups), or that shuts this address out for a "
        "while (PerSourcePenalties), hangs up like this too",
    ),
    _LOST,
)


def classify(stderr: str, host: str, *, anything_came: bool) -> HostError | None:
    """Return the failure that ssh, after exit status 255, reports on stderr; None if 255 is the command's own status.

    Once output has come, ssh only reports the loss of the connection; all other text is the command's.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for complaint in (_LOST,) if anything_came else _COMPLAINTS:
        for line in lines:
            if re.search(complaint.pattern, line):
                # The file and the line of the key that was expected.
                line = " ".join([line, *(f"({other})" for other in lines if other.startswith("Offending "))][:2])
                return complaint.error(
                    f"ssh: {printable(line.removeprefix('ssh: '))}",
                    host=host,
                    stage=complaint.stage,
                    hint=complaint.hint,
                )
    if anything_came or not lines:
        return None
    return UnreachableError(f"ssh: {printable(lines[-1])}", host=host, stage="tcp", hint="run ssh to it by hand")
