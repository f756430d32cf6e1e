"""Options of the run: SSH, limits of time, notes on stderr.   command line ─► [options.how] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fleetpmap.catalogue import ROLLUP_VIEWS, listed
from fleetpmap.cli.option_values import HostKey, TransportChoice, seconds, whole_number
from fleetpmap.cli.options.panels import RUNNING, option
from fleetpmap.defaults import JOBS

_running = partial(option, RUNNING)

_Verbose = Annotated[
    int,
    _running(
        "-v --verbose",
        "Print how each host was read, and the self-check. -vv: also check the sums against smaps_rollup (the kernel "
        "walks the page tables a second time), and print the other output of the hosts.",
        count=True,
        show_default=False,
    ),
]
_Quiet = Annotated[bool, _running("--quiet", "No notes on stderr, only errors.")]


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """Options for notes on stderr, for commands that ask no host."""

    verbose: _Verbose = 0
    quiet: _Quiet = False


@dataclass(frozen=True, slots=True)
class RunningOptions:
    """Options of commands that ask hosts."""

    jobs: Annotated[int, _running("-j --jobs N", "Hosts at once.", parser=whole_number(1))] = JOBS
    connect_timeout: Annotated[
        float | None,
        _running(
            "--connect-timeout S",
            "Seconds until the login is done. Default: the inventory's, ssh_config's, else 10.",
            parser=seconds,
        ),
    ] = None
    timeout: Annotated[
        float | None, _running("--timeout S", "Seconds for everything on one host. Default: 60.", parser=seconds)
    ] = None
    retries: Annotated[
        int | None,
        _running(
            "--retries N",
            "Try a host again N times if it hangs up or resets the connection before the login. Default: 1.",
            parser=whole_number(0),
        ),
    ] = None
    deadline: Annotated[
        float | None,
        _running(
            "--deadline S",
            "Seconds for the whole run; then it reports the hosts that answered and exits with 124. Default: none.",
            parser=seconds,
        ),
    ] = None
    sudo: Annotated[
        bool | None, _running("--sudo/--no-sudo", "Read as root by sudo, or doas. Default: the inventory's.")
    ] = None
    ask_pass: Annotated[
        bool, _running("--ask-pass", "Ask once for the login password, used where no key is accepted.")
    ] = False
    ask_become_pass: Annotated[bool, _running("--ask-become-pass", "Ask once for the password of sudo.")] = False
    password_command: Annotated[
        str | None,
        _running(
            "--password-command CMD",
            "Run this program (no shell) instead of asking, and take the first line of its output: the login password, "
            "or the one that --ask-pass and --ask-become-pass would ask for.",
        ),
    ] = None
    host_key: Annotated[
        HostKey | None,
        _running(
            "--host-key POLICY",
            "For an unknown host key: strict refuses it, accept-new trusts it. Default: ssh_config's, else strict.",
        ),
    ] = None
    known_hosts: Annotated[list[str], _running("--known-hosts FILE", "File of host keys, instead of ssh's.")] = field(
        default_factory=list
    )
    ssh_config: Annotated[str | None, _running("--ssh-config FILE", "As ssh -F; none: no file.")] = None
    transport: Annotated[
        TransportChoice | None,
        _running("--transport NAME", "ssh: the built-in client; openssh: the system's. Default: the inventory's."),
    ] = None
    once_per_machine: Annotated[
        bool, _running("--once-per-machine", "Count a machine that answers under several names once, under the first.")
    ] = False
    rollup: Annotated[
        bool,
        _running(
            "--rollup",
            f"Read smaps_rollup, one sum for each process: fewer bytes, but the same work for the kernel. Only for the "
            f"views {listed(ROLLUP_VIEWS)}.",
        ),
    ] = False
    verbose: _Verbose = 0
    quiet: _Quiet = False
