"""The private names of paramiko that we call or override: all are listed here, and all are there.

An override of a name that paramiko gave up would fail silently. A release of paramiko is allowed in pyproject.toml once
these tests, and the rest of the suite, have passed with it.
"""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path

import paramiko
import pytest
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.buffered_pipe import BufferedPipe
from paramiko.packet import Packetizer
from paramiko.transport import ServiceRequestingTransport

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "fleetpmap/transport/ssh").glob("*.py"))

CLASSES: list[tuple[type, tuple[str, ...]]] = [
    (
        ServiceRequestingTransport,
        (
            "_active_check_timeout",
            "_next_channel",
            "_parse_channel_open_failure",
            "_parse_debug",
            "_parse_disconnect",
            "_parse_kex_init",
            "_parse_service_accept",
            "_really_parse_kex_init",
            "_send_message",
            "_send_user_message",
            "_unlink_channel",
        ),
    ),
    (
        paramiko.Channel,
        ("_check_add_window", "_event_pending", "_handle_close", "_set_transport", "_set_window", "_unlink"),
    ),
    (AuthOnlyHandler, ("_client_handler_table", "_parse_userauth_failure")),
    (Packetizer, ("_read_timeout",)),
]
"""Per class, the attributes that the class itself has."""
OF_INSTANCES = {"_channels": ServiceRequestingTransport, "_initial_kex_done": Packetizer}
"""Attributes that an instance gets when it is made."""
PUBLIC = [
    (Packetizer, ("read_all", "read_message", "readline", "send_message", "start_handshake")),
    (BufferedPipe, ("close", "feed", "read_ready")),
    (paramiko.Message, ("get_bytes", "get_mpint")),
    (ServiceRequestingTransport, ("ensure_session", "get_auth_handler", "get_exception")),
]
"""Overrides of names that are public and not documented."""
OURS_TOO = {"_agent", "_file", "_keys", "_request", "_send"}
"""Names of ours that paramiko happens to have somewhere else."""


def private_names(tree: ast.AST) -> set[str]:
    """The names with one underscore that are defined or used as attributes."""
    names = {one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute)}
    for one in ast.walk(tree):
        if isinstance(one, ast.ClassDef):
            names |= {part.name for part in one.body if isinstance(part, ast.FunctionDef)}
            names |= {part.id for line in one.body for part in ast.walk(line) if isinstance(part, ast.Name)}
    return {name for name in names if re.match("_[a-z]", name)}


def test_every_private_name_in_use_is_listed() -> None:
    """Every name that our files define or use and that paramiko has is in the list, accidental overrides too."""
    ours = set().union(*(private_names(ast.parse(file.read_text())) for file in FILES))
    theirs: set[str] = set()
    for file in Path(paramiko.__file__).parent.glob("*.py"):
        theirs |= private_names(ast.parse(file.read_text()))
    listed = {name for _, names in CLASSES for name in names} | OF_INSTANCES.keys()
    assert sorted((ours & theirs) - OURS_TOO - listed) == []
    # The names of preferences are put together from two parts.
    assert [name for name in sorted(listed - ours) if not name.startswith("_preferred_")] == []


@pytest.mark.parametrize(("owner", "names"), CLASSES + PUBLIC)
def test_every_listed_name_is_there(owner: type, names: tuple[str, ...]) -> None:
    """Each name is in the class that we use or inherit from."""
    assert [name for name in names if not hasattr(owner, name)] == []


@pytest.mark.parametrize(("name", "owner"), OF_INSTANCES.items())
def test_every_listed_attribute_is_set(name: str, owner: type) -> None:
    """By the class or one that it inherits from."""
    for one in owner.__mro__[:-1]:
        module = Path(paramiko.__file__).parent / f"{one.__module__.rpartition('.')[2]}.py"
        if f"self.{name} = " in module.read_text():
            return
    pytest.fail(f"{owner.__name__} sets no {name}")


def test_the_pin_says_which_release_was_run() -> None:
    """pyproject.toml allows the minor release that these tests run with, and no later one."""
    major, minor = version("paramiko").split(".")[:2]
    pin = re.search(
        r'"paramiko>=(\d+\.\d+),<(\d+\.\d+)".*tested up to (\d+\.\d+\.\d+)', (ROOT / "pyproject.toml").read_text()
    )
    assert pin is not None
    assert pin.groups() == (f"{major}.{minor}", f"{major}.{int(minor) + 1}", version("paramiko"))
