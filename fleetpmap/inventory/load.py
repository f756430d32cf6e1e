"""An inventory file to an Inventory.   inventory.toml ─► [load] ─► selection

find_inventory says which file; load reads it: text ─► tomllib ─► document (each table checked) ─► layers (nearest
wins). Every mistake of a file is reported at once, each with its address. Only TOML is read so far; a file that is
clearly something else is told so.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from fleetpmap.errors import InventoryError, Mistake
from fleetpmap.inventory.document import read_tables
from fleetpmap.inventory.layers import build_inventory
from fleetpmap.inventory.model import Inventory
from fleetpmap.inventory.settings import Table

VARIABLE = "FLEETPMAP_INVENTORY"
FILE_NAME = "inventory.toml"

_OTHER_FORMATS = {".json": "JSON", ".yml": "YAML", ".yaml": "YAML", ".ini": "INI", ".cfg": "INI"}
_TOML_PLACE = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)
_WHERE_FROM = f"the inventory is named by -i/--inventory or ${VARIABLE}, or is ./{FILE_NAME}"


def find_inventory(option: str | None, environ: Mapping[str, str]) -> Path | None:
    """The inventory to read: what -i says, else $FLEETPMAP_INVENTORY, else ./inventory.toml, else the one in the XDG
    configuration directory; None if there is none of them.

    A file that the user named is returned whether it exists or not: load() says what is wrong with it.
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
    except OSError:  # a directory that we may not look into has no inventory for us
        return False


def load(file: str | Path) -> Inventory:
    """The inventory in a TOML file.

    Hosts come in the file's order; names are lower-cased; a node set (in a group, or as the name of a host table)
    stands for its hosts. A relative identity_file or known_hosts is taken from the directory of the file, `~` stays.

    Raises:
        InventoryError: the file cannot be read or is not TOML, or else every mistake that is in it.
    """
    path = Path(file)
    document = _toml(path, _text(path))
    mistakes: list[Mistake] = []
    tables = read_tables(document, path.absolute().parent, mistakes)
    inventory = build_inventory(tables, str(path), mistakes)
    if mistakes:
        raise InventoryError(str(path), tuple(mistakes))
    return inventory


def _text(path: Path) -> str:
    try:
        # utf-8-sig: some editors begin a file with a byte order mark, and tomllib stumbles over it.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"not a text in UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        raise _whole_file(path, what, "save it as UTF-8") from error
    except FileNotFoundError as error:
        raise _whole_file(path, "no such file", _WHERE_FROM) from error
    except IsADirectoryError as error:
        raise _whole_file(path, "a directory, not a file", f"name the file: {path / FILE_NAME}") from error
    except OSError as error:
        raise _whole_file(path, f"cannot be read: {error.strerror}", _WHERE_FROM) from error


def _toml(path: Path, text: str) -> Table:
    other = _OTHER_FORMATS.get(path.suffix.lower())
    # No TOML begins like this; a file that Ansible wrote may well have no suffix.
    other = other or ("JSON" if text.lstrip().startswith("{") else "YAML" if text.startswith("---") else None)
    if other is not None:
        raise _whole_file(
            path, f"looks like {other}, and only TOML inventories are read so far", "write inventory.toml"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, place = str(error), ""
        if match := _TOML_PLACE.fullmatch(what):
            what, place = match.groups()
        hint = 'names with brackets or dots need quotes: [hosts."web[01-20]"]'
        raise InventoryError(str(path), (Mistake(f"not valid TOML: {what}", place),), hint=hint) from error


def _whole_file(path: Path, what: str, hint: str) -> InventoryError:
    return InventoryError(str(path), (Mistake(what, ""),), hint=hint)
