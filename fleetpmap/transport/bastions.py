"""The bastions on the way to a host.   inventory.Host, ssh_config ─► [bastions: way, Bastions] ─► ssh

    way         which bastions, in which order: `proxy_jump` and ProxyJump, resolved as ssh resolves them
    Bastions    one connection to each, shared by every host behind it

As in ssh, `-J a,b,c` means: connect to a, from there to b, from there to c, from there to the host. Each hop is looked
up in ssh_config by its own name; only the first of them follows what its own ProxyJump or ProxyCommand says.
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
"""Times that one bastion is connected to in a run: a second time if the first connection broke."""
_STARTUPS = 8
"""Connections of their own that hosts make through one bastion at a time, until they are through. sshd's MaxStartups
begins to refuse some of them at ten that have not logged in."""
_TURN_S = 3.0
"""How long a turn lasts at most: a connection that takes longer is not among those that MaxStartups counts."""
_RESOLVING = Lock()
"""Many hosts ask for few bastions at the same moment: the first asks ssh, the others find its answer."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One bastion: a host of its own, with its own settings."""

    host: Host
    """Named as the jump names it."""
    settings: SshSettings

    @property
    def jump(self) -> str:
        """The hop as ssh's -J takes it."""
        name = f"[{self.settings.hostname}]" if ":" in self.settings.hostname else self.settings.hostname
        return f"{self.settings.user}@{name}:{self.settings.port}"


@dataclass(frozen=True, slots=True)
class Way:
    """What lies between this machine and a host; nothing, if both are empty."""

    hops: tuple[Hop, ...] = ()
    """The bastions, nearest to us first."""
    proxy_command: str | None = None
    """What carries the first connection of the way instead of TCP, before its tokens are replaced."""

    @property
    def key(self) -> tuple[object, ...]:
        """What two ways through the same bastions have in common, however those are called."""
        return (self.proxy_command, *(hop.settings for hop in self.hops))

    def before(self) -> Way:
        """The way to the last of the hops."""
        return Way(self.hops[:-1], self.proxy_command)


class Connection(Protocol):
    """An open way to a bastion, as Bastions keeps it."""

    def broke(self) -> HostError | None:
        """Why nothing can go through any more; None while something can."""

    def close(self) -> None:
        """Let go of it. Safe to call twice."""


def way(host: Host, settings: SshSettings, options: SshOptions) -> Way:
    """The way to a host that the inventory names, or else ssh_config. `proxy_jump = "none"` switches both off.

    Raises:
        UsageError: ssh does not accept its configuration.
        HostError: a jump host is none, or the way comes back to where it was.
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
    """An error as this host's: one of a bastion says so, in the same words for every host behind it."""
    if error.host == host:
        return error
    seen = type(error)(f"bastion {error.host}: {error.message}", host=host, stage=error.stage, hint=error.hint)
    seen.openssh_can = error.openssh_can
    return seen


def _expanded(jump: str, before: Hop, host: Host) -> str:
    """ProxyJump with the tokens and variables of the host (or hop) that it is set for; an IPv6 zone has a `%` too."""
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
        raise UnreachableError(f'"{printable(spec)}" is no jump host', host=host.name, stage="config", hint=_JUMP_HINT)
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
    """One bastion: its connection once there is one, or why there is none."""

    lock: Lock = field(default_factory=Lock)
    connection: Connection | None = None
    times_opened: int = 0
    error: HostError | None = None


class _Places:
    """The places of those that connect through one bastion at the same time, as the times when they were taken."""

    def __init__(self) -> None:
        self._taken: list[float] = []
        self._changed = Condition()

    def take(self, at_most_s: float) -> float:
        """Wait for a free place, but no longer than that; the time, by which it is left again."""
        give_up = time.monotonic() + at_most_s
        with self._changed:
            while (now := time.monotonic()) < give_up and self._are_full(now):
                self._changed.wait(min(give_up, self._taken[0] + _TURN_S) - now)
            self._taken.append(time.monotonic())
            return self._taken[-1]

    def leave(self, taken: float) -> None:
        """Free the place that was taken then; nothing, if it is free already."""
        with self._changed, contextlib.suppress(ValueError):
            self._taken.remove(taken)
            self._changed.notify()

    def _are_full(self, now: float) -> bool:
        self._taken = [taken for taken in self._taken if now - taken < _TURN_S]
        return len(self._taken) >= _STARTUPS


class Turn:
    """One host's place among those that connect through a bastion, taken when it is made."""

    def __init__(self, places: _Places | None = None, at_most_s: float = 0.0) -> None:
        self._places = places
        self._taken = places.take(at_most_s) if places else 0.0

    def over(self) -> None:
        """Leave the place to another host. Safe to call twice."""
        if self._places:
            self._places.leave(self._taken)


C = TypeVar("C", bound=Connection)


class Bastions(Closing):
    """The bastions of one run: the first host that needs one connects to it, and all the others go through.

    One that cannot be reached is not tried again: every host behind it gets the same error. Closing closes the
    connections. Sent to another process it arrives as None, since no connection can follow it there.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._shared: dict[tuple[object, ...], _Shared] = {}
        self._opened: list[Connection] = []
        self._places: dict[str, _Places] = {}

    def turn(self, bastion: str, deadline: Deadline) -> Turn:
        """Wait until few hosts connect through this bastion, each by a connection of its own (a ProxyCommand, a ssh).

        A third of the host's time at most: it needs the rest.
        """
        with self._lock:
            places = self._places.setdefault(bastion, _Places())
        return Turn(places, deadline.remaining() / 3)

    def connection(self, to: Way, connect: Callable[[], C], deadline: Deadline) -> C:
        """The connection to the last bastion of a way, which `connect` opens where there is none.

        Raises:
            HostError: the bastion cannot be reached, or was lost twice; its `host` is the bastion that is at fault.
        """
        bastion = to.hops[-1]
        with self._lock:
            shared = self._shared.setdefault(to.key, _Shared())
        if not shared.lock.acquire(timeout=deadline.remaining()):
            raise out_of_time(bastion.host.name, "tcp", deadline.seconds)
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
        """The caller holds the bastion's lock."""
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
        """Another round: what could not be reached, or was lost twice, may be tried again. Only while nobody asks."""
        for shared in self._shared.values():
            shared.error, shared.times_opened = None, min(shared.times_opened, 1)

    def close(self) -> None:
        """Close every connection, the furthest first. Safe to call twice."""
        while self._opened:
            self._opened.pop().close()

    def __reduce__(self) -> tuple[object, ...]:
        return (type(None), ())
