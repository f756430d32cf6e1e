"""A private key file.   path, passphrase ─► [key_file] ─► keys

OpenSSH's own format, PKCS#8 and PEM, with or without a passphrase; text before the key is skipped. cryptography reads
the files and signs; this module puts its signatures into the form of RFC 4253 section 6.6, RFC 5656 and RFC 8332. A
file is loaded once and shared by the whole run, since deriving a key from a passphrase takes a tenth of a second.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from functools import lru_cache
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.translate import FOREIGN

LOCKED = "needs its passphrase (ssh-add it)"
CERTIFICATE = "-cert-v01@openssh.com"
"""End of a certificate's type, and of the signature algorithms for it."""
_LIMIT = 1 << 20
"""Bytes of a key file, at most, as in ssh."""
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_PUTTY = b"PuTTY-User-Key-File"
_MAGIC = b"openssh-key-v1\0"
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-512": hashes.SHA512(),
    "rsa-sha2-256": hashes.SHA256(),
    "ssh-rsa": hashes.SHA1(),  # noqa: S303 - only where ssh_config asks for it, for servers that take nothing else
}

_Loaded = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


class PrivateKey:
    """A private key in this process.

    Attributes:
        blob: its public half, in wire format.
    """

    def __init__(self, key: _Loaded) -> None:
        self._key = key
        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        self.blob = base64.b64decode(line.split()[1])

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """Return the signature of `data` by this algorithm, which may be a certificate's.

        Raises:
            UnsupportedAlgorithm: this machine's policy forbids it.
        """
        algorithm = algorithm.removesuffix(CERTIFICATE)
        message = paramiko.Message()
        if isinstance(self._key, RSAPrivateKey):
            signature = self._key.sign(data, PKCS1v15(), _RSA_HASHES[algorithm])
        elif isinstance(self._key, Ed25519PrivateKey):
            signature = self._key.sign(data)
        else:
            r, s = decode_dss_signature(self._key.sign(data, ECDSA(_hash_for(self._key))))
            pair = paramiko.Message()
            pair.add_mpint(r)
            pair.add_mpint(s)
            signature = pair.asbytes()
        message.add_string(algorithm)
        message.add_string(signature)
        return message.asbytes()


def load_key(path: str, passphrase: Secret | None = None) -> PrivateKey | str:
    """Return the private key in a file, or the reason why it cannot be used ("" if the file does not exist)."""
    file = os.path.expanduser(path)  # noqa: PTH111 - for each host, and a Path takes ten times as long
    try:
        stat = os.stat(file)  # noqa: PTH116 - the same
    except OSError as error:
        return "" if isinstance(error, FileNotFoundError) else error.strerror or "cannot be read"
    return _load_key(file, stat.st_mtime_ns, stat.st_size, passphrase)


@lru_cache(maxsize=256)
def _load_key(file: str, mtime_ns: int, size: int, passphrase: Secret | None) -> PrivateKey | str:
    # Time and size are the key of the cache: a file that was replaced is another key.
    if size > _LIMIT:
        return "not a private key that can be used here"
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        return error.strerror or "cannot be read"
    if text.startswith(_PUTTY):
        return "a key of PuTTY's; puttygen FILE -O private-openssh turns it into one of OpenSSH's"
    match = _KEY.search(text)
    try:
        key = _loaded(match[0], passphrase.reveal().encode() if passphrase else None) if match else None
    except TypeError:  # cryptography says so of a missing passphrase
        return LOCKED
    except (UnsupportedAlgorithm, *FOREIGN):
        return LOCKED if passphrase else "not a private key that can be used here"
    return PrivateKey(key) if isinstance(key, _Loaded) else "not a private key that can be used here"


def _loaded(text: bytes, passphrase: bytes | None) -> object:
    load = serialization.load_pem_private_key
    if text.startswith(b"-----BEGIN OPENSSH"):
        load = serialization.load_ssh_private_key
    try:
        return load(text, passphrase)
    except TypeError:
        if passphrase is None:
            raise
        return load(text, None)  # it has no passphrase


def _hash_for(key: EllipticCurvePrivateKey) -> hashes.HashAlgorithm:
    if key.curve.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if key.curve.key_size <= 384 else hashes.SHA512()


def public_half(path: str) -> bytes | None:
    """Return the public key beside a private one, or in the file itself; None if neither can be read."""
    private = Path(path).expanduser()
    for file in (Path(str(private).removesuffix(".pub") + ".pub"), private):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return base64.b64decode(file.read_text(encoding="utf-8").split()[1], validate=True)
    with contextlib.suppress(OSError, *FOREIGN):
        return _embedded(private.read_text(encoding="ascii"))
    return None


def _embedded(text: str) -> bytes | None:
    """Return the public half that OpenSSH's own format stores in the clear (PROTOCOL.key)."""
    body = base64.b64decode("".join(text.split("-----")[2].split()))
    if not body.startswith(_MAGIC):
        return None
    message = paramiko.Message(body[len(_MAGIC) :])
    for _ in ("cipher", "kdf", "kdf options"):
        message.get_binary()
    message.get_int()  # how many keys: 1
    return message.get_binary()
