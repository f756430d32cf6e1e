"""Hosts in the files of other programs.   --hosts-from FILE[:WHERE] ─► [host_lists] ─► lines for selection

    text    a pattern a line, as -H takes it; # begins a comment
    csv     FILE.csv:COLUMN; without COLUMN the one called host, hostname or name
    json    FILE.json:PATH, a path of JMESPath (https://jmespath.org); without PATH a list of names

Text is json if it begins as json, and csv by its name or if there is a WHERE. The values of csv and json are others'
words: each has to be a name, a node set or [USER@]NAME[:PORT], and none can be a group, a glob or a comment.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from fleetpmap.errors import UsageError
from fleetpmap.inventory.names import nearest
from fleetpmap.inventory.other_programs import has_sections, path_in, table_of
from fleetpmap.inventory.patterns import Scope, evaluate
from fleetpmap.inventory.settings import show

MOST_BYTES = 64 * 2**20
"""The largest file: AWS writes 5 KB for an instance. In memory the worst json becomes thirty times as large."""
MOST_HOSTS = 1_000_000
"""Most hosts of csv and json."""
OPTION = "--hosts-from"
_COLUMNS = ("host", "hostname", "name")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_INVENTORIES = (".toml", ".ini", ".yml", ".yaml")
_PLAIN = re.compile(r"\w[\w.-]*")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""A key that needs no quotes in a path, nor in a shell, as part of a hint."""
_NEVER = re.compile(r"[\s#*?!&^]|^@")
"""Parts of the language of -H that no value has."""
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class HostList:
    """The lines of one file, for `select`, and a note about entries that are not hosts."""

    lines: tuple[str, ...]
    note: str = ""


def read_host_list(name: str, content: bytes, where: str = "") -> HostList:
    """Read the hosts in a file's content. `name` is the file's, `where` the column or path behind the colon.

    Raises:
        UsageError: the content is too large, is none of the formats, or names no host.
    """
    if len(content) > MOST_BYTES:
        raise _error(name, f"larger than {MOST_BYTES >> 20} MiB", "is it a list of hosts?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(name, "not UTF-8 text", "name a text file with one host a line, csv or json") from error
    suffix = PurePath(name).suffix.lower()
    if suffix == ".json" or text.lstrip()[:1] in ("{", "["):
        document, fault = _parsed(text)
        # `[::1]:22` begins a list of hosts, too.
        if fault is None or suffix == ".json" or text.lstrip().startswith("{"):
            if fault is not None:
                raise _error(name, f"not valid JSON: {fault}", "give it the suffix .txt if it has a host a line")
            return _values(name, enumerate(_at(name, document, where), start=1), "value")
    if where or suffix in _SEPARATORS:
        return _values(name, _cells(name, text, where, suffix), "line")
    what, hint = table_of(text)
    if suffix in _INVENTORIES or has_sections(text):
        what, hint = "an inventory", "give it to -i"
    if what:
        raise _error(name, f"{what}, not a list of hosts", hint)
    return HostList(tuple(text.splitlines()))


def _error(name: str, what: str, hint: str) -> UsageError:
    return UsageError(f"{OPTION} {name}: {what}", hint=hint)


def _parsed(text: str) -> tuple[object, str | None]:
    """Return the document, and why there is none."""
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (RecursionError, ValueError):  # a number of more than 4,300 digits is a ValueError
        return None, "nested too deep, or a number too long, to be read"


def _at(name: str, document: object, where: str) -> list[object]:
    """Return the values at a path of the document; without a path the document has to be a list of names."""
    if not where:
        if isinstance(document, list) and all(isinstance(value, str) for value in document):
            return [*document]
        what, path = path_in(document)
        what = what or f"{show(document)} of json"
        hint = f"add the path of the hosts: {shlex.quote(f'{name}:{path or _example(document)}')}"
        raise _error(name, f"{what}, not a list of hosts", hint)
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        found = jmespath.search(where, document)
    except (JMESPathError, RecursionError) as error:
        why = (str(error) or "nested too deep").splitlines()[0].removesuffix(", for expression:")
        raise _error(name, f'"{where}" is not a path: {why}', "see https://jmespath.org for what a path is") from error
    values = found if isinstance(found, list) else [] if found is None else [found]
    if not values:
        raise _error(name, f'nothing is at "{where}"', _known(document, where))
    return values


def _example(document: object) -> str:
    """Return a path for a document of an unknown program, with its own keys where they are few."""
    if isinstance(document, list):
        first = next((value for value in document if isinstance(value, dict)), {})
        return f"[].{_key_of_a_name(first)}"
    if isinstance(document, dict):
        for key, value in document.items():
            if _IDENTIFIER.fullmatch(key) and isinstance(value, list) and value and isinstance(value[0], dict):
                return f"{key}[].{_key_of_a_name(value[0])}"
    return "hosts[].name"


def _key_of_a_name(table: dict[object, object]) -> str:
    keys = [str(key) for key, value in table.items() if isinstance(value, str) and _IDENTIFIER.fullmatch(str(key))]
    return next((key for key in keys if key.lower() in _COLUMNS), keys[0] if keys else "name")


def _known(document: object, where: str) -> str:
    what = "it"
    if isinstance(document, list) and document and where.startswith("["):
        what, document = "its first entry", document[0]
    keys = [key for key in document if isinstance(key, str)] if isinstance(document, dict) else []
    if keys:
        return f"{what} has {', '.join(keys[:_MOST_SHOWN])}"
    if document == []:
        return "it is an empty list"
    return "it is a list: begin with []" if isinstance(document, list) else f"{what} is {show(document)}"


def _cells(name: str, text: str, where: str, suffix: str) -> Iterator[tuple[int, object]]:
    """Yield the cells of a column, each with its line."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = _SEPARATORS.get(suffix, "")
    if separator != "\t":
        separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    column: int | None = None
    try:
        for row in reader:
            if not row:
                continue
            if column is None:
                column = _column(name, [cell.strip() for cell in row], where)
            else:
                yield reader.line_num, row[column].strip() if column < len(row) else ""
    except csv.Error as error:
        raise _error(name, f"not valid csv: {error}, at line {reader.line_num}", "is it a csv file?") from error


def _column(name: str, header: list[str], where: str) -> int:
    lower = [cell.lower() for cell in header]
    for wanted in [where.lower()] if where else _COLUMNS:
        if wanted in lower:
            return header.index(where) if where in header else lower.index(wanted)
    columns = ", ".join(header[:_MOST_SHOWN])
    if where:
        near = nearest(where, header)
        hint = f'did you mean "{near}"? the columns are {columns}' if near else f"the columns are {columns}"
        raise _error(name, f'there is no column "{where}"', hint)
    raise _error(name, "which column has the hosts?", f"write {name}:COLUMN; the columns are {columns}")


def _values(name: str, values: Iterable[tuple[int, object]], place: str) -> HostList:
    """Check the values, each with its place in the file, and leave out the empty ones."""
    lines: list[str] = []
    hosts = empty = 0
    for number, value in values:
        if value is None or value == "":
            empty += 1
            continue
        try:
            hosts += _count(value)
        except ValueError as error:
            hint = "each value has to be a host's name or address"
            raise _error(name, f"{error} - at {place} {number}", hint) from error
        if hosts > MOST_HOSTS:
            raise _error(name, f"more than {MOST_HOSTS:,} hosts", "is it the right column, or path?")
        lines.append(str(value))
    if not lines:
        raise _error(name, "names no host", f"all of its {empty} values are empty" if empty else "it is empty")
    note = f"{name}: {empty} of {empty + len(lines)} values are empty, and no host"
    return HostList(tuple(lines), note if empty else "")


def _count(value: object) -> int:
    """Return the number of hosts that a value names.

    Raises:
        ValueError: it names none; the message is half a sentence.
    """
    if not isinstance(value, str):
        keys = f" with {', '.join(map(str, [*value][:_MOST_SHOWN]))}" if isinstance(value, dict) else ""
        raise ValueError(f"expected a name, got {show(value)}{keys}")
    if _PLAIN.fullmatch(value):
        return 1
    if bad := _NEVER.search(value):
        raise ValueError(f'{show(value)} cannot be a host\'s name: it holds "{bad[0]}"')
    try:
        return len(evaluate(value, Scope(OPTION)))
    except UsageError as error:
        raise ValueError(error.message.removeprefix(f"{OPTION}: ")) from error
