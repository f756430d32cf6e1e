"""What the user's ssh would do.   inventory.Host, ~/.ssh/config ─► [ssh_config] ─► ssh, openssh

`ssh -G NAME` prints every setting as it holds for one host, `Include` and `Match` included; nothing else knows them
all. Its output is `keyword value` lines, lower case, unquoted; `identityfile` and `certificatefile` repeat. A call
costs 4-9 ms, so where the files say the same of every host, one call serves them all. Without ssh on this machine the
built-in defaults hold, and ssh's files are not read.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fleetpmap.errors import ResolveError, UsageError
from fleetpmap.transport.base import SshOptions, out_of_time
from fleetpmap.transport.tcp import AddressFamily

_TIMEOUT_S = 10.0
"""`Match exec` runs a command of the user's choice; nobody waits longer than this for it."""
_ANY_HOST = "any.invalid"
"""Stands for every host where the files make no difference between hosts."""
_SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_DEPENDS_ON_HOST = frozenset({"match", "hostname", "canonicalizehostname", "canonicaldomains"})
_DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_DEFAULT_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_DEFAULT_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_SSH_PORT = 22
_FAMILIES: Mapping[str, AddressFamily] = {"inet": "inet", "inet6": "inet6"}


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
    certificate_files: tuple[str, ...]


def resolve(name: str, options: SshOptions, *, user: str | None = None, port: int | None = None) -> SshSettings:
    """The settings for `ssh [-l user] [-p port] name`.

    Raises:
        UsageError: ssh does not accept its configuration; the message is ssh's, with file and line.
        ResolveError: ssh does not accept the name.
        DeadlineError: ssh took longer than 10 s.
    """
    files = (options.ssh_config,) if options.ssh_config else (str(_home() / ".ssh/config"), _SYSTEM_CONFIG)
    try:
        if _same_for_all(files):
            said = dict(_ask(_ANY_HOST, None, None, options.ssh_config))
            said["hostname"] = (name.lower(),)
        else:
            said = dict(_ask(name, user, port, options.ssh_config))
    except FileNotFoundError:
        said = {"hostname": (name.lower(),)}
    if user is not None:
        said["user"] = (user,)
    if port is not None:
        said["port"] = (str(port),)
    return _settings(name, said)


@lru_cache(maxsize=4096)
def _ask(name: str, user: str | None, port: int | None, config: str | None) -> Mapping[str, tuple[str, ...]]:
    """What `ssh -G` prints, by keyword.

    Raises:
        FileNotFoundError: there is no ssh here.
    """
    argv = ["ssh", "-G", "-T"]
    argv += ["-F", config] if config else []
    argv += ["-l", user] if user else []
    argv += ["-p", str(port)] if port else []
    try:
        # The name is data: after `--` it cannot be an option.
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            [*argv, "--", name], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise out_of_time(name, "config", _TIMEOUT_S) from error
    if done.returncode != 0:
        raise _refused(name, done.stderr.decode(errors="replace").strip())
    said: dict[str, tuple[str, ...]] = {}
    for line in done.stdout.decode(errors="surrogateescape").splitlines():
        keyword, _, value = line.partition(" ")
        said[keyword.lower()] = (*said.get(keyword.lower(), ()), value)
    return said


def _refused(name: str, complaint: str) -> UsageError | ResolveError:
    if "invalid characters" in complaint:
        return ResolveError(
            f'ssh takes no host of the name "{name}"', host=name, stage="dns", hint="set address for this host"
        )
    first = complaint.splitlines()[0] if complaint else "no reason given"
    return UsageError(
        f"ssh refuses its configuration: {first}",
        hint="correct that line, or choose another file with --ssh-config (none for no file)",
    )


def _settings(name: str, said: Mapping[str, tuple[str, ...]]) -> SshSettings:
    def one(keyword: str, default: str = "") -> str:
        value = said.get(keyword, (default,))[0]
        return "" if value == "none" else value

    hostname, user, port = one("hostname"), one("user", _login_name()), int(one("port", str(_SSH_PORT)))
    tokens = {
        "%": "%",
        "d": str(_home()),
        "h": hostname,
        "i": str(os.getuid()),
        "n": name,
        "p": str(port),
        "r": user,
        "u": _login_name(),
    }

    def paths(values: Iterable[str]) -> tuple[str, ...]:
        return tuple(_expand(value, tokens) for value in values if value and value != "none")

    return SshSettings(
        hostname=hostname,
        user=user,
        port=port,
        identity_files=paths(said.get("identityfile", _DEFAULT_KEYS)),
        identities_only=one("identitiesonly", "no") in ("yes", "true"),
        identity_agent=_agent(said.get("identityagent", ("SSH_AUTH_SOCK",))[0], tokens),
        user_known_hosts=paths(_split(said.get("userknownhostsfile"), _DEFAULT_USER_KNOWN_HOSTS)),
        global_known_hosts=paths(_split(said.get("globalknownhostsfile"), _DEFAULT_GLOBAL_KNOWN_HOSTS)),
        host_key_alias=one("hostkeyalias") or None,
        address_family=_FAMILIES.get(one("addressfamily"), "any"),
        proxy_jump=one("proxyjump") or None,
        proxy_command=one("proxycommand") or None,
        certificate_files=paths(said.get("certificatefile", ())),
    )


def _split(said: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Paths out of one unquoted line: a blank before `/` or `~` parts two, any other belongs to a name."""
    return default if said is None else tuple(re.split(r"\s+(?=[/~])", said[0]))


def _agent(value: str, tokens: Mapping[str, str]) -> str:
    """The socket that IdentityAgent means: a path, `none`, or the name of a variable with or without `$`."""
    if value == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or value.startswith("$"):
        return os.environ.get(value.lstrip("${").rstrip("}"), "")
    return _expand(value, tokens)


def _expand(path: str, tokens: Mapping[str, str]) -> str:
    """`~` is the home of the passwd entry, as for ssh, whatever $HOME says; an unknown token stays as it is."""
    expanded = re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), path)
    return str(_home() / expanded[2:]) if expanded.startswith("~/") else expanded


def _same_for_all(files: Iterable[str]) -> bool:
    """Whether these files say the same of every host. When in doubt they do not, and every host is asked for."""
    return all(_reads_the_same(path, depth=0) for path in files if path != "none")


def _reads_the_same(path: str, depth: int) -> bool:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    for line in lines:
        words = line.replace("=", " ").replace('"', " ").split()
        if not words or words[0].startswith("#"):
            continue
        keyword, values = words[0].lower(), words[1:]
        if keyword in _DEPENDS_ON_HOST or "%" in line or (keyword == "host" and values != ["*"]):
            return False
        if keyword == "include" and not all(_include_reads_the_same(value, depth) for value in values):
            return False
    return True


def _include_reads_the_same(pattern: str, depth: int) -> bool:
    """Only an absolute pattern: what a relative one means depends on whose file it stands in."""
    if not pattern.startswith("/") or depth > 8:
        return False
    return all(_reads_the_same(path, depth + 1) for path in glob.glob(pattern))  # noqa: PTH207 - absolute patterns


@lru_cache(maxsize=1)
def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a container that runs under a number nobody named
        return Path.home()


@lru_cache(maxsize=1)
def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("LOGNAME", str(os.getuid()))
