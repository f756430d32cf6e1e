"""Questions to ssh about one host.   host name, SshOptions ─► [ssh_query] ─► host_settings.SshSettings

`ssh -G NAME` prints every setting for one host, with `Include` and `Match` applied; no other program implements them
all. Its output is `keyword value` lines, lower case, unquoted; `identityfile` and `certificatefile` repeat. A call
costs 4-9 ms, so one call serves all hosts that the files treat alike: those that fit the same `Host` lines, unless a
line depends on the name in another way. On a machine without ssh, config_files reads the files as far as it can.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection
from concurrent.futures import Future
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from fleetpmap.errors import DeadlineError, HostError, ResolveError, UsageError
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh_config import config_files
from fleetpmap.transport.ssh_config.host_settings import OptionValues, SshSettings, host_error, settings_from
from fleetpmap.transport.ssh_config.keywords import BUILT_IN

_TIMEOUT_S = 10.0
"""Seconds to wait for `ssh -G`, which runs the user's commands for `Match exec`, unless the caller sets another
time."""
_ANY_HOST = "any.invalid"
"""Placeholder for every host, if the files make no difference between hosts."""
_DEPENDS_ON_HOST = frozenset({"match", "canonicalizehostname", "canonicaldomains"})
_WORD = re.compile(r"[\w.-]+")
_USUAL_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
"""Pattern of names that ssh accepts, and that it changes in no way."""
_PATHS_OF_KEYS = ("identityfile", "certificatefile")
"""Options whose text `ssh -G` prints with its tokens and variables."""
_EXPANDED_BY_NEWER = ("userknownhostsfile", "identityagent")
"""Options whose tokens and variables newer versions of ssh expand before printing."""
_OF_FILE = re.compile(r" line \d+: |^Can't open user config file|^Bad owner or permissions on")
"""Pattern of an error that ssh reports for every host."""
_CORRECT_IT = "correct that line, or choose another file with --ssh-config (none for no file)"


def resolve(
    name: str,
    options: SshOptions,
    *,
    user: str | None = None,
    port: int | None = None,
    host: str | None = None,
    seconds: float | None = None,
) -> SshSettings:
    """Return the settings for `ssh [-l user] [-p port] name`.

    Args:
        host: the host's name in errors; None: `name`.
        seconds: time limit of ssh; None: 10 s.

    Raises:
        UsageError: ssh rejects its configuration for every host; the message is ssh's, with file and line.
        HostError: ssh rejects the name, or the configuration of this host.
    """
    host = host if host is not None else name
    if _ssh(os.environ.get("PATH")) is None:
        values = config_files.read(name, options.ssh_config, user=user, port=port, host=host)
        return settings_from(name, values, options, host=host)
    call = _Call(name, user, port, options.ssh_config, seconds=seconds or _TIMEOUT_S)
    try:
        values = _option_values(call)
        if any("%C" in path for option in _PATHS_OF_KEYS for path in values.get(option, ())):
            values |= {"%C": _ask(call._replace(extra=("ControlPath=%C",)))["controlpath"]}
        return settings_from(name, values, options, host=host, expanded=_expanded_by_ssh(values))
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(
            f"`ssh -G {name}` did not say within {call.seconds:g} s what ssh_config means for this host",
            host=host,
            stage="config",
            hint="see which `Match exec` in ssh_config takes so long, or give it more time with --connect-timeout",
        ) from error
    except _RefusedError as error:
        raise _refusal(error.complaint, name, host) from error


class _RefusedError(Exception):
    """ssh rejected its configuration, for every host or for one."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.complaint = complaint


class _Call(NamedTuple):
    """Arguments of one `ssh -G`."""

    name: str
    user: str | None
    port: int | None
    config: str | None
    extra: tuple[str, ...] = ()
    """Options that precede the files."""
    seconds: float = _TIMEOUT_S
    """Time limit in seconds."""

    def run(self) -> OptionValues:
        """Run ssh and return the values that it prints, by option.

        Raises:
            _RefusedError: ssh exited with an error.
        """
        argv = ["ssh", "-G", "-T"]
        argv += ["-F", self.config] if self.config else []
        argv += [word for option in self.extra for word in ("-o", option)]
        argv += ["-l", self.user] if self.user else []
        argv += ["-p", str(self.port)] if self.port else []
        # The name is data: after `--` it cannot be an option.
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            [*argv, "--", self.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
        )
        if done.returncode != 0:
            raise _RefusedError(done.stderr.decode(errors="replace").strip())
        values: dict[str, tuple[str, ...]] = {}
        for line in done.stdout.decode(errors="surrogateescape").split("\n"):
            keyword, _, value = line.partition(" ")
            values[keyword.lower()] = (*values.get(keyword.lower(), ()), value)
        return values


def _option_values(call: _Call) -> dict[str, tuple[str, ...]]:
    """Return ssh's values, from one call for all hosts if possible, without algorithms that are only ssh's default.

    The built-in client has its own order of algorithms, which should hold unless ssh_config sets another.
    """
    survey = _survey(call.config)
    example = _example(call.name, call.config, survey)
    if example is not None:
        values = dict(_ask(_Call(example, None, None, call.config, seconds=call.seconds)))
        if values["hostname"] == (example,):  # else a line of all these hosts sets it
            values["hostname"] = (call.name.lower(),)
        values |= {"user": (call.user,)} if call.user is not None else {}
        values |= {"port": (str(call.port),)} if call.port is not None else {}
    else:
        values = dict(_ask(call))
    own_choice = _ask(_Call(_ANY_HOST, None, None, "none", seconds=call.seconds)) if survey.names_algorithms else values
    for option in BUILT_IN:
        if values.get(option) == own_choice.get(option):
            values.pop(option, None)
    return values


_examples: dict[tuple[str | None, tuple[bool, ...]], str] = {}
"""The first host of each kind that was asked for, by the file and the `Host` lines that it fits."""


def _example(name: str, config: str | None, survey: _Survey) -> str | None:
    """Return a name for which ssh prints the same as for this one, but for the name; None if only ssh can tell."""
    if survey.host_lines is None:
        return None
    if not survey.words:
        return _ANY_HOST
    # A name that a line mentions can be a HostName, or a jump host that needs no jump.
    if name in survey.words or not _USUAL_NAME.fullmatch(name):
        return None
    return _examples.setdefault((config, survey.kind_of(name)), name)


def _expanded_by_ssh(values: OptionValues) -> Collection[str]:
    """Return the options that `ssh -G` prints expanded. Older versions print every option as written."""
    if not any("%" in value or "$" in value for option in _EXPANDED_BY_NEWER for value in values.get(option, ())):
        return ()  # both are the same, without the price of a call
    probe = _ask(_Call(_ANY_HOST, None, None, "none", ("UserKnownHostsFile=%%", "IdentityAgent=%%")))
    return [option for option in _EXPANDED_BY_NEWER if probe.get(option) == ("%",)]


_answers: dict[_Call, Future[OptionValues]] = {}
_asking = Lock()


def _ask(call: _Call) -> OptionValues:
    """Return ssh's reply, cached for the run. A thread with the same call waits for the reply to the first one."""
    with _asking:
        is_first = call not in _answers
        answer = _answers.setdefault(call, Future())
    if is_first:
        try:
            answer.set_result(call.run())
        except BaseException as error:
            del _answers[call]
            answer.set_exception(error)
    return answer.result()


@lru_cache(maxsize=4)
def _ssh(path: str | None) -> str | None:
    """Return the path of ssh for this PATH. Cached, so the search is made once per run and not per host."""
    return shutil.which("ssh", path=path)


def _refusal(complaint: str, name: str, host: str) -> UsageError | HostError:
    """Return the error for ssh's complaint: an unreadable line concerns every host, all else this host alone."""
    if "invalid characters" in complaint:
        return ResolveError(
            f'ssh does not accept the host name "{name}"', host=host, stage="dns", hint="set address for this host"
        )
    lines = complaint.splitlines() or ["no reason given"]
    if of_file := next(filter(_OF_FILE.search, lines), None):
        return UsageError(f"ssh refuses its configuration: {of_file}", hint=_CORRECT_IT)
    return host_error(host, f"ssh refuses what its configuration says of it: {lines[0]}")


class _Survey(NamedTuple):
    host_lines: tuple[config_files.Line, ...] | None
    """The `Host` lines with a wildcard but `Host *`, which alone can fit a host that no line mentions; None if the
    values for a host can also depend on its name in another way."""
    words: frozenset[str]
    """All words of all lines, in lower case; none if no line is of some hosts only."""
    names_algorithms: bool
    """True if they name ciphers or other algorithms."""

    def kind_of(self, name: str) -> tuple[bool, ...]:
        """Return for each of `host_lines` whether a name fits it."""
        return tuple(config_files.fits_host(line, name) for line in self.host_lines or ())


@lru_cache(maxsize=64)
def _survey(config: str | None) -> _Survey:
    """Find out which kinds of options the files contain. If they are unreadable, both answers are the cautious ones."""
    try:
        lines = list(config_files.everything(config))
    except UsageError:
        return _Survey(None, frozenset(), names_algorithms=True)
    depends_on_name = any(line.keyword in _DEPENDS_ON_HOST or "%" in line.rest for line in lines)
    of_hosts = [line for line in lines if line.keyword == "host" and line.words != ("*",)]
    is_named = bool(of_hosts) or any(line.keyword == "hostname" for line in lines)
    return _Survey(
        host_lines=None if depends_on_name else tuple(line for line in of_hosts if {*"*?"} & {*line.rest}),
        words=frozenset(word.lower() for line in lines for word in _WORD.findall(line.rest) if is_named),
        names_algorithms=any(line.keyword in BUILT_IN for line in lines),
    )
