"""Where secrets are asked for.   options, terminal ─► [passwords] ─► Secret ─► transport, collector

Everything is asked before any host is contacted: nobody is there to type while 32 hosts wait. Asked on /dev/tty, since
stdin may be a list of hosts. Nothing is taken from the command line or the environment, where others could read it.
"""

from __future__ import annotations

import getpass
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.options import RunningOptions
from fleetpmap.errors import HostError, UsageError

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.transport import Secret, SshOptions
    from fleetpmap.transport.ssh_config import SshSettings

_TTY = Path("/dev/tty")
_FIRST_LINE = "its first line has to be the password"
_ATTEMPTS = 3
"""How often to ask for the passphrase of one key, as ssh does."""
_THREADS = 8
"""`ssh -G` calls at once, where ssh_config makes a difference between hosts. The run finds their answers kept."""


def with_secrets(options: SshOptions, hosts: Sequence[Host], how: RunningOptions) -> tuple[SshOptions, Secret | None]:
    """The options with the secrets that logging in takes, and the password for sudo.

    Raises:
        UsageError: there is no terminal to ask on, nothing was typed, or the command gave nothing.
    """
    if how.ask_become_pass and not any(host.sudo for host in hosts):
        raise UsageError("--ask-become-pass, but no host uses sudo", hint="add --sudo, or sudo = true in the inventory")
    login = become = None
    if how.password_command is not None:
        given = _from_command(how.password_command)
        login = None if how.ask_become_pass and not how.ask_pass else given
        become = given if how.ask_become_pass else None
    else:
        if how.ask_pass:
            login = _asked("login password: ", "--ask-pass")
        if how.ask_become_pass:
            otherwise = " (empty: the login password)" if login else ""
            become = _asked(f"sudo password{otherwise}: ", "--ask-become-pass", empty=login)
    return replace(options, password=login, passphrases=_passphrases(hosts, options)), become


def _asked(prompt: str, option: str, *, empty: Secret | None = None) -> Secret:
    """What was typed on the terminal, or `empty` for nothing."""
    from fleetpmap.transport import Secret

    if not _has_terminal():
        raise UsageError(f"{option}: there is no terminal to ask on", hint="use --password-command CMD")
    typed = _typed(prompt)
    if typed:
        return Secret(typed)
    if empty is None:
        raise UsageError(f"{option}: nothing was typed", hint="type the password, and Enter")
    return empty


def _typed(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""


def _has_terminal() -> bool:
    try:
        _TTY.open("rb").close()
    except OSError:
        return False
    return True


def _from_command(command: str) -> Secret:
    """The first line that a command prints. It may ask on the terminal itself, and what it complains of is shown."""
    from fleetpmap.transport import Secret

    option = f"--password-command {command}"
    try:
        words = shlex.split(command) or [""]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)  # noqa: S603 - the user's own
        line = done.stdout.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise UsageError(f"{option}: printed no UTF-8 text", hint=_FIRST_LINE) from None  # it quotes what it was given
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option}: {why}", hint="name a program that prints the password") from error
    if done.returncode != 0 or not line:
        what = f"ended with status {done.returncode}" if done.returncode else "printed nothing"
        raise UsageError(f"{option}: {what}", hint=_FIRST_LINE)
    return Secret(line)


def _passphrases(hosts: Sequence[Host], options: SshOptions) -> Mapping[str, Secret]:
    """The passphrases of the key files without which some host could not be logged in to, by path; each asked once."""
    by_ssh = [host for host in hosts if host.transport == "ssh"]
    if not by_ssh or not _has_terminal():
        return {}
    from fleetpmap.transport.ssh.keys import locked_files

    with ThreadPoolExecutor(_THREADS) as threads:
        ways = [way for found in threads.map(lambda host: _ways(host, options), by_ssh) for way in found]
    found = {path: _passphrase(path) for path in locked_files(ways)}
    return {path: passphrase for path, passphrase in found.items() if passphrase}


def _ways(host: Host, options: SshOptions) -> list[tuple[Host, SshSettings]]:
    """The host and the bastions before it, with their settings; nothing for a host that will fail anyway."""
    from fleetpmap.transport import route

    try:
        way = route(host, options)
    except HostError:
        return []
    if way.transport != "ssh" or way.settings is None:
        return []
    return [(host, way.settings), *((hop.host, hop.settings) for hop in way.way.hops)]


def _passphrase(path: str) -> Secret | None:
    """What opens this file; None if it is not known."""
    from fleetpmap.transport import Secret
    from fleetpmap.transport.ssh.keys import LOCKED, load_key

    for _ in range(_ATTEMPTS):
        typed = _typed(f"passphrase for {path}: ")
        if not typed:
            return None
        if load_key(path, passphrase := Secret(typed)) != LOCKED:
            return passphrase
    return None
