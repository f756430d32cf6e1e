"""Frozen dataclasses as json.   Snapshot ─► [document] ─► parquet's metadata, and back

What comes back is checked against the types: a file may have been written by anybody. An attribute that has its default
is left out, so a file from before the attribute was there still reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fleetpmap.escape import is_from_bytes

Json = Any
_Type = TypeVar("_Type")
_PLAIN = frozenset({str, bool, int, float, datetime})
_WIDEST = 2**64
"""No number of ours is larger, with its sign or without."""


def to_json(value: object) -> Json:
    """Dataclasses, tuples, mappings, moments and plain values as what json can hold."""
    if is_dataclass(value):
        named = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: to_json(one) for field, one in named if not _is_default(field, one)}
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [to_json(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(kind: type[_Type], value: Json) -> _Type:
    """The dataclass of that type that `to_json` made `value` of.

    Raises:
        ValueError: it is none; the message says where and why.
    """
    made: _Type = _read(kind, value, kind.__name__)
    return made


def _is_default(field: Field[Any], value: object) -> bool:
    return field.default is not MISSING and value == field.default


def _read(kind: Any, value: Json, at: str) -> Any:
    if kind in _PLAIN:
        return _read_plain(kind, value, at)
    if is_dataclass(kind):
        return _read_dataclass(kind, value, at)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (inner,) = (one for one in arguments if one is not type(None))
        return None if value is None else _read(inner, value, at)
    if origin is Literal:
        _expect(value in arguments, kind, value, at)
        return value
    if origin is tuple:
        _expect(type(value) is list, kind, value, at)
        return tuple(_read(arguments[0], one, at) for one in value)
    if origin is Mapping:
        _expect(type(value) is dict, kind, value, at)
        return {_read(arguments[0], key, at): _read(arguments[1], one, at) for key, one in value.items()}
    raise TypeError(f"{at}: {kind} is none of the types that a document holds")


def _read_plain(kind: Any, value: Json, at: str) -> Any:
    if kind is datetime:
        _expect(type(value) is str, kind, value, at)
        moment = datetime.fromisoformat(value)
        _expect(moment.tzinfo is not None, kind, value, at)
        return moment
    _expect(type(value) is kind or (kind is float and type(value) is int), kind, value, at)
    _expect(kind not in (int, float) or abs(value) < _WIDEST, kind, value, at)  # which NaN is not either
    _expect(kind is not str or is_from_bytes(value), kind, value, at)
    return value


def _read_dataclass(kind: Any, value: Json, at: str) -> Any:
    _expect(type(value) is dict, kind, value, at)
    hints = _hints(kind)
    _expect(value.keys() <= hints.keys(), kind, [*value.keys() - hints.keys()], at)
    given = {name: _read(hints[name], one, f"{at}.{name}") for name, one in value.items()}
    try:
        return kind(**given)
    except TypeError as error:  # an attribute without a default is missing
        raise ValueError(f"{at}: {error}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _expect(holds: bool, kind: Any, value: Json, at: str) -> None:
    if not holds:
        raise ValueError(f"{at}: {str(value)[:80]!r} is no {getattr(kind, '__name__', kind)}")
