"""How it runs, and how much it says.   command line ─► [options.how] ─► the commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from fleetpmap.cli.option_values import HostKey, TransportChoice, seconds, whole_number
from fleetpmap.cli.options.panels import RUNNING

_Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        metavar="",
        show_default=False,
        rich_help_panel=RUNNING,
        help="Say how each host was read, and the self-check. -vv: check the sums too, against smaps_rollup (the "
        "kernel walks the page tables a second time), and show what else the hosts said.",
    ),
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", metavar="", rich_help_panel=RUNNING, help="No notes on stderr, only errors.")
]


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """What is said besides, where nobody is asked."""

    verbose: _Verbose = 0
    quiet: _Quiet = False


@dataclass(frozen=True, slots=True)
class RunningOptions:
    """How it runs."""

    jobs: Annotated[
        int,
        typer.Option(
            "-j", "--jobs", metavar="N", parser=whole_number(1), rich_help_panel=RUNNING, help="Hosts at once."
        ),
    ] = 32
    connect_timeout: Annotated[
        float | None,
        typer.Option(
            "--connect-timeout",
            metavar="S",
            parser=seconds,
            rich_help_panel=RUNNING,
            help="Seconds until the login is done. Default: the inventory's, ssh_config's, else 10.",
            show_default=False,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="S",
            parser=seconds,
            rich_help_panel=RUNNING,
            help="Seconds for all of one host. Default: 60.",
            show_default=False,
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            metavar="N",
            parser=whole_number(0),
            rich_help_panel=RUNNING,
            help="Try again what fails before login and may pass: a host that hangs up or resets. Default: 1.",
            show_default=False,
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="S",
            parser=seconds,
            rich_help_panel=RUNNING,
            help="Seconds for the whole run; then it reports what came and exits 124. Default: none.",
            show_default=False,
        ),
    ] = None
    sudo: Annotated[
        bool | None,
        typer.Option(
            "--sudo/--no-sudo",
            metavar="",
            rich_help_panel=RUNNING,
            help="Read as root by sudo, or doas. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    ask_pass: Annotated[
        bool,
        typer.Option(
            "--ask-pass",
            metavar="",
            rich_help_panel=RUNNING,
            help="Ask, once, for the password to log in with where no key will do.",
        ),
    ] = False
    ask_become_pass: Annotated[
        bool,
        typer.Option(
            "--ask-become-pass",
            metavar="",
            rich_help_panel=RUNNING,
            help="Ask, once, for the password that sudo wants.",
        ),
    ] = False
    password_command: Annotated[
        str | None,
        typer.Option(
            "--password-command",
            metavar="CMD",
            rich_help_panel=RUNNING,
            help="Instead of asking, run this (no shell) and take the first line that it prints: the login password, "
            "or what --ask-pass and --ask-become-pass would ask for.",
        ),
    ] = None
    host_key: Annotated[
        HostKey | None,
        typer.Option(
            "--host-key",
            metavar="POLICY",
            rich_help_panel=RUNNING,
            help="An unknown host's key: strict refuses it, accept-new trusts it. Default: ssh_config's, else strict.",
            show_default=False,
        ),
    ] = None
    known_hosts: Annotated[
        list[str],
        typer.Option("--known-hosts", metavar="FILE", rich_help_panel=RUNNING, help="Host keys, instead of ssh's."),
    ] = field(default_factory=list)
    ssh_config: Annotated[
        str | None,
        typer.Option("--ssh-config", metavar="FILE", rich_help_panel=RUNNING, help="As ssh -F; none: no file."),
    ] = None
    transport: Annotated[
        TransportChoice | None,
        typer.Option(
            "--transport",
            metavar="NAME",
            rich_help_panel=RUNNING,
            help="ssh is our own SSH client, openssh the system's. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    once_per_machine: Annotated[
        bool,
        typer.Option(
            "--once-per-machine",
            metavar="",
            rich_help_panel=RUNNING,
            help="Count a machine that answers under several names once, under the first.",
        ),
    ] = False
    rollup: Annotated[
        bool,
        typer.Option(
            "--rollup",
            metavar="",
            rich_help_panel=RUNNING,
            help="Read smaps_rollup, a sum for each process: fewer bytes, but the kernel walks no less. Only for the "
            "views hosts and processes.",
        ),
    ] = False
    verbose: _Verbose = 0
    quiet: _Quiet = False
