"""Until when a certificate is valid.   a certificate as it travels ─► [certificate] ─► keys

Source: PROTOCOL.certkeys of OpenSSH. A server refuses one that is out of its time without saying so.
"""

from __future__ import annotations

import contextlib
import struct
import time

import paramiko

_KEY_FIELDS = {"ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1, "sk-ssh-ed25519": 2, "sk-ecdsa-sha2-nistp256": 3}
"""How many fields the key itself has, by the type in front of `-cert-`; those of ecdsa have 2."""
_VALIDITY_BYTES = 16
_UNITS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))
"""From how many seconds on a unit is used, and how many it has."""


def validity(blob: bytes, now: float | None = None) -> str:
    """`expired 3 h ago`, or `not valid for another 5 min`; empty for a key, and for a certificate that is valid."""
    with contextlib.suppress(paramiko.SSHException, ValueError, struct.error, IndexError):
        message = paramiko.Message(blob)
        kind, is_certificate, _ = message.get_text().partition("-cert-")
        if not is_certificate:
            return ""
        for _ in range(1 + _KEY_FIELDS.get(kind, 2)):  # a nonce comes first
            message.get_binary()
        message.get_int64()  # serial number
        message.get_int()  # for a user, or for a host
        message.get_binary()  # its name
        message.get_binary()  # for whom
        if len(message.get_remainder()) < _VALIDITY_BYTES:  # it is cut, and paramiko would read zeros
            return ""
        after, before = message.get_int64(), message.get_int64()
        now = time.time() if now is None else now
        if now >= before:
            return f"expired {_span(now - before)} ago"
        if now < after:
            return f"not valid for another {_span(after - now)}"
    return ""


def _span(seconds: float) -> str:
    unit, name = next((unit, name) for least, unit, name in _UNITS if seconds >= least)
    return f"{int(seconds / unit)} {name}"
