"""The bastions on the way to a host.   inventory.Host, ssh_config ─► [bastions: way, Bastions] ─► ssh

    way         the bastions of one host in order: `proxy_jump` and ProxyJump, resolved as ssh resolves them
    Bastions    one connection to each, shared by every host behind it

As in ssh, `-J a,b,c` means: connect to a, from there to b, from there to c, from there to the host. Each hop is looked
up in ssh_config by its own name; only the first hop follows its own ProxyJump or ProxyCommand.
"""

from __future__ import annotations

import contextlib
import copy
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Protocol, TypeVar, cast

from fleetpmap.errors import ConfigError, DeadlineError, HostError, UnreachableError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import Closing, Deadline, SshOptions, out_of_time, printable
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_config import tokens as ssh_tokens

_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^\s,]+)@)?"
    r"(?:\[(?P<ipv6>[\da-fA-F:.]+(?:%[\w.-]+)?)\]|(?P<name>[^\s,@:/\[\]-][^\s,@:/\[\]]*))(?::(?P<port>\d{1,5}))?/?"
)
"""`[user@]host[:port]` or `ssh://[user@]host[:port]`; an IPv6 address in brackets."""
_JUMP_HINT = "write [user@]host[:port], with commas between the hops; the tokens are %h, %n, %p and %r"
_OPENED_AT_MOST = 2
"""Connections that a run opens to one bastion at most: the second one if the first broke."""
_STARTUPS = 8
"""Hosts that may log in through one bastion at a time, each by a connection of its own. From ten pending logins on,
sshd's default MaxStartups refuses some."""
_TURN_S = 3.0
"""Upper bound of a turn in seconds. A connection that takes longer hangs elsewhere, and MaxStartups does not count
it."""
_RESOLVING = Lock()
"""Held while ssh is asked about a bastion: many hosts need few bastions at the same moment, and all but the first then
find the answer in the cache."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One bastion: a host of its own, with settings of its own."""

    host: Host
    """The bastion as a host, under its name in the jump."""
    settings: SshSettings

    @property
    def jump(self) -> str:
        """The hop in the form of ssh's -J."""
        name = f"[{self.settings.hostname}]" if ":" in self.settings.hostname else self.settings.hostname
        return f"{self.settings.user}@{name}:{self.settings.port}"


@dataclass(frozen=True, slots=True)
class Way:
    """The stations between this machine and a host; both fields are empty for a direct connection."""

    hops: tuple[Hop, ...] = ()
    """The bastions, nearest to us first."""
    proxy_command: str | None = None
    """Command that carries the first connection instead of TCP, its tokens not yet replaced."""

    @property
    def key(self) -> tuple[object, ...]:
        """Identity of the way: equal for two ways through the same bastions, even under different names."""
        return (self.proxy_command, *(hop.settings for hop in self.hops))

    def before(self) -> Way:
        """Return the way to the last of the hops."""
        return Way(self.hops[:-1], self.proxy_command)


class Connection(Protocol):
    """An open connection to a bastion, as Bastions keeps it."""

    def broke(self) -> HostError | None:
        """Return the reason why the connection is over, or None while it works."""

    def close(self) -> None:
        """Close the connection. Safe to call twice."""


def way(host: Host, settings: SshSettings, options: SshOptions) -> Way:
    """Return the way to a host, from the inventory or else from ssh_config. `proxy_jump = "none"` switches both off.

    Raises:
        UsageError: ssh rejects its configuration.
        HostError: a jump host is malformed, or the way is a circle.
    """
    jump, command = settings.proxy_jump, settings.proxy_command
    if host.proxy_jump:
        jump, command = host.proxy_jump, None
        if host.proxy_jump == "none":
            return Way()
    hops: tuple[Hop, ...] = ()
    passed = [Hop(host, settings)]
    while jump:
        jump = _expanded(jump, passed[-1], host)
        hops = (*(_hop(spec, host, options) for spec in jump.split(",")), *hops)
        passed.append(hops[0])
        if hops[0].jump in [hop.jump for hop in passed[:-1]]:
            raise _loop(host, passed)
        jump, command = hops[0].settings.proxy_jump, hops[0].settings.proxy_command
    return Way(hops, command)


def seen_from(host: str, error: HostError) -> HostError:
    """Return an error as this host's own.

    If it is a bastion's, the message names the bastion, with the same text for every host behind it.
    """
    if error.host == host:
        return error
    seen = type(error)(f"bastion {error.host}: {error.message}", host=host, stage=error.stage, hint=error.hint)
    seen.openssh_can = error.openssh_can
    return seen


def _expanded(jump: str, before: Hop, host: Host) -> str:
    """Replace the tokens and variables in a ProxyJump of `before`, a host or a hop; the `%` of an IPv6 zone is kept."""
    name, settings = before.host.address or before.host.name, before.settings
    tokens = {"%": "%", "h": settings.hostname, "n": name, "p": str(settings.port), "r": settings.user}
    try:
        pieces = re.split(r"(\[[^\]]*\])", jump)
        pieces[::2] = [ssh_tokens.expand(piece, tokens, variables=True) for piece in pieces[::2]]
    except ValueError as error:
        raise ConfigError(
            f'ProxyJump cannot be "{printable(jump)}": {error}', host=host.name, stage="config", hint=_JUMP_HINT
        ) from error
    return "".join(pieces)


def _hop(spec: str, host: Host, options: SshOptions) -> Hop:
    match = _JUMP.fullmatch(spec.strip())
    if match is None or not 0 < int(match["port"] or 22) < 65536:
        raise UnreachableError(
            f'"{printable(spec)}" is not a jump host', host=host.name, stage="config", hint=_JUMP_HINT
        )
    name, port = match["ipv6"] or match["name"], int(match["port"]) if match["port"] else None
    with _RESOLVING:
        settings = ssh_config.resolve(name, options, user=match["user"], port=port, host=host.name)
    # The inventory's user, port and keys are the host's, as ssh's -l, -p and -i are: a bastion has its own.
    return Hop(Host(name, user=match["user"], port=port, connect_timeout_s=host.connect_timeout_s), settings)


def _loop(host: Host, passed: list[Hop]) -> UnreachableError:
    names = " through ".join(hop.host.name for hop in passed)
    return UnreachableError(
        f"the jump hosts go round in a circle: {names}",
        host=host.name,
        stage="config",
        hint=f'set proxy_jump = "none" for {passed[-1].host.name}, or exclude it from the Host block of its ProxyJump',
    )


@dataclass(slots=True)
class _Shared:
    """One bastion: its connection once it is open, or the error that prevents one."""

    lock: Lock = field(default_factory=Lock)
    connection: Connection | None = None
    times_opened: int = 0
    error: HostError | None = None


class _Places:
    """The places of the hosts that connect through one bastion at the same time.

    A place is the monotonic time at which it was taken, in seconds.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken: list[float] = []
        self._changed = Condition()

    def take(self, at_most_s: float) -> float:
        """Wait for a free place, at most so long, and take one. Returns its time, the argument of leave()."""
        give_up = time.monotonic() + at_most_s
        with self._changed:
            while (now := time.monotonic()) < give_up and self._are_full(now):
                self._changed.wait(min(give_up, self._taken[0] + _TURN_S) - now)
            self._taken.append(time.monotonic())
            return self._taken[-1]

    def leave(self, taken: float) -> None:
        """Free that place; do nothing if it is free already."""
        with self._changed, contextlib.suppress(ValueError):
            self._taken.remove(taken)
            self._changed.notify()

    def _are_full(self, now: float) -> bool:
        self._taken = [taken for taken in self._taken if now - taken < _TURN_S]
        return len(self._taken) >= self._count


class Turn:
    """One host's place among those that connect through a bastion, from its construction on."""

    def __init__(self, places: _Places | None = None, at_most_s: float = 0.0) -> None:
        self._places = places
        self._taken = places.take(at_most_s) if places else 0.0

    def over(self) -> None:
        """Free the place for another host. Safe to call twice."""
        if self._places:
            self._places.leave(self._taken)


C = TypeVar("C", bound=Connection)


class Bastions(Closing):
    """The bastions of one run, each with a connection that all hosts behind it share.

    The first host that needs a bastion connects to it. A bastion that cannot be reached is not tried again: every host
    behind it gets the same error. Closing closes the connections. Pickling yields None, since a connection cannot
    follow into another process.
    """

    def __init__(self, processes: int = 1) -> None:
        """`processes`: the processes that share what a bastion allows, each with Bastions of its own."""
        self._startups = max(1, _STARTUPS // processes)
        self._lock = Lock()
        self._shared: dict[tuple[object, ...], _Shared] = {}
        self._opened: list[Connection] = []
        self._places: dict[str, _Places] = {}

    def turn(self, bastion: str, deadline: Deadline) -> Turn:
        """Wait until few hosts are connecting through this bastion, each by a connection of its own.

        Such hosts have a ProxyCommand or go by the system's ssh. The wait takes a third of the host's time at most; the
        host needs the rest.
        """
        with self._lock:
            places = self._places.setdefault(bastion, _Places(self._startups))
        return Turn(places, deadline.remaining() / 3)

    def connection(self, to: Way, connect: Callable[[], C], deadline: Deadline) -> C:
        """Return the connection to the last bastion of a way; `connect` opens it if there is none.

        Raises:
            HostError: the bastion cannot be reached, or was lost twice; its `host` is the bastion at fault.
        """
        bastion = to.hops[-1]
        with self._lock:
            shared = self._shared.setdefault(to.key, _Shared())
        if not shared.lock.acquire(timeout=deadline.remaining()):
            raise out_of_time(bastion.host.name, "tcp", deadline)
        try:
            return self._connected(shared, connect)
        except HostError as error:
            # What only ran out of this host's time says nothing about the bastion.
            if not isinstance(error, DeadlineError) or deadline.remaining() > 0:
                shared.error = error
            raise copy.copy(error) from error.__cause__
        finally:
            shared.lock.release()

    def _connected(self, shared: _Shared, connect: Callable[[], C]) -> C:
        """Return the open connection, or open one. The caller holds the bastion's lock."""
        if shared.error:
            raise shared.error
        if shared.connection:
            if not (broke := shared.connection.broke()):
                return cast(C, shared.connection)  # what an earlier `connect` to the same bastion gave
            if shared.times_opened == _OPENED_AT_MOST:
                raise broke
            shared.connection.close()
        shared.times_opened += 1
        shared.connection = connection = connect()
        self._opened.append(connection)
        return connection

    def forget_failures(self) -> None:
        """Allow another try for bastions that failed or were lost twice.

        Call it between rounds, while no host is connecting.
        """
        for shared in self._shared.values():
            shared.error, shared.times_opened = None, min(shared.times_opened, 1)

    def close(self) -> None:
        """Close every connection, the furthest first. Safe to call twice."""
        while self._opened:
            self._opened.pop().close()

    def __reduce__(self) -> tuple[object, ...]:
        return (type(None), ())
