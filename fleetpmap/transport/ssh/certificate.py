"""Validity of a certificate.   a certificate in wire format ─► [certificate] ─► keys

Source: PROTOCOL.certkeys of OpenSSH. A server rejects an expired certificate without giving the reason.
"""

from __future__ import annotations

import contextlib
import struct
import time

import paramiko

_KEY_FIELDS = {"ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1, "sk-ssh-ed25519": 2, "sk-ecdsa-sha2-nistp256": 3}
"""Number of fields of the key itself, by the type in front of `-cert-`; ecdsa keys have 2."""
_VALIDITY_BYTES = 16
_UNITS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))
"""Seconds from which a unit is used, seconds in the unit, and its name."""


def validity(blob: bytes, now: float | None = None) -> str:
    """Return `expired 3 h ago` or `not valid for another 5 min`; empty for a valid certificate and for a plain key."""
    with contextlib.suppress(paramiko.SSHException, ValueError, struct.error, IndexError):
        message = paramiko.Message(blob)
        kind, is_certificate, _ = message.get_text().partition("-cert-")
        if not is_certificate:
            return ""
        for _ in range(1 + _KEY_FIELDS.get(kind, 2)):  # a nonce comes first
            message.get_binary()
        message.get_int64()  # serial number
        message.get_int()  # kind: user or host
        message.get_binary()  # its identifier
        message.get_binary()  # the principals
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
