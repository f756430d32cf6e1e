"""Option values to the settings of a host.   the output of `ssh -G` | config_files ─► [host_settings] ─► SshSettings

Input: the values of each option, as `ssh -G` prints them or as config_files reads them. Output: one typed field for
each option that fleetpmap uses, with ssh's default where the input has none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from fleetpmap.errors import ConfigError, HostError
from fleetpmap.transport.base import SshOptions, printable
from fleetpmap.transport.ssh_config import config_files
from fleetpmap.transport.ssh_config import tokens as ssh_tokens
from fleetpmap.transport.ssh_config.keywords import BUILT_IN, ONLY_OPENSSH, SAME_ALGORITHM, SHA1_SIGNATURES, SPELLING
from fleetpmap.transport.tcp import AddressFamily
from fleetpmap.transport.this_user import home, login_name
from fleetpmap.transport.wildcards import fits

CONNECT_TIMEOUT_S = 10.0
"""Seconds until the login must be complete, unless the command line, the inventory or ssh_config sets another time."""
HostKeyChecking = Literal["yes", "ask", "accept-new", "no"]

_DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_DEFAULT_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_DEFAULT_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_SSH_PORT = 22
_FAMILIES: Mapping[str, AddressFamily] = {"inet": "inet", "inet6": "inet6"}
_CHECKING: Mapping[str, HostKeyChecking] = {
    **{"yes": "yes", "true": "yes", "ask": "ask", "accept-new": "accept-new"},
    **{"no": "no", "false": "no", "off": "no"},
}
_OFF = frozenset({"no", "false"})
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

OptionValues = Mapping[str, tuple[str, ...]]
"""Values of each option, by its name in lower case."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """ssh's settings for one host.

    Paths are absolute or relative to the working directory, with `~` and `%` tokens expanded.
    """

    hostname: str
    """Name or address to connect to."""
    user: str
    port: int
    identity_files: tuple[str, ...]
    """Private keys that ssh would try; the files need not exist."""
    identities_only: bool
    """True if of the agent's keys only those in the identity files are offered."""
    identity_agent: str
    """Socket of the agent; empty for no agent."""
    user_known_hosts: tuple[str, ...]
    """The user's files of host keys. An accepted key is written to the first."""
    global_known_hosts: tuple[str, ...]
    host_key_alias: str | None
    """Name in known_hosts that replaces hostname and port."""
    address_family: AddressFamily
    proxy_jump: str | None
    proxy_command: str | None
    """Command as written; its tokens are expanded just before it is run."""
    certificate_files: tuple[str, ...]
    strict_host_key_checking: HostKeyChecking = "ask"
    """Policy for an unknown host key, with `--host-key` applied. See accepts_new_keys."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    """Seconds until the login must be complete, unless the inventory sets another time."""
    retries: int = 1
    """Number of further attempts after a failure before the login."""
    bind_address: str | None = None
    """Our own address for the connection."""
    ciphers: tuple[str, ...] = ()
    """Algorithms of ssh_config that the built-in client has, in its order, as in the four below. Empty: the client's
    own choice."""
    kex_algorithms: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    pubkey_algorithms: tuple[str, ...] = ()
    """Algorithms of our own keys' signatures, by ssh's names, including those of certificates and security keys, and
    `ssh-rsa` if ssh_config asks for it. Empty: ssh's choice."""
    pubkey_authentication: bool = True
    password_authentication: bool = True
    kbd_interactive_authentication: bool = True
    preferred_authentications: tuple[str, ...] = ()
    """Login methods to use, in this order, and no others. Empty: publickey, keyboard-interactive, password."""
    only_openssh: tuple[str, ...] = ()
    """Settings that only the system's ssh supports, as `BindInterface eth1`."""

    control_path: str = ""
    """Socket of a master connection of ssh to the host (ControlPath); empty for none."""

    @property
    def has_open_master(self) -> bool:
        """True if ssh seems to have a master connection open that others may use (ControlMaster)."""
        return bool(self.control_path) and Path(self.control_path).is_socket()

    @property
    def accepts_new_keys(self) -> bool:
        """True if the key of an unknown host is trusted and written down; a changed key never is.

        ssh's `no` would also accept a changed key, which is no better than no check at all, so here it does not.
        """
        return self.strict_host_key_checking in ("accept-new", "no")


def host_error(host: str, message: str) -> HostError:
    """Return the error of one host whose options are invalid."""
    return ConfigError(
        message, host=host, stage="config", hint="correct its entry in ssh_config, or set the variable it names"
    )


def settings_from(
    name: str, values: OptionValues, options: SshOptions, *, host: str | None = None, expanded: Collection[str] = ()
) -> SshSettings:
    """Convert option values, as printed by ssh -G or read from the files, to settings.

    Args:
        host: the host's name in errors; None: `name`.
        expanded: options whose tokens and variables are already replaced.

    Raises:
        HostError: a value is invalid, such as one with an unknown token or an unset variable.
    """

    def first(keyword: str, default: str = "") -> str:
        return _first(values, keyword, default)

    tokens = _tokens(name, values)
    path = _expander(tokens, expanded, host if host is not None else name)

    def paths(option: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(path(option, value) for value in values.get(option, default) if value and value != "none")

    user_known_hosts = _split(values.get("userknownhostsfile", _DEFAULT_USER_KNOWN_HOSTS))
    global_known_hosts = _split(values.get("globalknownhostsfile", _DEFAULT_GLOBAL_KNOWN_HOSTS))
    checking = {"strict": "yes", "accept-new": "accept-new", None: first("stricthostkeychecking", "ask")}
    return SshSettings(
        hostname=tokens["h"],
        user=tokens["r"],
        port=int(tokens["p"]),
        identity_files=paths("identityfile", _DEFAULT_KEYS),
        identities_only=first("identitiesonly").lower() in ("yes", "true"),
        identity_agent=_agent(values.get("identityagent", ("SSH_AUTH_SOCK",))[0], path),
        user_known_hosts=tuple(path("userknownhostsfile", value) for value in user_known_hosts),
        global_known_hosts=tuple(map(_from_home, global_known_hosts)),  # ssh expands no token in these
        host_key_alias=first("hostkeyalias") or None,
        address_family=_FAMILIES.get(first("addressfamily").lower(), "any"),
        proxy_jump=first("proxyjump") or None,
        proxy_command=first("proxycommand") or None,
        certificate_files=paths("certificatefile"),
        strict_host_key_checking=_CHECKING[checking[options.host_key].lower()],
        control_path=first("controlpath"),
        connect_timeout_s=_seconds(first("connecttimeout")) or CONNECT_TIMEOUT_S,
        retries=max(1, int(first("connectionattempts", "1")) - 1) if options.retries is None else options.retries,
        bind_address=first("bindaddress") or None,
        ciphers=_algorithms(values, "ciphers"),
        kex_algorithms=_algorithms(values, "kexalgorithms"),
        macs=_algorithms(values, "macs"),
        host_key_algorithms=_algorithms(values, "hostkeyalgorithms"),
        pubkey_algorithms=_algorithms(values, "pubkeyacceptedalgorithms"),
        pubkey_authentication=first("pubkeyauthentication").lower() not in _OFF,  # newer versions print `unbound` too
        password_authentication=first("passwordauthentication").lower() not in _OFF,
        kbd_interactive_authentication=first("kbdinteractiveauthentication").lower() not in _OFF,
        preferred_authentications=_methods(values),
        only_openssh=_only_openssh(values),
    )


def _expander(tokens: Mapping[str, str], expanded: Collection[str], host: str) -> Callable[[str, str], str]:
    """Return a function of an option and its value that replaces the tokens, the variables and `~` in a path."""

    def path(option: str, value: str) -> str:
        try:
            return value if option in expanded else ssh_tokens.expand(_from_home(value), tokens, variables=True)
        except ValueError as error:
            raise host_error(host, f'{SPELLING[option]} cannot be "{printable(value)}": {error}') from error

    return path


def _methods(values: OptionValues) -> tuple[str, ...]:
    """Return PreferredAuthentications. ssh ignores unknown methods in it; `none` is a method here."""
    value = values.get("preferredauthentications", ("",))[0]
    return tuple(dict.fromkeys(filter(None, value.split(","))))


def _first(values: OptionValues, keyword: str, default: str = "") -> str:
    """Return the first value of an option; empty for `none`."""
    value = values.get(keyword, (default,))[0]
    return "" if value == "none" else value


def _only_openssh(values: OptionValues) -> tuple[str, ...]:
    """Return the settings that only the system's ssh supports, among them lists of algorithms that it alone has."""
    other = [option for option in ONLY_OPENSSH if _first(values, option).lower() not in config_files.UNSET]
    algorithms = [option for option in BUILT_IN if _first(values, option) and not _algorithms(values, option)]
    return tuple(f"{SPELLING[option]} {values[option][0]}" for option in (*other, *algorithms))


def _seconds(value: str) -> int:
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in re.findall(r"(\d+)([smhdw]?)", value, re.I))


def _algorithms(values: OptionValues, option: str) -> tuple[str, ...]:
    """Return the algorithms of a list that the built-in client has, in the list's order.

    A list that begins with `+`, `-` or `^` adds to the client's own choice, removes from it, or moves to its front.
    """
    return _chosen(_first(values, option), option)


@lru_cache(maxsize=64)
def _chosen(value: str, option: str) -> tuple[str, ...]:
    ours = BUILT_IN[option]
    known = (*ours, *SHA1_SIGNATURES) if option == "pubkeyacceptedalgorithms" else ours
    named = [SAME_ALGORITHM.get(pattern, pattern) for pattern in dict.fromkeys(value.lstrip("+-^").split(","))]
    chosen = [name for pattern in named for name in known if fits(pattern, name)]
    match value[:1]:
        case "-":
            chosen = [name for name in ours if name not in chosen]
        case "+":
            chosen = [*ours, *chosen]
        case "^":
            chosen += ours
    return tuple(dict.fromkeys(chosen))


def _split(values: tuple[str, ...]) -> list[str]:
    """Split values into paths: a blank before `/`, `~`, `%` or `$` separates two, any other is part of a name."""
    paths = [path for value in values for path in re.split(r"\s+(?=[/~%$])", value)]
    return [path for path in paths if path and path != "none"]


def _agent(value: str, path: Callable[[str, str], str]) -> str:
    """Return the socket of an IdentityAgent: a path, `none`, or the name of a variable with or without `$`."""
    if value == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.lstrip("$"), "")
    return path("identityagent", value)


def _tokens(name: str, values: OptionValues) -> dict[str, str]:
    """Return the tokens for paths (see ssh_tokens.PATH), with %C if ssh was asked for it."""
    tokens = ssh_tokens.of_host(
        name,
        hostname=_first(values, "hostname"),
        port=_first(values, "port", str(_SSH_PORT)),
        user=_first(values, "user", login_name()),
        alias=_first(values, "hostkeyalias"),
        jump=_first(values, "proxyjump"),
    )
    return tokens | {"C": values["%C"][0]} if "%C" in values else tokens


def _from_home(path: str) -> str:
    """Expand `~` to the home in the passwd entry, as ssh does, not to $HOME; `~NAME` is that user's home."""
    if path.startswith("~/"):
        return str(home() / path[2:])
    return os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111 - Path's raises for no such user
