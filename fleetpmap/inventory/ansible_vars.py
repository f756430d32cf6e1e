"""Convert Ansible's variables into settings.   ansible ─► [ansible_vars] ─► ansible

Only variables about reaching a host are used. A note names each variable that requires something which fleetpmap does
not support, or that only Ansible can evaluate. The value of a secret is never read; only the variable's name is kept.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fleetpmap.inventory.settings import Table, check

_VARIABLES = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "identity_file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
}
"""Variables for each of our keys; the first one that is set counts."""
_SSH_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_SECRETS = frozenset(
    {
        *("ansible_password", "ansible_ssh_password", "ansible_ssh_pass"),
        *("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass", "ansible_su_pass"),
        *("ansible_ssh_private_key", "ansible_private_key", "ansible_ssh_private_key_passphrase"),
        "ansible_private_key_passphrase",
    }
)
_MATTERS = frozenset(
    {
        *(name for names in _VARIABLES.values() for name in names),
        *("ansible_connection", "ansible_become", "ansible_become_method", "ansible_become_user", *_SSH_ARGUMENTS),
    }
)
"""Variables that are used; a template in any other needs no note."""
_SSH_CONNECTIONS = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh"})
_WITHOUT_EFFECT = re.compile(r"control(master|path|persist)|serveralive\w+|compression|forwardagent|loglevel")
"""Keywords of ssh_config, in lower case, that make no difference to fleetpmap."""
_HOSTNAME = re.compile(r"\{\{\s*inventory_hostname(_short)?\s*\}\}")
_OPTION = re.compile(r"-o\s*(\w+)(?:\s*+=\s*+|\s++)(\S.*)")
_FLAGS = r"((?:\s+(?:-q|-W\s*%h:%p|-p\s*\d+))*)"
_BASTION = re.compile(rf"ssh{_FLAGS}\s+([^\s-]\S*){_FLAGS}")
_TEMPLATE = re.compile(r"\{\{|\{%")


@dataclass(slots=True)
class Unused:
    """Notes about unused parts of the inventory."""

    hosts_of: dict[str, list[str]] = field(default_factory=dict)
    """The hosts or groups that a note concerns, by its text."""

    def add(self, host: str, sentence: str) -> None:
        """Add a note for one host or group."""
        self.hosts_of.setdefault(sentence, []).append(host.lower())


@dataclass(slots=True)
class HostSettings:
    """Settings made from one table of variables, and the faults found in it."""

    values: dict[str, object] = field(default_factory=dict)
    """Value by our key."""
    faults: dict[str, str] = field(default_factory=dict)
    """Half a sentence by Ansible's variable."""


def settings_from(variables: Table, host: str, base: Path, unused: Unused) -> HostSettings:
    """Convert the variables of a host (or a group) into settings."""
    known = {name: value for name, value in variables.items() if name not in _SECRETS}
    if secrets := [name for name in variables if name in _SECRETS]:
        unused.add(
            host,
            f"no secret is read from an inventory ({', '.join(secrets)}): log in with a key or --ask-pass; "
            "for sudo there is --ask-become-pass",
        )
    plain = {name: text for name, value in known.items() if (text := _plain(name, value, host, unused)) is not None}
    settings = HostSettings()
    for key, names in _VARIABLES.items():
        if name := next((name for name in names if name in plain), None):
            _set(settings, key, name, plain[name], base)
    _connection(settings, plain, host, unused)
    _become(settings, plain, host, unused)
    for name in _SSH_ARGUMENTS:
        if name in plain:
            _ssh_arguments(settings, name, plain[name], host, unused)
    return settings


def _plain(name: str, value: object, host: str, unused: Unused) -> object | None:
    """Return the value of one of Ansible's own variables, with inventory_hostname filled in; None if it is unusable."""
    if not name.startswith("ansible_"):
        return None
    if isinstance(value, dict) and "__ansible_vault" in value:
        unused.add(host, f"{name} is encrypted, so it is not used")
        return None
    if not isinstance(value, str):
        return value
    text = _HOSTNAME.sub(lambda match: host.partition(".")[0] if match[1] else host, value)
    if _TEMPLATE.search(text):
        if name in _MATTERS:
            unused.add(host, f"{name} is a template that only Ansible can fill in, so it is not used")
        return None
    return text or None


def _set(settings: HostSettings, key: str, name: str, value: object, base: Path) -> None:
    if key == "port" and isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    try:
        settings.values[key] = check(key, value, base)
    except ValueError as error:
        settings.faults[name] = str(error)


def _connection(settings: HostSettings, plain: Table, host: str, unused: Unused) -> None:
    connection = str(plain.get("ansible_connection", "ssh")).rpartition(".")[2]
    if connection == "local":
        settings.values["transport"] = "local"
    elif connection not in _SSH_CONNECTIONS:
        unused.add(host, f"ansible_connection is {connection}, which is not known here: asked over SSH")


def _become(settings: HostSettings, plain: Table, host: str, unused: Unused) -> None:
    wanted = str(plain.get("ansible_become", "")).lower()
    method = str(plain.get("ansible_become_method", "sudo")).rpartition(".")[2]
    user = str(plain.get("ansible_become_user", "root"))
    if wanted in ("false", "no", "off", "0"):
        settings.values["sudo"] = False
    elif wanted and method == "sudo" and user == "root":
        settings.values["sudo"] = True
    elif wanted:
        unused.add(host, f"ansible_become by {method} to {user} is not known here: read without it (see --sudo)")


def _ssh_arguments(settings: HostSettings, name: str, value: object, host: str, unused: Unused) -> None:
    """Use ProxyJump, and a ProxyCommand that only jumps; add a note about all other options."""
    try:
        words = shlex.split(str(value))
    except ValueError:
        unused.add(host, f"{name} not used: its quotes do not match")
        return
    others = []
    for option in _options(words):
        match = _OPTION.fullmatch(option.rstrip())
        keyword, text = (match[1].lower(), match[2]) if match else ("", "")
        jump = _jump_of(text) if keyword == "proxycommand" else text if keyword == "proxyjump" else ""
        if jump:
            settings.values["proxy_jump"] = jump
        elif not _WITHOUT_EFFECT.fullmatch(keyword):
            others.append(option)
    if others:
        unused.add(host, f"not used of {name}: {shlex.join(others)} (see ssh_config)")


def _options(words: list[str]) -> Iterator[str]:
    """Yield each option of ssh, with -J and -o in one form: `-o NAME=VALUE`."""
    waiting = iter(words)
    for word in waiting:
        if word[:2] in ("-o", "-J"):
            value = word[2:] or next(waiting, "")
            yield f"-o {value}" if word[1] == "o" else f"-o ProxyJump={value}"
        else:
            yield word


def _jump_of(command: str) -> str:
    """Return the bastion of `ssh -W %h:%p [-q] [-p PORT] [USER@]HOST`, an older form of ProxyJump; "" for others."""
    match = _BASTION.fullmatch(command)
    flags = match[1] + match[3] if match else ""
    if match is None or "-W" not in flags:
        return ""
    port = re.search(r"-p\s*(\d+)", flags)
    return f"{match[2]}:{port[1]}" if port else match[2]
