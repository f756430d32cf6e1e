"""Check the values of an inventory's keys.   toml_tables, ansible_vars ─► [settings] ─► layers

Each key of hosts.SETTINGS has a checker. It returns the value as Host stores it, or raises ValueError with half a
sentence (`expected an integer, got "22a"`), to which the caller adds the address.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, get_args

from fleetpmap.inventory.hosts import TransportName
from fleetpmap.inventory.names import name_fault, nearest, user_fault

Table = Mapping[str, object]
"""A table as tomllib returns it."""

LABEL = "labels."
"""Prefix of a label's key. Labels merge key by key, so each is a setting of its own: `labels.rack`."""


def show(value: object) -> str:
    """Return a value as it stands in the file, short enough for a sentence."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool() | str() | tuple():
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= 60 else text[:57] + '…"'
        case _:
            return str(value)


def address_of(*keys: str) -> str:
    """Return the address of a place in TOML's form: `hosts."web.example.com".port`."""
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"' for key in keys)


def _expected(what: str, value: object) -> ValueError:
    return ValueError(f"expected {what}, got {show(value)}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _expected("a string", value)
    if not value.strip():
        raise ValueError("expected a string, got an empty one")
    return value


def _address(value: object) -> str:
    text = _text(value)
    if fault := name_fault(text):
        raise ValueError(f"expected a name or an IP address, got {show(text)}: {fault}")
    return text


def _user(value: object) -> str:
    text = _text(value)
    if fault := user_fault(text):
        raise ValueError(f"expected a login name, got {show(text)}: {fault}")
    return text


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _expected("an integer", value)
    if not 1 <= value <= 65535:
        raise _expected("a port from 1 to 65535", value)
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _expected("a number of seconds", value)
    if not math.isfinite(value) or value <= 0:
        raise _expected("a positive number of seconds", value)
    return float(value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def _transport(value: object) -> str:
    choices = get_args(TransportName)
    if value not in choices:
        raise _expected(", ".join(f'"{choice}"' for choice in choices[:-1]) + f' or "{choices[-1]}"', value)
    return str(value)


def _jump(value: object) -> str:
    text = _text(value)
    if text.startswith("-") or re.search(r"\s", text):
        raise _expected("[user@]host[:port], comma-separated for a chain", value)
    return text


def _proc_root(value: object) -> str:
    text = _text(value)
    if not text.startswith("/"):
        raise _expected("an absolute path", value)
    return text


def _files(value: object, base: Path) -> tuple[str, ...]:
    """Check one path or several. A relative path is resolved against `base`; `~` is left to the transport."""
    listed = value if isinstance(value, list) else [value]
    paths = [path for path in listed if isinstance(path, str) and path.strip()]
    if len(paths) < len(listed):
        raise _expected("a path or a list of paths", value)
    return tuple(path if path.startswith("~") else str(base / path) for path in paths)


def _labels(value: object) -> NoReturn:
    # A table of labels was flattened by the caller, so this value is of another type.
    raise _expected('a table such as { rack = "r1" }', value)


_CHECKERS: Mapping[str, Callable[[object], object]] = {
    "address": _address,
    "user": _user,
    "port": _port,
    "transport": _transport,
    "proxy_jump": _jump,
    "sudo": _switch,
    "proc_root": _proc_root,
    "connect_timeout_s": _seconds,
    "timeout_s": _seconds,
    "zone": _text,
    "labels": _labels,
}


def check(key: str, value: object, base: Path) -> object:
    """Return the value as Host stores it; `labels.NAME` is the key of one label.

    Raises:
        ValueError: the key does not accept the value; the message is half a sentence.
    """
    if key in ("identity_file", "known_hosts"):
        return _files(value, base)
    return _text(value) if key.startswith(LABEL) else _CHECKERS[key](value)


def unknown_key(key: str, known: tuple[str, ...]) -> str:
    """Return the message about an unknown key, with the most similar known one."""
    similar = nearest(key, known)
    return f'unknown key, did you mean "{similar}"?' if similar else f"unknown key, known are {' '.join(known)}"
