"""The settings of the user's ssh for a host.   inventory.Host, ~/.ssh/config ─► [host_settings] ─► ssh, openssh

`ssh -G NAME` prints every setting for one host, with `Include` and `Match` applied; no other program implements them
all. Its output is `keyword value` lines, lower case, unquoted; `identityfile` and `certificatefile` repeat. A call
costs 4-9 ms, so if the files say the same of every host, one call serves all hosts. On a machine without ssh,
config_files reads the files as far as it can.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

from fleetpmap.errors import ConfigError, DeadlineError, HostError, ResolveError, UsageError
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

_TIMEOUT_S = 10.0
"""Seconds to wait for `ssh -G`, which runs the user's commands for `Match exec`, unless the caller sets another
time."""
_ANY_HOST = "any.invalid"
"""Placeholder for every host, if the files make no difference between hosts."""
_DEPENDS_ON_HOST = frozenset({"match", "hostname", "canonicalizehostname", "canonicaldomains"})
_PATHS_OF_KEYS = ("identityfile", "certificatefile")
"""Options whose text `ssh -G` prints with its tokens and variables."""
_EXPANDED_BY_NEWER = ("userknownhostsfile", "identityagent")
"""Options whose tokens and variables newer versions of ssh expand before printing."""
_OF_FILE = re.compile(r" line \d+: |^Can't open user config file|^Bad owner or permissions on")
"""Pattern of an error that ssh reports for every host."""
_CORRECT_IT = "correct that line, or choose another file with --ssh-config (none for no file)"
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
    """ssh's settings for one host. Paths are absolute or relative to the working directory; `~` and `%` tokens are
    expanded."""

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
    password_prompts: int = 3
    """Number of times that a password may be asked for, by keyboard-interactive and again by the method `password`."""
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


def resolve(
    name: str,
    options: SshOptions,
    *,
    user: str | None = None,
    port: int | None = None,
    host: str | None = None,
    seconds: float | None = None,
) -> SshSettings:
    """Return the settings for `ssh [-l user] [-p port] name`.

    Args:
        host: the host's name in errors; None: `name`.
        seconds: time limit of ssh; None: 10 s.

    Raises:
        UsageError: ssh rejects its configuration for every host; the message is ssh's, with file and line.
        HostError: ssh rejects the name, or the configuration of this host.
    """
    host = host if host is not None else name
    if _ssh(os.environ.get("PATH")) is None:
        values = config_files.read(name, options.ssh_config, user=user, port=port, host=host)
        return settings_from(name, values, options, host=host)
    call = _Call(name, user, port, options.ssh_config, seconds=seconds or _TIMEOUT_S)
    try:
        values = _option_values(call)
        if any("%C" in path for option in _PATHS_OF_KEYS for path in values.get(option, ())):
            values |= {"%C": _ask(call._replace(extra=("ControlPath=%C",)))["controlpath"]}
        return settings_from(name, values, options, host=host, expanded=_expanded_by_ssh(values))
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(
            f"`ssh -G {name}` did not say within {call.seconds:g} s what ssh_config means for this host",
            host=host,
            stage="config",
            hint="see which `Match exec` in ssh_config takes so long, or give it more time with --connect-timeout",
        ) from error
    except _RefusedError as error:
        raise _refusal(error.complaint, name, host) from error


class _RefusedError(Exception):
    """ssh rejected its configuration, for every host or for one."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.complaint = complaint


class _Call(NamedTuple):
    """Arguments of one `ssh -G`."""

    name: str
    user: str | None
    port: int | None
    config: str | None
    extra: tuple[str, ...] = ()
    """Options that precede the files."""
    seconds: float = _TIMEOUT_S
    """Time limit in seconds."""

    def run(self) -> OptionValues:
        """Run ssh and return the values that it prints, by option.

        Raises:
            _RefusedError: ssh exited with an error.
        """
        argv = ["ssh", "-G", "-T"]
        argv += ["-F", self.config] if self.config else []
        argv += [word for option in self.extra for word in ("-o", option)]
        argv += ["-l", self.user] if self.user else []
        argv += ["-p", str(self.port)] if self.port else []
        # The name is data: after `--` it cannot be an option.
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            [*argv, "--", self.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
        )
        if done.returncode != 0:
            raise _RefusedError(done.stderr.decode(errors="replace").strip())
        values: dict[str, tuple[str, ...]] = {}
        for line in done.stdout.decode(errors="surrogateescape").split("\n"):
            keyword, _, value = line.partition(" ")
            values[keyword.lower()] = (*values.get(keyword.lower(), ()), value)
        return values


def _option_values(call: _Call) -> dict[str, tuple[str, ...]]:
    """Return ssh's values, from one call for all hosts if possible, without algorithms that are only ssh's default.

    The built-in client has its own order of algorithms, which should hold unless ssh_config sets another.
    """
    survey = _survey(call.config)
    if survey.same_for_all:
        values = {
            **_ask(_Call(_ANY_HOST, None, None, call.config, seconds=call.seconds)),
            "hostname": (call.name.lower(),),
        }
        values |= {"user": (call.user,)} if call.user is not None else {}
        values |= {"port": (str(call.port),)} if call.port is not None else {}
    else:
        values = dict(_ask(call))
    own_choice = _ask(_Call(_ANY_HOST, None, None, "none", seconds=call.seconds)) if survey.names_algorithms else values
    for option in BUILT_IN:
        if values.get(option) == own_choice.get(option):
            values.pop(option, None)
    return values


def _expanded_by_ssh(values: OptionValues) -> Collection[str]:
    """Return the options that `ssh -G` prints expanded. Older versions print every option as written."""
    if not any("%" in value or "$" in value for option in _EXPANDED_BY_NEWER for value in values.get(option, ())):
        return ()  # both are the same, without the price of a call
    probe = _ask(_Call(_ANY_HOST, None, None, "none", ("UserKnownHostsFile=%%", "IdentityAgent=%%")))
    return [option for option in _EXPANDED_BY_NEWER if probe.get(option) == ("%",)]


_answers: dict[_Call, Future[OptionValues]] = {}
_asking = Lock()


def _ask(call: _Call) -> OptionValues:
    """Return ssh's reply, cached for the run. A thread with the same call waits for the reply to the first one."""
    with _asking:
        is_first = call not in _answers
        answer = _answers.setdefault(call, Future())
    if is_first:
        try:
            answer.set_result(call.run())
        except BaseException as error:
            del _answers[call]
            answer.set_exception(error)
    return answer.result()


@lru_cache(maxsize=4)
def _ssh(path: str | None) -> str | None:
    """Return the path of ssh for this PATH. Cached, so the search is made once per run and not per host."""
    return shutil.which("ssh", path=path)


def _refusal(complaint: str, name: str, host: str) -> UsageError | HostError:
    """Return the error for ssh's complaint: an unreadable line concerns every host, all else this host alone."""
    if "invalid characters" in complaint:
        return ResolveError(
            f'ssh takes no host of the name "{name}"', host=host, stage="dns", hint="set address for this host"
        )
    lines = complaint.splitlines() or ["no reason given"]
    if of_file := next(filter(_OF_FILE.search, lines), None):
        return UsageError(f"ssh refuses its configuration: {of_file}", hint=_CORRECT_IT)
    return _host_error(host, f"ssh refuses what its configuration says of it: {lines[0]}")


def _host_error(host: str, message: str) -> HostError:
    return ConfigError(
        message, host=host, stage="config", hint="correct its entry in ssh_config, or set the variable it names"
    )


class _Survey(NamedTuple):
    same_for_all: bool
    """True if the files set the same options for every host."""
    names_algorithms: bool
    """True if they name ciphers or other algorithms."""


@lru_cache(maxsize=64)
def _survey(config: str | None) -> _Survey:
    """Find out which kinds of options the files contain. In doubt both answers are cautious: ssh then decides per
    host."""
    try:
        lines = list(config_files.everything(config))
    except UsageError:
        return _Survey(same_for_all=False, names_algorithms=True)
    return _Survey(
        same_for_all=not any(
            line.keyword in _DEPENDS_ON_HOST or "%" in line.rest or (line.keyword == "host" and line.words != ("*",))
            for line in lines
        ),
        names_algorithms=any(line.keyword in BUILT_IN for line in lines),
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

    def one(keyword: str, default: str = "") -> str:
        return _one(values, keyword, default)

    tokens = _tokens(name, values)

    def path(option: str, value: str) -> str:
        try:
            return value if option in expanded else ssh_tokens.expand(_from_home(value), tokens, variables=True)
        except ValueError as error:
            message = f'{SPELLING[option]} cannot be "{printable(value)}": {error}'
            raise _host_error(host if host is not None else name, message) from error

    def paths(option: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(path(option, value) for value in values.get(option, default) if value and value != "none")

    user_known_hosts = _split(values.get("userknownhostsfile", _DEFAULT_USER_KNOWN_HOSTS))
    global_known_hosts = _split(values.get("globalknownhostsfile", _DEFAULT_GLOBAL_KNOWN_HOSTS))
    checking = {"strict": "yes", "accept-new": "accept-new", None: one("stricthostkeychecking", "ask")}
    return SshSettings(
        hostname=tokens["h"],
        user=tokens["r"],
        port=int(tokens["p"]),
        identity_files=paths("identityfile", _DEFAULT_KEYS),
        identities_only=one("identitiesonly").lower() in ("yes", "true"),
        identity_agent=_agent(values.get("identityagent", ("SSH_AUTH_SOCK",))[0], path),
        user_known_hosts=tuple(path("userknownhostsfile", value) for value in user_known_hosts),
        global_known_hosts=tuple(map(_from_home, global_known_hosts)),  # ssh expands no token in these
        host_key_alias=one("hostkeyalias") or None,
        address_family=_FAMILIES.get(one("addressfamily").lower(), "any"),
        proxy_jump=one("proxyjump") or None,
        proxy_command=one("proxycommand") or None,
        certificate_files=paths("certificatefile"),
        strict_host_key_checking=_CHECKING[checking[options.host_key].lower()],
        control_path=one("controlpath"),
        connect_timeout_s=_seconds(one("connecttimeout")) or CONNECT_TIMEOUT_S,
        retries=max(1, int(one("connectionattempts", "1")) - 1) if options.retries is None else options.retries,
        bind_address=one("bindaddress") or None,
        ciphers=_algorithms(values, "ciphers"),
        kex_algorithms=_algorithms(values, "kexalgorithms"),
        macs=_algorithms(values, "macs"),
        host_key_algorithms=_algorithms(values, "hostkeyalgorithms"),
        pubkey_algorithms=_algorithms(values, "pubkeyacceptedalgorithms"),
        pubkey_authentication=one("pubkeyauthentication").lower() not in _OFF,  # newer versions print `unbound` too
        password_authentication=one("passwordauthentication").lower() not in _OFF,
        kbd_interactive_authentication=one("kbdinteractiveauthentication").lower() not in _OFF,
        preferred_authentications=_methods(values),
        password_prompts=int(one("numberofpasswordprompts", "3")),
        only_openssh=_only_openssh(values),
    )


def _methods(values: OptionValues) -> tuple[str, ...]:
    """Return PreferredAuthentications. ssh ignores unknown methods in it; `none` is a method here."""
    value = values.get("preferredauthentications", ("",))[0]
    return tuple(dict.fromkeys(filter(None, value.split(","))))


def _one(values: OptionValues, keyword: str, default: str = "") -> str:
    """Return the first value of an option; empty for `none`."""
    value = values.get(keyword, (default,))[0]
    return "" if value == "none" else value


def _only_openssh(values: OptionValues) -> tuple[str, ...]:
    """Return the settings that only the system's ssh supports, and algorithm lists with none of the built-in
    client's."""
    other = [option for option in ONLY_OPENSSH if _one(values, option).lower() not in config_files.UNSET]
    algorithms = [option for option in BUILT_IN if _one(values, option) and not _algorithms(values, option)]
    return tuple(f"{SPELLING[option]} {values[option][0]}" for option in (*other, *algorithms))


def _seconds(value: str) -> int:
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in re.findall(r"(\d+)([smhdw]?)", value, re.I))


def _algorithms(values: OptionValues, option: str) -> tuple[str, ...]:
    """Return the algorithms of a list that the built-in client has, in the list's order.

    A list that begins with `+`, `-` or `^` adds to the client's own choice, removes from it, or moves to its front.
    """
    return _chosen(_one(values, option), option)


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
    """Split unquoted values into paths: a blank before `/`, `~`, `%` or `$` separates two, any other is part of a
    name."""
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
        hostname=_one(values, "hostname"),
        port=_one(values, "port", str(_SSH_PORT)),
        user=_one(values, "user", login_name()),
        alias=_one(values, "hostkeyalias"),
        jump=_one(values, "proxyjump"),
    )
    return tokens | {"C": values["%C"][0]} if "%C" in values else tokens


def _from_home(path: str) -> str:
    """Expand `~` to the home in the passwd entry, as ssh does, whatever $HOME is; `~NAME` is that user's home."""
    if path.startswith("~/"):
        return str(home() / path[2:])
    return os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111 - Path's raises for no such user
