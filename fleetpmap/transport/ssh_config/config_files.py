"""ssh_config without ssh.   ~/.ssh/config, /etc/ssh/ssh_config ─► [config_files] ─► host_settings

`everything` yields every line of the files, to see which options occur, and `host_names` the names in them. `read`
returns the options for one host in the form of `ssh -G`, for machines without ssh: the first value of an option counts,
and `Host` and `Match` select the lines. An option that only ssh can evaluate is an error with file and line, never a
guess.
Source: readconf.c and argv_split() in misc.c of OpenSSH.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import NamedTuple, NoReturn

from fleetpmap.errors import ConfigError, UsageError
from fleetpmap.inventory.names import name_fault
from fleetpmap.transport.base import printable
from fleetpmap.transport.ssh_config.keywords import OTHER_NAMES, SPELLING, WITHOUT_SSH
from fleetpmap.transport.this_user import home, login_name
from fleetpmap.transport.wildcards import fits, fits_list

SYSTEM_CONFIG = "/etc/ssh/ssh_config"
OptionValues = dict[str, tuple[str, ...]]
"""Values of each option, by its name in lower case."""

_MAX_DEPTH = 16
_MOST_KEYS = 100
"""Files of each kind at most, as in ssh: SSH_MAX_IDENTITY_FILES, SSH_MAX_CERTIFICATE_FILES."""
_OPTION = re.compile(r'([^\s="#]+)(?:\s*=\s*|\s+|$)')
# Possessive (`++`, `*+`), so nothing is tried twice: the time is proportional to the line's length.
_WORD = re.compile(r"""((?:[^\s'"\\]++|\\.|\\$|'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+")++)\s*+""", re.DOTALL)
_QUOTED = re.compile(r"""['"\\]""")
_PIECE = re.compile(r"""\\(['"\\ ])|'((?:[^'\\]++|\\.)*+)'|"((?:[^"\\]++|\\.)*+)"|[^\\'"]++|\\""", re.DOTALL)
_REPEATED = frozenset({"identityfile", "certificatefile"})
_ALL_WORDS = frozenset({"userknownhostsfile", "globalknownhostsfile"})
_REST_OF_LINE = frozenset({"proxycommand", "proxyjump"})
_EITHER = {"proxycommand": "proxyjump", "proxyjump": "proxycommand"}
"""Pairs of options of which the first to be set disables the other."""
_SWITCH = re.compile(r"yes|no|true|false", re.IGNORECASE)
_ALLOWED = {
    "port": re.compile(r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"),
    "connectionattempts": re.compile(r"[0-9]{1,5}"),
    "connecttimeout": re.compile(r"none|(?:[0-9]{1,9}[smhdw])*[0-9]{0,9}", re.IGNORECASE),
    "addressfamily": re.compile(r"any|inet|inet6", re.IGNORECASE),
    "identitiesonly": _SWITCH,
    "pubkeyauthentication": re.compile(r"yes|no|true|false|unbound|host-bound", re.IGNORECASE),
    "passwordauthentication": _SWITCH,
    "kbdinteractiveauthentication": _SWITCH,
    "numberofpasswordprompts": re.compile(r"[0-9]{1,5}"),
    "stricthostkeychecking": re.compile(r"yes|no|true|false|off|ask|accept-new", re.IGNORECASE),
    "user": re.compile(r"[^%$]+"),  # newer versions of ssh expand them, older ones do not
}
"""Pattern of each option's supported values."""


class Line(NamedTuple):
    """One option with its value and its place."""

    keyword: str
    """Name of the option in lower case, in its present spelling."""
    rest: str
    """The value as written."""
    words: tuple[str, ...]
    """Words of the value, unquoted and without a comment."""
    where: str
    """`FILE line N`."""

    def refuse(self, why: str, host: str | None = None) -> NoReturn:
        """Raise the error that names this line: for `host` alone if given, else for the whole run."""
        message = f"{self.where}: {why}"
        hint = "install ssh, which knows, or choose another file with --ssh-config (none for no file)"
        if host is not None:
            raise ConfigError(message, host=host, stage="config", hint=hint)
        raise UsageError(message, hint=hint)


def everything(config: str | None) -> Iterator[Line]:
    """Yield every line of the files that apply for `--ssh-config config`, included ones too, for all hosts.

    Raises:
        UsageError: a file or a line cannot be read.
    """
    for path, base in _files(config):
        yield from _with_included(path, base, depth=0)


def host_names(config: str | None) -> tuple[str, ...]:
    """Return the names of the lines `Host` that are no pattern, in order, each once.

    Raises:
        UsageError: as everything.
    """
    words = (word for line in everything(config) if line.keyword == "host" for word in line.words)
    return tuple(dict.fromkeys(word for word in words if not word.startswith("!") and not name_fault(word)))


def read(
    name: str, config: str | None, *, user: str | None = None, port: int | None = None, host: str | None = None
) -> OptionValues:
    """Return the options that the files set for `ssh [-l user] [-p port] name`, in the form of ssh -G.

    Args:
        host: the host's name in errors; None: `name`.

    Raises:
        UsageError: a file or a line cannot be read.
        HostError: a line that applies to this host needs ssh.
    """
    values: OptionValues = {}
    if user is not None:
        values["user"] = (user,)
    if port is not None:
        values["port"] = (str(port),)
    reader = _Reader(name, values, host if host is not None else name)
    for path, base in _files(config):
        reader.read(_lines(path), base)
    values["hostname"] = (reader.hostname().lower(),)
    return values


def parse(name: str, text: str, path: str) -> OptionValues:
    """Return the options of one file's text (see read); `path` is its name in errors.

    Raises:
        UsageError, HostError: as read.
    """
    reader = _Reader(name, {}, name)
    reader.read(_parsed(text, path), Path(path).parent)
    return reader.values | {"hostname": (reader.hostname().lower(),)}


def _files(config: str | None) -> list[tuple[str, Path]]:
    """Return the existing files, each with the directory for its includes. A file named explicitly must exist."""
    own = home() / ".ssh"
    if config is not None:
        return [] if config == "none" else [(config, own)]
    files = ((str(own / "config"), own), (SYSTEM_CONFIG, Path(SYSTEM_CONFIG).parent))
    return [(path, base) for path, base in files if os.access(path, os.F_OK)]


@dataclass(slots=True)
class _Reader:
    name: str
    values: OptionValues
    host: str
    """Name of the host in errors."""
    ignored: dict[str, bool] = field(default_factory=dict)
    """Unknown options, each with True if IgnoreUnknown lists it."""

    def hostname(self) -> str:
        """Return the host name as set by the lines read so far."""
        if "hostname" not in self.values:
            return self.name
        tokens = {"%h": self.name, "%%": "%"}
        return re.sub("%.", lambda token: tokens[token[0]], self.values["hostname"][0])

    def read(self, lines: Iterable[Line], base: Path, *, active: bool = True, depth: int = 0) -> None:
        """Apply the lines of one file; with active=False, none of them (it is included from a block that does not
        apply)."""
        holds = active
        for line in lines:
            if line.keyword == "host":
                holds = active and fits_host(line, self.name)
            elif line.keyword == "match":
                holds = active and self._match(line)
            elif line.keyword == "include":
                for included in _included(line, base, depth):
                    self.read(_lines(included), base, active=holds, depth=depth + 1)
            else:
                self._take(line, holds=holds)

    def _take(self, line: Line, *, holds: bool) -> None:
        keyword = line.keyword
        known = WITHOUT_SSH.get(keyword)
        if known is None:
            if self._is_ignored(keyword):
                return
            line.refuse(f"there is no option {printable(keyword)}")
        if not line.words:
            line.refuse(f"{SPELLING[keyword]} has no value")
        if not holds or known == "no effect":
            return
        if known == "refused":
            if line.words[0].lower() not in UNSET:
                line.refuse(f"{SPELLING[keyword]} needs ssh, which this machine does not have", self.host)
            return
        values = self._values(line)
        if keyword in _REPEATED:
            self.values[keyword] = tuple(dict.fromkeys((*self.values.get(keyword, ()), *values)))
            if len(self.values[keyword]) > _MOST_KEYS:
                line.refuse(f"more than {_MOST_KEYS} of {SPELLING[keyword]}", self.host)
        elif keyword not in self.values and _EITHER.get(keyword) not in self.values:
            self.values[keyword] = values

    def _is_ignored(self, keyword: str) -> bool:
        """True if the IgnoreUnknown of an earlier line lists the option."""
        if keyword not in self.ignored:
            self.ignored[keyword] = fits_list(self.values.get("ignoreunknown", ("",))[0].lower(), keyword)
        return self.ignored[keyword]

    def _match(self, line: Line) -> bool:
        """True if every criterion holds. It stops at the first that does not, as ssh does, which then runs no exec."""
        words = [part for word in line.words for part in word.split("=", 1)]
        if len(words) == 1 and words[0].lower() == "all":
            return True
        for criterion, patterns in zip_longest(words[::2], words[1::2]):
            kind = criterion.lower().removeprefix("!")
            value = self._value(kind)
            if value is None or not patterns:
                line.refuse(f'"Match {printable(criterion)}" needs ssh, which this machine does not have', self.host)
            if kind.endswith("host"):
                patterns, value = patterns.lower(), value.lower()
            if fits_list(patterns, value) == criterion.startswith("!"):
                return False
        return bool(words)

    def _value(self, criterion: str) -> str | None:
        """Return the value that a criterion of Match compares, from the lines read so far; None if only ssh has it."""
        match criterion:
            case "host":
                return self.hostname()
            case "originalhost":
                return self.name
            case "user":
                return self.values.get("user", (login_name(),))[0]
            case "localuser":
                return login_name()
            case _:
                return None

    def _values(self, line: Line) -> tuple[str, ...]:
        keyword = line.keyword
        if keyword in _REST_OF_LINE:
            return (line.rest,)
        if keyword in _ALL_WORDS:
            return line.words
        if len(line.words) > 1:
            line.refuse(f"{SPELLING[keyword]} has more than one value", self.host)
        value = line.words[0]
        allowed = _ALLOWED.get(keyword)
        if allowed and not allowed.fullmatch(value):
            line.refuse(f'{SPELLING[keyword]} cannot be "{printable(value)}" without ssh', self.host)
        if keyword == "hostname" and re.sub("%[h%]", "", value).count("%"):
            line.refuse(f'HostName cannot be "{printable(value)}" without ssh', self.host)
        return (value,)


UNSET = frozenset({"", "no", "none", "false", "ask", "internal"})
"""Values, in lower case, with which an option that only ssh supports has no effect."""


def fits_host(line: Line, name: str) -> bool:
    """Return True if a name fits the patterns of a line `Host`."""
    if not line.words:
        line.refuse("Host has no pattern")
    fitted = False
    for word in line.words:
        if word.startswith("!"):
            if fits(word[1:], name):
                return False
        else:
            fitted = fitted or fits(word, name)
    return fitted


def _with_included(path: str, base: Path, depth: int) -> Iterator[Line]:
    for line in _lines(path):
        yield line
        if line.keyword == "include":
            for included in _included(line, base, depth):
                yield from _with_included(included, base, depth + 1)


def _included(line: Line, base: Path, depth: int) -> Iterator[str]:
    """Yield the files that a line includes, in order."""
    if depth >= _MAX_DEPTH:
        line.refuse("too many files that include each other")
    for word in line.words:
        if re.search("[%$]|^~[^/]", word):
            line.refuse(f"cannot tell which files {printable(word)} means")
        pattern = home() / word[2:] if word.startswith("~/") else base / word
        yield from sorted(glob.glob(str(pattern)))  # noqa: PTH207 - Path.glob takes no absolute pattern


def _lines(path: str) -> Iterator[Line]:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(
            f"cannot read the ssh_config {path}: {error.strerror}",
            hint="choose another file with --ssh-config (none for no file)",
        ) from error
    return _parsed(text, path)


def _parsed(text: str, path: str) -> Iterator[Line]:
    """Yield the lines with an option, each with its value."""
    for number, full in enumerate(text.split("\n"), start=1):
        stripped = full.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _OPTION.match(stripped)
        keyword, rest = (match[1].lower(), stripped[match.end() :]) if match else ("", stripped)
        keyword = OTHER_NAMES.get(keyword, keyword)
        words = _words(keyword, rest)
        line = Line(keyword, rest, words or (), f"{path} line {number}")
        if match is None or "\0" in stripped:
            line.refuse("not an option with a value")
        if words is None:
            line.refuse("a quotation mark is missing")
        yield line


def _words(keyword: str, text: str) -> tuple[str, ...] | None:
    """Return the words of a value; None if a quotation does not end."""
    if keyword in _REST_OF_LINE:
        return (text,) if text else ()
    if not _QUOTED.search(text):
        return tuple(takewhile(lambda word: not word.startswith("#"), text.split()))
    words, at = [], 0
    while at < len(text) and text[at] != "#":
        match = _WORD.match(text, at)
        if match is None:
            return None
        words.append(re.sub(_PIECE, _unquoted, match[1]))
        at = match.end()
    return tuple(words)


def _unquoted(piece: re.Match[str]) -> str:
    quoted = piece[2] if piece[2] is not None else piece[3]
    if quoted is not None:
        return re.sub(r"""\\(['"\\])""", r"\1", quoted)
    return piece[1] or piece[0]
