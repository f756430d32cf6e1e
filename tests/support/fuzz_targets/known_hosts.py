"""known_hosts files, and what they say of a host's key."""

from __future__ import annotations

import base64

from fleetpmap.transport import known_hosts

_ED25519 = b"AAAAC3NzaC1lZDI1NTE5AAAAIJ4Ws2nqtgy4cqQ5HfZTPbrRZ3x9JhBRWd4NUBnLu7vA"
_HASH = b"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg="
SEEDS = (
    b"web-01,[10.0.0.1]:2222 ssh-ed25519 " + _ED25519 + b" root@web\n",
    b"# fleet\n\n@cert-authority *.example.com,!db.* ssh-ed25519 " + _ED25519 + b"\n@revoked * ssh-ed25519 " + _ED25519,
    _HASH + b" ssh-ed25519 " + _ED25519 + b"\n*.*.*?.example.com ssh-ed25519 " + _ED25519 + b"\n",
)
WORDS = (b"@cert-authority ", b"@revoked ", b"@", b"*", b"?", b"!", b",", b"|1|", b"|", b"[", b"]:22", b" ", b"\t",
         b"\n", b"\r", b"\0", b"\xff", b"*a" * 50, b"ssh-ed25519", b"AAAA", b"=", b"#", b"\xc5\xbf")  # fmt: skip
_KEY = base64.b64decode(_ED25519)
_NAMES = (("web-01", 22), ("10.0.0.1", 2222), ("a" * 200 + ".example.com", 22))


def read(data: bytes) -> object:
    """Parse it as a file, and look one of three hosts up."""
    known = known_hosts.parse(data.decode(errors="replace"), "known_hosts")
    name, port = _NAMES[len(data) % len(_NAMES)]
    told = known.check(name, port, _KEY), known.key_types(name, port), known.openssh_reason(name, port, ("ssh-rsa",))
    return known.warnings, told
