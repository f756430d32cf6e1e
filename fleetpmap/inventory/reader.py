"""Find and load an inventory file.   inventory.toml, Ansible's files ─► [reader] ─► Inventory ─► selection

    TOML                         ─► tomllib ─► toml_tables ┐ each table   ─► layers: the nearest table wins
    JSON of `ansible-inventory --list`      ─► ansible     ┘ is checked
    INI, YAML, a directory       ─► ansible-inventory ─► its JSON, as above

All mistakes of a file are reported together, each with its address.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleetpmap.errors import InventoryError, Mistake
from fleetpmap.inventory import ansible
from fleetpmap.inventory.hosts import Inventory
from fleetpmap.inventory.layers import build_inventory
from fleetpmap.inventory.settings import Table
from fleetpmap.inventory.toml_tables import read_tables

VARIABLE = "FLEETPMAP_INVENTORY"
FILE_NAME = "inventory.toml"

_ANSIBLE_SUFFIXES = frozenset({".yml", ".yaml", ".ini", ".cfg"})
_OUR_TABLE = re.compile(r"^\s*\[(defaults\]|groups\.|hosts\.)", re.MULTILINE)
_TOML_PLACE = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)
_EXCESSIVE = (RecursionError, ValueError)
"""Errors of the parsers for valid texts that exceed Python's limits: a thousand brackets, 4,300 digits."""
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w.-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY}){{64}}")
"""A dotted key of 65 parts or more, refused because tomllib's time is quadratic in them (96 s for 170,000)."""
_WHERE_FROM = f"the inventory is named by -i/--inventory or ${VARIABLE}, or is ./{FILE_NAME}"


def find_inventory(option: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the inventory to load: the value of -i, else $FLEETPMAP_INVENTORY, else ./inventory.toml, else the one in
    the XDG configuration directory; None if there is none of them.

    A file that the user named is returned even if it does not exist: load() reports that.
    """
    named = option if option is not None else environ.get(VARIABLE)
    if named or option is not None:
        return Path(os.path.expanduser(named or ""))  # noqa: PTH111 - leaves a ~ that has no home; Path's raises
    return next((path for path in _usual_places(environ) if _is_file(path)), None)


def _usual_places(environ: Mapping[str, str]) -> list[Path]:
    places = [Path(FILE_NAME)]
    config = Path(environ.get("XDG_CONFIG_HOME", ""))
    if config.is_absolute():  # the XDG specification: a relative one is ignored
        places.append(config / "fleetpmap" / FILE_NAME)
    elif home := environ.get("HOME"):
        places.append(Path(home) / ".config" / "fleetpmap" / FILE_NAME)
    return places


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory without search permission counts as one without an inventory
        return False


def load(file: str | Path) -> Inventory:
    """Load an inventory from a TOML file, or from one of Ansible's files or directories.

    Hosts are in the file's order; names are lower-cased; a node set (in a group, or as the name of a host table) stands
    for its hosts. A relative identity_file or known_hosts is resolved against the file's directory (in an inventory of
    Ansible against the working directory, as Ansible does); `~` stays.

    Raises:
        InventoryError: the file cannot be read, is none of these, or has mistakes; the error has all of them.
    """
    path = Path(file)
    return parse(path, None if _is_ansibles_directory(path) else _bytes(path))


def parse(path: Path, content: bytes | None) -> Inventory:
    """Parse a file's content, as load does; None stands for an inventory that only Ansible can read.

    Raises:
        InventoryError: as load.
    """
    text = None if content is None else _text(path, content)
    mistakes: list[Mistake] = []
    notes: Mapping[str, Sequence[str]] = {}
    if text is not None and (document := _toml(path, text)) is not None:
        tables = read_tables(document, path.absolute().parent, mistakes)
    else:
        is_listing = text is not None and _is_json(path, text)
        listed = text if text is not None and is_listing else ansible.listing(path)
        tables, unused = ansible.read_listing(_json(path, listed), Path.cwd(), mistakes)
        notes = unused.hosts_of
    inventory = build_inventory(tables, str(path), mistakes)
    if mistakes:
        raise InventoryError(str(path), tuple(mistakes))
    return replace(inventory, notes={note: tuple(hosts) for note, hosts in notes.items()})


def _is_ansibles_directory(path: Path) -> bool:
    try:
        return path.is_dir() and not (path / FILE_NAME).exists()
    except OSError:
        return False  # opening it will fail too, and report the reason


def _text(path: Path, content: bytes) -> str:
    try:
        # utf-8-sig: some editors write a byte order mark at the beginning, which tomllib rejects.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"not a text in UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise _whole_file(path, what, "save it as UTF-8") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _whole_file(path, "no such file", _WHERE_FROM) from error
    except IsADirectoryError as error:
        raise _whole_file(path, "a directory, not a file", f"name the file: {path / FILE_NAME}") from error
    except OSError as error:
        raise _whole_file(path, f"cannot be read: {error.strerror}", _WHERE_FROM) from error


def _is_json(path: Path, text: str) -> bool:
    return path.suffix.lower() == ".json" or text.lstrip().startswith("{")


def _json(path: Path, text: str | bytes) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        hint = f"use what `{ansible.PROGRAM} --list` prints"
        raise InventoryError(str(path), (Mistake(f"not valid JSON: {error.msg}", place),), hint=hint) from error
    except _EXCESSIVE as error:
        raise _excessive(path) from error


def _toml(path: Path, text: str) -> Table | None:
    """Parse TOML; None if the file is Ansible's, by its suffix or, without one, because it is not TOML."""
    suffix = path.suffix.lower()
    if suffix in _ANSIBLE_SUFFIXES or (suffix != ".toml" and (_is_json(path, text) or text.startswith(("---", "#!")))):
        return None
    if _LONG_KEY.search(text):
        raise _excessive(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if not suffix and not _OUR_TABLE.search(text):
            return None
        what, place = str(error), ""
        if match := _TOML_PLACE.fullmatch(what):
            what, place = match.groups()
        hint = 'names with brackets or dots need quotes: [hosts."web[01-20]"]'
        raise InventoryError(str(path), (Mistake(f"not valid TOML: {what}", place),), hint=hint) from error
    except _EXCESSIVE as error:
        raise _excessive(path) from error


def _excessive(path: Path) -> InventoryError:
    return _whole_file(path, "nested too deep, or a number too long, to be read", "is it an inventory?")


def _whole_file(path: Path, what: str, hint: str) -> InventoryError:
    return InventoryError(str(path), (Mistake(what, ""),), hint=hint)
