"""What the user's ssh would do.   inventory.Host, ~/.ssh/config ─► [ssh_config] ─► ssh, openssh

`ssh -G NAME` prints every setting as it holds for one host, `Include` and `Match` included; nothing else knows them
all. Its output is `keyword value` lines, lower case, unquoted; `identityfile` and `certificatefile` repeat. A call
costs 4-9 ms, so where the files say the same of every host, one call serves them all. Without ssh on this machine
config_files reads what it can.
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
"""Until the login is done, unless the command line, the inventory or ssh_config says otherwise."""
HostKeyChecking = Literal["yes", "ask", "accept-new", "no"]

_TIMEOUT_S = 10.0
"""How long to wait for `ssh -G`, in which `Match exec` runs a command of the user's choice, unless values otherwise."""
_ANY_HOST = "any.invalid"
"""Stands for every host where the files make no difference between hosts."""
_DEPENDS_ON_HOST = frozenset({"match", "hostname", "canonicalizehostname", "canonicaldomains"})
_PATHS_OF_KEYS = ("identityfile", "certificatefile")
"""`ssh -G` prints their text, with its tokens and variables."""
_EXPANDED_BY_NEWER = ("userknownhostsfile", "identityagent")
"""Newer versions print what these mean."""
_OF_FILE = re.compile(r" line \d+: |^Can't open user config file|^Bad owner or permissions on")
"""A complaint that ssh has for every host."""
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
"""The values of each option, whose name is in lower case."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """What ssh would use for one host. Paths are absolute or relative to here, with `~` and `%` tokens expanded."""

    hostname: str
    """Name or address to connect to."""
    user: str
    port: int
    identity_files: tuple[str, ...]
    """Private keys that ssh would try, whether or not they exist."""
    identities_only: bool
    """Offer no key of the agent but those of the identity files."""
    identity_agent: str
    """The agent's socket; empty: no agent."""
    user_known_hosts: tuple[str, ...]
    """The first is where an accepted key is written."""
    global_known_hosts: tuple[str, ...]
    host_key_alias: str | None
    """The name in known_hosts, instead of the hostname and port."""
    address_family: AddressFamily
    proxy_jump: str | None
    proxy_command: str | None
    """As it is written: its tokens are for who runs it."""
    certificate_files: tuple[str, ...]
    strict_host_key_checking: HostKeyChecking = "ask"
    """What becomes of an unknown host key; `--host-key` is already in it. See accepts_new_keys."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    """Until the login is done, where the inventory does not say."""
    retries: int = 1
    """How often to try again what failed before login."""
    bind_address: str | None = None
    """Our end of the connection."""
    ciphers: tuple[str, ...] = ()
    """As the four below: those of ssh_config that the built-in client has, in that order. Empty: its own choice."""
    kex_algorithms: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    pubkey_algorithms: tuple[str, ...] = ()
    """Of our own keys' signatures, as ssh calls them: also those of certificates and security keys, and `ssh-rsa` where
    it is asked for. Empty: the choice of ssh."""
    pubkey_authentication: bool = True
    password_authentication: bool = True
    kbd_interactive_authentication: bool = True
    preferred_authentications: tuple[str, ...] = ()
    """Methods to log in by, in this order, and no others. Empty: publickey, keyboard-interactive, password."""
    password_prompts: int = 3
    """How often a password may be asked for by keyboard-interactive, and as often by password."""
    only_openssh: tuple[str, ...] = ()
    """What only the system's ssh can honour, as `BindInterface eth1`."""

    control_path: str = ""
    """Where the socket of ssh's own connection to the host is, if one is open; empty for none."""

    @property
    def has_open_master(self) -> bool:
        """Whether ssh seems to have a connection open that others may go through (ControlMaster)."""
        return bool(self.control_path) and Path(self.control_path).is_socket()

    @property
    def accepts_new_keys(self) -> bool:
        """Whether the key of a host nobody knows is written down and believed; one that changed never is.

        ssh's `no` would go on with a changed key too, which is no better than no key at all: not here.
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
    """The settings for `ssh [-l user] [-p port] name`.

    Args:
        host: what errors call it; None: its name.
        seconds: how long ssh may take to tell; None: 10 s.

    Raises:
        UsageError: ssh does not accept its configuration, whichever host it is for; the message is ssh's, with file
            and line.
        HostError: ssh does not accept the name, or what the configuration says of this host.
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
    """ssh does not accept its configuration, or what that says of a host."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.complaint = complaint


class _Call(NamedTuple):
    """What `ssh -G` is asked."""

    name: str
    user: str | None
    port: int | None
    config: str | None
    extra: tuple[str, ...] = ()
    """Options that go before the files."""
    seconds: float = _TIMEOUT_S
    """How long ssh may take to tell."""

    def run(self) -> OptionValues:
        """What it prints, by option.

        Raises:
            _RefusedError: it prints nothing but a complaint.
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
    """Ssh's answer, by one call for all hosts if that will do, without algorithms that are only ssh's own choice."""
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
    """The options of which `ssh -G` prints the meaning, not the text. Older versions print the text of all."""
    if not any("%" in value or "$" in value for option in _EXPANDED_BY_NEWER for value in values.get(option, ())):
        return ()  # both are the same, without the price of a call
    probe = _ask(_Call(_ANY_HOST, None, None, "none", ("UserKnownHostsFile=%%", "IdentityAgent=%%")))
    return [option for option in _EXPANDED_BY_NEWER if probe.get(option) == ("%",)]


_answers: dict[_Call, Future[OptionValues]] = {}
_asking = Lock()


def _ask(call: _Call) -> OptionValues:
    """Ssh's answer, kept for the run. Who comes while another thread asks the same waits for its answer."""
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
    """Where ssh is on this PATH. Looked for once, not for each host."""
    return shutil.which("ssh", path=path)


def _refusal(complaint: str, name: str, host: str) -> UsageError | HostError:
    """The error for what ssh complains of: a line that it cannot read is the file's, all else is the host's."""
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
    """Whether the files say the same of every host."""
    names_algorithms: bool
    """Whether they name ciphers and the like."""


@lru_cache(maxsize=64)
def _survey(config: str | None) -> _Survey:
    """What the files are about. When in doubt, about anything: ssh decides, and says what is wrong with them."""
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
    """The settings that `values` comes to: what ssh -G prints, or only what the files set.

    Args:
        host: what errors call it; None: its name.
        expanded: options whose values hold no tokens and variables any more.

    Raises:
        HostError: a value means nothing, as one with an unknown token or a variable that is not set.
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
    """PreferredAuthentications, of which ssh ignores what it does not know; `none` is one of its words."""
    value = values.get("preferredauthentications", ("",))[0]
    return tuple(dict.fromkeys(filter(None, value.split(","))))


def _one(values: OptionValues, keyword: str, default: str = "") -> str:
    """The first value of an option; empty for `none`."""
    value = values.get(keyword, (default,))[0]
    return "" if value == "none" else value


def _only_openssh(values: OptionValues) -> tuple[str, ...]:
    """The options that only the system's ssh can honour, and those algorithms that nobody else has."""
    other = [option for option in ONLY_OPENSSH if _one(values, option).lower() not in config_files.UNSET]
    algorithms = [option for option in BUILT_IN if _one(values, option) and not _algorithms(values, option)]
    return tuple(f"{SPELLING[option]} {values[option][0]}" for option in (*other, *algorithms))


def _seconds(value: str) -> int:
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in re.findall(r"(\d+)([smhdw]?)", value, re.I))


def _algorithms(values: OptionValues, option: str) -> tuple[str, ...]:
    """Those of a list that the built-in client has, in the list's order.

    `+`, `-` and `^` before a list add to its own choice, take away from it, or put first.
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
    """Paths out of unquoted values: a blank before `/`, `~`, `%` or `$` parts two, any other belongs to a name."""
    paths = [path for value in values for path in re.split(r"\s+(?=[/~%$])", value)]
    return [path for path in paths if path and path != "none"]


def _agent(value: str, path: Callable[[str, str], str]) -> str:
    """The socket that IdentityAgent means: a path, `none`, or the name of a variable with or without `$`."""
    if value == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.lstrip("$"), "")
    return path("identityagent", value)


def _tokens(name: str, values: OptionValues) -> dict[str, str]:
    """What a path may hold (ssh_tokens.PATH); %C where ssh was asked for it."""
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
    """`~` is the home of the passwd entry, as for ssh, whatever $HOME says; `~NAME` is that user's."""
    if path.startswith("~/"):
        return str(home() / path[2:])
    return os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111 - Path's raises for no such user
