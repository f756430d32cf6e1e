"""Prompts for passwords and passphrases.   options, terminal ─► [passwords] ─► Secret ─► transport, collection

The user is asked before any host is contacted, since 32 hosts cannot wait for the typing. The prompts use /dev/tty,
since stdin may be a list of hosts. No secret comes from the command line or the environment, which other users could
read.
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
"""Attempts at the passphrase of one key, as ssh has."""
THREADS = 8
"""`ssh -G` calls at once, where ssh_config has different settings for different hosts. The run reuses their answers."""


def with_secrets(options: SshOptions, hosts: Sequence[Host], how: RunningOptions) -> tuple[SshOptions, Secret | None]:
    """Return the options with the secrets for logging in, and the password for sudo.

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
    """Ask on the terminal, and return the typed secret, or `empty` if the line was empty."""
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
    """Run a command, and return the first line of its output. It may use the terminal, and its stderr is shown."""
    from fleetpmap.transport import Secret

    option = f"--password-command {command}"
    try:
        words = shlex.split(command) or [""]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)  # noqa: S603 - the user's own
        line = done.stdout.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise UsageError(
            f"{option}: printed no UTF-8 text", hint=_FIRST_LINE
        ) from None  # the exception quotes the secret
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option}: {why}", hint="name a program that prints the password") from error
    if done.returncode != 0 or not line:
        what = f"ended with status {done.returncode}" if done.returncode else "printed nothing"
        raise UsageError(f"{option}: {what}", hint=_FIRST_LINE)
    return Secret(line)


def _passphrases(hosts: Sequence[Host], options: SshOptions) -> Mapping[str, Secret]:
    """Ask once for each locked key file that a host may need; return the passphrases by path."""
    by_ssh = [host for host in hosts if host.transport == "ssh"]
    if not by_ssh or not _has_terminal():
        return {}
    from fleetpmap.transport.ssh.keys import locked_files

    with ThreadPoolExecutor(THREADS) as threads:
        ways = [way for of_host in threads.map(lambda host: _ways(host, options), by_ssh) for way in of_host]
    typed = {path: _passphrase(path) for path in locked_files(ways)}
    return {path: passphrase for path, passphrase in typed.items() if passphrase}


def _ways(host: Host, options: SshOptions) -> list[tuple[Host, SshSettings]]:
    """Return the host and its bastions with their settings; empty for a host without a usable route."""
    from fleetpmap.transport import route

    try:
        way = route(host, options)
    except HostError:
        return []
    if way.transport != "ssh" or way.settings is None:
        return []
    return [(host, way.settings), *((hop.host, hop.settings) for hop in way.way.hops)]


def _passphrase(path: str) -> Secret | None:
    """Ask for the passphrase of a key file; None if the user enters nothing or only wrong ones."""
    from fleetpmap.transport import Secret
    from fleetpmap.transport.ssh.keys import LOCKED, load_key

    for _ in range(_ATTEMPTS):
        typed = _typed(f"passphrase for {path}: ")
        if not typed:
            return None
        if load_key(path, passphrase := Secret(typed)) != LOCKED:
            return passphrase
    return None
