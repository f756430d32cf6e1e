"""Find and load an inventory file.   inventory.toml, Ansible's files ─► [reader] ─► Inventory ─► selection

    TOML                         ─► tomllib ─► toml_tables ┐ each table   ─► layers: the nearest table wins
    JSON of `ansible-inventory --list`      ─► ansible     ┘ is checked
    INI, YAML, a directory       ─► ansible-inventory ─► its JSON, as above
    INI without that program     ─► ansible_ini, as far as it is plain ─► the same

The message about a list of hosts, or the output of kubectl, names the option that takes it. All mistakes of a file are
reported together, each with its address.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleetpmap.errors import InventoryError, Mistake
from fleetpmap.inventory import ansible
from fleetpmap.inventory.ansible_ini import read_ini
from fleetpmap.inventory.hosts import Inventory
from fleetpmap.inventory.layers import build_inventory
from fleetpmap.inventory.other_programs import is_list, path_in, table_of
from fleetpmap.inventory.settings import Table
from fleetpmap.inventory.toml_tables import read_tables

VARIABLE = "FLEETPMAP_INVENTORY"
FILE_NAME = "inventory.toml"
MOST_BYTES = 64 * 2**20
"""The largest inventory; one of 100,000 hosts, each with a table of its own, has a sixth of that."""

_ANSIBLE_SUFFIXES = frozenset({".yml", ".yaml", ".ini", ".cfg"})
_OUR_TABLE = re.compile(r"^[ \t]*+\[(defaults\]|groups\.|hosts\.)", re.MULTILINE)
_TOML_PLACE = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)
_LONGEST_QUOTED = 80
"""Characters of a line that a hint quotes."""
_EXCESSIVE = (RecursionError, ValueError)
"""Errors of the parsers for valid texts that exceed Python's limits: a thousand brackets, 4,300 digits."""
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w.-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY}){{64}}")
"""A dotted key of 65 parts or more, refused because tomllib's time is quadratic in them (96 s for 170,000)."""
_JSON = re.compile(r'\s*+(?:\{|\[\s*+["{])')
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
    hint = ""
    if text is not None and (document := _toml(path, text)) is not None:
        tables = read_tables(document, path.absolute().parent, mistakes)
    else:
        listing, hint = _ansibles(path, text, mistakes)
        tables, unused = ansible.read_listing(listing, Path.cwd(), mistakes)
        notes = unused.hosts_of
    inventory = build_inventory(tables, str(path), mistakes)
    if mistakes:
        raise InventoryError(str(path), tuple(mistakes), hint=hint)
    return replace(inventory, notes={note: tuple(hosts) for note, hosts in notes.items()})


def _ansibles(path: Path, text: str | None, mistakes: list[Mistake]) -> tuple[object, str]:
    """Return an inventory of Ansible's as JSON, and a hint for the mistakes that were found in it."""
    if text is not None and _is_json(path, text):
        document = _json(path, text)
        if others := _other_json(path, document):
            raise others
        return document, ""
    if text is None or _is_yaml_or_script(path, text) or ansible.is_installed():
        return _json(path, ansible.listing(path)), ""
    document = read_ini(path, text, mistakes)
    return document, f"without {ansible.PROGRAM} only plain INI can be read: {ansible.hint_without(path)}"


def _other_json(path: Path, document: object) -> InventoryError | None:
    """Return the error about a JSON document that is no inventory, but names hosts."""
    what, place = path_in(document)
    if what:
        hint = f"use --hosts-from {shlex.quote(f'{path}:{place}')}"
        return _whole_file(path, f"{what}, not an inventory", hint)
    if isinstance(document, list) and document:
        whole = all(isinstance(value, str) for value in document)
        hint = f"use --hosts-from {shlex.quote(str(path) if whole else f'{path}:[].name')}"
        return _whole_file(path, "a list, not an inventory", hint if whole else f"{hint}, with the key of the names")
    return None


def _other_text(path: Path, text: str) -> InventoryError | None:
    """Return the error about a text that is no inventory, but names hosts."""
    what, hint = table_of(text)
    if what:
        return _whole_file(path, f"{what}, not an inventory", hint)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _whole_file(path, "csv, not an inventory", f"use --hosts-from {shlex.quote(f'{path}:COLUMN')}")
    if is_list(text):
        return _whole_file(path, "a list of hosts, not an inventory", f"use --hosts-from {shlex.quote(str(path))}")
    return None


def _is_yaml_or_script(path: Path, text: str) -> bool:
    return path.suffix.lower() in (".yml", ".yaml") or text.startswith(("---", "#!"))


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
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise _whole_file(path, "no such file", _WHERE_FROM) from error
    except IsADirectoryError as error:
        raise _whole_file(path, "a directory, not a file", f"name the file: {path / FILE_NAME}") from error
    except OSError as error:
        raise _whole_file(path, f"cannot be read: {error.strerror}", _WHERE_FROM) from error
    if len(content) > MOST_BYTES:
        raise _whole_file(path, f"larger than {MOST_BYTES >> 20} MiB", "is it an inventory?")
    return content


def _is_json(path: Path, text: str) -> bool:
    # `[{` and `["` begin no table of TOML, nor a section of INI.
    return path.suffix.lower() == ".json" or bool(_JSON.match(text))


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
        if not suffix and not _OUR_TABLE.search(text) and not table_of(text)[0]:
            return None
        if not _OUR_TABLE.search(text) and (others := _other_text(path, text)):
            raise others from error
        what, place = str(error), ""
        if match := _TOML_PLACE.fullmatch(what):
            what, place = match.groups()
        hint = _toml_hint(what, text, place)
        raise InventoryError(str(path), (Mistake(f"not valid TOML: {what}", place),), hint=hint) from error
    except _EXCESSIVE as error:
        raise _excessive(path) from error


def _toml_hint(what: str, text: str, place: str) -> str:
    """Return what to do about a mistake at this place (`line 2, column 21`, or the end of the text)."""
    if what.startswith("Cannot "):  # declare a table twice, overwrite a value
        return "write each table and each key once"
    number = place.removeprefix("line ").partition(",")[0]
    line = text.splitlines()[int(number) - 1 :][:1] if number.isdigit() else []
    if not line or line[0].lstrip().startswith("["):
        return 'names with brackets or dots need quotes: [hosts."web[01-20]"]'
    return f"a text needs quotes at both ends; the line is: {line[0].strip()[:_LONGEST_QUOTED]}"


def _excessive(path: Path) -> InventoryError:
    return _whole_file(path, "nested too deep, or a number too long, to be read", "is it an inventory?")


def _whole_file(path: Path, what: str, hint: str) -> InventoryError:
    return InventoryError(str(path), (Mistake(what, ""),), hint=hint)
