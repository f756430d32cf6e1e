"""Trusted host keys.   known_hosts files ─► [known_hosts] ─► ssh, and the choice of the transport

Grammar: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT":

    [@cert-authority|@revoked] NAMES KEYTYPE BASE64 [comment]

NAMES is comma-separated: each is `name`, `[name]:port`, a pattern with `*` and `?`, or one of those negated by `!`. Or
it is a single hash, `|1|salt|HMAC-SHA1(salt, name)`. Any other line is skipped with a warning that gives its number. A
file is parsed once until it changes, and of one that grew only the new lines. Keys are compared as base64 text and
never decoded.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import re
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_config.keywords import BUILT_IN
from fleetpmap.transport.wildcards import fits_list

SSH_PORT = 22
_OUR_TYPES = frozenset({*BUILT_IN["hostkeyalgorithms"], "ssh-rsa"})
"""Host key types that the built-in client can ask for. An RSA key's type is `ssh-rsa`, the old name of its
signature."""

_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""Translation tables for HMAC's two pads (RFC 2104): each byte of the key xor 0x36, or xor 0x5c."""
_SHA1_SIZE, _SHA1_BLOCK = 20, 64
_LINE = re.compile(
    r"(?:(?P<marker>@\S+)[ \t]+)?(?P<names>[^\s@]\S*)[ \t]+(?P<type>[A-Za-z][\w@.-]*)[ \t]+"
    r"(?P<key>AAAA[A-Za-z0-9+/]+={0,2})(?:[ \t].*)?"
)
_MARKERS = (None, "@cert-authority", "@revoked")
_lock = threading.Lock()
"""Held while a thread parses or appends, so the others wait for its result instead of repeating the work."""
_MOST_FILES = 64
"""Parsed files that are kept. A run has few of them, unless ssh_config gives each host its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The key of one line."""

    where: str
    """`file:line`."""
    marker: str | None
    """`@cert-authority`, `@revoked` or None."""
    key_type: str
    key: str
    """Base64 text, as in the file."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of looking up a host's key."""

    status: Literal["known", "unknown", "changed", "revoked"]
    where: str = ""
    """`file:line` of the entry that decided; empty if none did."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Name and port under which known_hosts lists a host, and the files to search, in order."""

    name: str
    port: int
    files: tuple[str, ...]
    accepts_new_keys: bool
    """True if the key of an unknown host is trusted and written down."""
    own_file: str | None = None
    """File that accepted keys are written to, never one of the system's. None: no file is the user's, so no new key can
    be accepted, as in ssh."""

    @classmethod
    def of(cls, host: Host, settings: SshSettings, options: SshOptions) -> Lookup:
        """Return the lookup for a host.

        The command line's files beat the inventory's, which beat ssh's. An alias has no port, as in ssh.
        """
        own = tuple(map(os.path.expanduser, options.known_hosts or host.known_hosts))
        files = own or (*settings.user_known_hosts, *settings.global_known_hosts)
        own_file = next(iter(own or settings.user_known_hosts), None)
        name, port = settings.hostname, settings.port
        if settings.host_key_alias:
            name, port = settings.host_key_alias, SSH_PORT
        return cls(name, port, files, settings.accepts_new_keys, own_file)

    def load(self) -> KnownHosts:
        """Read the files as they are now."""
        return load(self.files)

    def openssh_reason(self) -> str:
        """Return the reason why only the system's ssh can judge the host's key; empty if we can."""
        return self.load().openssh_reason(self.name, self.port, _OUR_TYPES)


class KnownHosts:
    """The entries of several files, in order."""

    def __init__(self, files: Iterable[_File]) -> None:
        self._files = tuple(files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each skipped line, with its file and number."""
        return tuple(warning for file in self._files for warning in file.warnings)

    def check(self, name: str, port: int, key: bytes) -> Verdict:
        """Judge `key`, in wire format, as the key of `name` on `port`.

        A key known for the bare name is valid on any port, as in ssh. A host known only by other keys counts as
        changed, even if they are of another type.
        """
        text = base64.b64encode(key).decode()
        first, *bare = lookup_names(name, port)
        verdict = _judge(self._entries(first), text)
        if verdict.status == "unknown" and bare:
            by_bare_name = _judge(self._entries(bare[0]), text)
            if by_bare_name.status in ("known", "revoked"):
                return by_bare_name
        return verdict

    def key_types(self, name: str, port: int) -> tuple[str, ...]:
        """Return the types of the keys known for the host, in file order: the types to ask it for."""
        return tuple(dict.fromkeys(entry.key_type for entry in self._known(name, port, None)))

    def openssh_reason(self, name: str, port: int, ours: Collection[str]) -> str:
        """Return the reason why only ssh can judge the host's key, if we can judge the types `ours`; else empty."""
        known = self._known(name, port, None)
        if any(entry.key_type in ours for entry in known):
            return ""
        if authority := self.authority(name, port):
            return f"{authority} trusts an authority for its host key"
        return f"{known[0].where} knows it by a key of type {known[0].key_type}" if known else ""

    def authority(self, name: str, port: int) -> str:
        """Return `file:line` of the authority that may certify the host's key in place of a known key; empty if
        none."""
        authorities = self._known(name, port, "@cert-authority")
        return authorities[0].where if authorities else ""

    def _known(self, name: str, port: int, marker: str | None) -> list[Entry]:
        """Return the entries with that marker for the host, or if there are none, for its bare name."""
        matches = (
            [entry for entry in self._entries(name) if entry.marker == marker] for name in lookup_names(name, port)
        )
        return next(filter(None, matches), [])

    def _entries(self, looked_up: str) -> Iterator[Entry]:
        for file in self._files:
            yield from file.entries(looked_up)


def load(paths: Iterable[str]) -> KnownHosts:
    """Return the known hosts of these files. A file that is missing or unreadable contributes none."""
    files = []
    with _lock:
        for path in paths:
            try:
                stat = os.stat(path)  # noqa: PTH116 - called for each host; a Path takes ten times as long
                files.append(_parsed(path, stat))
            except OSError:
                continue
    return KnownHosts(files)


def parse(text: str, path: str) -> KnownHosts:
    """Return the known hosts of one file's text; `path` is its name in messages."""
    return KnownHosts([_File(path, text)])


def append(path: str, name: str, port: int, key_type: str, key: bytes) -> None:
    """Append one line for a host to `path`, creating the file (0600) and its directory (0700) if need be.

    Existing lines are never rewritten. Safe against other threads and processes that append in the same way.

    Raises:
        OSError: the file cannot be written.
    """
    looked_up, text = lookup_names(name, port)[0], base64.b64encode(key).decode()
    with _lock:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = _parsed(path, before := os.fstat(file.fileno()))
            if any(entry.marker is None and entry.key == text for entry in known.entries(looked_up)):
                return
            line = f"{looked_up} {key_type} {text}\n" if known.is_whole else f"\n{looked_up} {key_type} {text}\n"
            file.seek(0, os.SEEK_END)
            file.write(line.encode())
            file.flush()
            after = os.fstat(file.fileno())
            if after.st_size == before.st_size + len(line.encode()):  # false for /dev/null
                known.add(line)
                known.stamp = _stamp(after)


def fingerprint(key: bytes) -> str:
    """Return `SHA256:…` as ssh and ssh-keygen print it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def lookup_names(name: str, port: int) -> tuple[str, ...]:
    """Return the names under which a host is looked up, the one to write first: `[name]:port` unless the port is 22."""
    name = name.lower()
    return (name,) if port == SSH_PORT else (f"[{name}]:{port}", name)


def _judge(entries: Iterable[Entry], key: str) -> Verdict:
    """Return the verdict on a key. Revoked beats known, wherever it stands; an entry with another key means changed."""
    verdict = Verdict("unknown")
    for entry in entries:
        if entry.marker == "@revoked":
            if entry.key == key:
                return Verdict("revoked", entry.where)
        elif entry.marker is None and verdict.status != "known":
            if entry.key == key:
                verdict = Verdict("known", entry.where)
            elif verdict.status == "unknown":
                verdict = Verdict("changed", entry.where)
    return verdict


_Stamp = tuple[int, int]
"""A file's time of change in ns, and its size."""


class _File:
    """One parsed file, which can grow: plain names in a dict; hashes and patterns in lists that are searched."""

    def __init__(self, path: str, text: str, stamp: _Stamp = (0, 0)) -> None:
        self._path = path
        self._size, self._lines, self._seen = 0, 0, hashlib.sha256()
        """Length of the text so far, its number of line ends, and its checksum."""
        self.is_whole = True
        """True if the last line has an end, so that another one can follow."""
        self.stamp = stamp
        """Of the file when it had this text."""
        self._plain: defaultdict[str, list[tuple[int, Entry]]] = defaultdict(list)
        self._hashed: list[tuple[bytes, bytes, bytes, int, Entry]] = []
        """Per hashed line: the salt xor each of HMAC's pads, the hash, the line number and the entry."""
        self._patterns: list[tuple[str, int, Entry]] = []
        self._found: dict[str, tuple[Entry, ...]] = {}
        self.warnings: list[str] = []
        self.add(text)

    def add(self, text: str) -> None:
        """Add the lines of a text that follows the text so far, whose last line has an end or gets it here."""
        first, self._lines = self._lines + 1, self._lines + text.count("\n")
        self._size += len(text)
        self._seen.update(_as_bytes(text))
        self.is_whole = text.endswith("\n") if text else self.is_whole
        for number, line in enumerate(text.split("\n"), start=first):
            stripped = line.strip()
            if stripped and not stripped.startswith("#"):
                self._add(number, stripped)
        self._found = {}  # a thread that is looking up a name keeps its result with the lines that it has seen

    def grown(self, text: str) -> str | None:
        """Return what a newer text of the file has behind this one; None if it is another text."""
        is_grown = self.is_whole and hashlib.sha256(_as_bytes(text[: self._size])).digest() == self._seen.digest()
        return text[self._size :] if is_grown else None

    def entries(self, looked_up: str) -> tuple[Entry, ...]:
        """Return the entries for a name, in file order."""
        found = self._found
        if looked_up not in found:  # 10,000 hashes take 20 ms, and each host is looked up twice
            found[looked_up] = self._find(looked_up)
        return found[looked_up]

    def _find(self, looked_up: str) -> tuple[Entry, ...]:
        matches = list(self._plain.get(looked_up, ()))
        # HMAC-SHA1 spelled out, with its pads made once: half the price of hmac.digest, once for each line and name.
        sha1, wanted = hashlib.sha1, looked_up.encode()
        matches += [
            (number, entry)
            for inner, outer, digest, number, entry in self._hashed
            if sha1(outer + sha1(inner + wanted).digest()).digest() == digest
        ]
        matches += [(number, entry) for names, number, entry in self._patterns if fits_list(names, looked_up)]
        matches.sort(key=lambda pair: pair[0])
        return tuple(entry for _, entry in matches)

    def _add(self, number: int, line: str) -> None:
        match = _LINE.fullmatch(line)
        if match is None or match["marker"] not in _MARKERS or not _is_key(match["type"], match["key"]):
            self._skip(number)
            return
        entry = Entry(f"{self._path}:{number}", match["marker"], match["type"], match["key"])
        names = match["names"].lower()
        if names.startswith("|"):
            self._add_hashed(number, match["names"], entry)
        elif any(sign in names for sign in "*?!"):
            self._patterns.append((names, number, entry))
        else:
            for name in names.split(","):
                self._plain[name].append((number, entry))

    def _add_hashed(self, number: int, names: str, entry: Entry) -> None:
        try:
            _, version, salt, digest = names.split("|")
            decoded = [base64.b64decode(part, validate=True) for part in (salt, digest)]
        except (ValueError, binascii.Error):
            version, decoded = "", [b"", b""]
        if version == "1" and len(decoded[0]) == len(decoded[1]) == _SHA1_SIZE:
            key = decoded[0].ljust(_SHA1_BLOCK, b"\0")
            self._hashed.append((key.translate(_INNER), key.translate(_OUTER), decoded[1], number, entry))
        else:
            self._skip(number)

    def _skip(self, number: int) -> None:
        self.warnings.append(f"{self._path}:{number}: not a line of known_hosts, skipped")


def _is_key(key_type: str, text: str) -> bool:
    """True if the base64 text can be a key of that type: a key begins with its type."""
    return len(text) % 4 == 0 and text.startswith(_beginning(key_type))


@lru_cache(maxsize=64)
def _beginning(key_type: str) -> str:
    word = len(key_type).to_bytes(4, "big") + key_type.encode()
    return base64.b64encode(word[: len(word) // 3 * 3]).decode()


_files: dict[str, _File] = {}
"""The parsed files by path."""


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _stamp(stat: os.stat_result) -> _Stamp:
    return stat.st_mtime_ns, stat.st_size


def _parsed(path: str, stat: os.stat_result) -> _File:
    """Return the file as it is by this stat. The caller holds `_lock`.

    Raises:
        OSError: it cannot be read.
    """
    file, stamp = _files.get(path), _stamp(stat)
    if file is not None and file.stamp == stamp:
        return file
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    added = None if file is None else file.grown(text)
    if file is None or added is None:
        file = _File(path, text)
        if len(_files) >= _MOST_FILES:
            del _files[next(iter(_files))]
    else:
        file.add(added)
    file.stamp = stamp
    _files[path] = file
    return file
