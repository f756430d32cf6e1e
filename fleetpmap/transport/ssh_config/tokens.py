"""`%` tokens and `${VARIABLES}` in values of ssh_config.   [tokens] ─► host_settings, bastions, ssh.proxy_command

Each option has its own set of tokens (`PATH`, `COMMAND`), and a token outside of it is an error, as in ssh. Only paths
take variables: a `$` in a ProxyCommand belongs to the shell, and elsewhere it is literal.
Source: TOKENS and ENVIRONMENT VARIABLES in ssh_config(5); vdollar_percent_expand() in misc.c of OpenSSH.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping

from fleetpmap.transport.this_user import home, login_name

PATH = "%CLdhijklnpru"
"""Tokens of IdentityFile, CertificateFile, IdentityAgent and UserKnownHostsFile."""
COMMAND = "%hnpr"
"""Tokens of ProxyCommand and ProxyJump."""

_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_TOKEN_OR_VARIABLE = re.compile(r"%(.?)|\$\{([^}]*)(\}?)", re.DOTALL)


def of_host(name: str, *, hostname: str, port: str, user: str, alias: str, jump: str) -> dict[str, str]:
    """Return the tokens of one host, without %C, whose definition differs between versions of ssh.

    Args:
        name: the host's name as the user wrote it.
        alias: its HostKeyAlias, or empty.
        jump: its ProxyJump, or empty.
    """
    here = socket.gethostname()
    return {
        "%": "%",
        "L": here.partition(".")[0],
        "d": str(home()),
        "h": hostname,
        "i": str(os.getuid()),
        "j": _last_hop(jump),
        "k": alias or name,
        "l": here,
        "n": name,
        "p": port,
        "r": user,
        "u": login_name(),
    }


def expand(text: str, tokens: Mapping[str, str], *, variables: bool = False) -> str:
    """Replace the tokens in a text and, on request, its variables.

    Raises:
        ValueError: a token or a variable has no value; the message is half a sentence.
    """

    def meaning(match: re.Match[str]) -> str:
        if match[0].startswith("%"):
            if match[1] not in tokens:
                raise ValueError(f"{match[0]} means nothing there")
            return tokens[match[1]]
        if not match[3]:
            raise ValueError("a ${ has no }")
        if (value := os.environ.get(match[2])) is None:
            raise ValueError(f"the variable {match[2]} is not set" if match[2] else "${} names no variable")
        return value

    return (_TOKEN_OR_VARIABLE if variables else _TOKEN).sub(meaning, text)


def _last_hop(jump: str) -> str:
    """Return the host of the last jump, without user and port: ssh's %j."""
    last = jump.rpartition(",")[2].removeprefix("ssh://").rpartition("@")[2].rstrip("/")
    return last[1:].partition("]")[0] if last.startswith("[") else last.partition(":")[0]
