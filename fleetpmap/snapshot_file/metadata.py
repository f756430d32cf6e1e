"""Convert frozen dataclasses to JSON and back.   Snapshot ⇄ [metadata] ⇄ parquet's metadata

A file may be hostile, so loaded values are checked against the types of the attributes. An attribute with its default
value is not stored, so a file from a version without the attribute still loads.
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
"""Bound of the absolute value of every number."""


def to_json(value: object) -> Json:
    """Convert dataclasses, tuples, mappings, times and plain values to values that json can write."""
    if is_dataclass(value):
        named = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: to_json(attribute) for field, attribute in named if not _is_default(field, attribute)}
    if isinstance(value, Mapping):
        return {str(key): to_json(element) for key, element in value.items()}
    if isinstance(value, tuple):
        return [to_json(element) for element in value]
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(kind: type[_Type], value: Json) -> _Type:
    """Rebuild a dataclass of this type from the result of `to_json`.

    Raises:
        ValueError: the value does not fit the type; the message gives place and fault.
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
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _read(inner, value, at)
    if origin is Literal:
        _expect(value in arguments, kind, value, at)
        return value
    if origin is tuple:
        _expect(type(value) is list, kind, value, at)
        return tuple(_read(arguments[0], element, at) for element in value)
    if origin is Mapping:
        _expect(type(value) is dict, kind, value, at)
        return {_read(arguments[0], key, at): _read(arguments[1], element, at) for key, element in value.items()}
    raise TypeError(f"{at}: {kind} is none of the types that a document holds")


def _read_plain(kind: Any, value: Json, at: str) -> Any:
    if kind is datetime:
        _expect(type(value) is str, kind, value, at)
        moment = datetime.fromisoformat(value)
        _expect(moment.tzinfo is not None, kind, value, at)
        return moment
    _expect(type(value) is kind or (kind is float and type(value) is int), kind, value, at)
    _expect(kind not in (int, float) or abs(value) < _WIDEST, kind, value, at)  # False for NaN too
    _expect(kind is not str or is_from_bytes(value), kind, value, at)
    return value


def _read_dataclass(kind: Any, value: Json, at: str) -> Any:
    _expect(type(value) is dict, kind, value, at)
    hints = _hints(kind)
    _expect(value.keys() <= hints.keys(), kind, [*value.keys() - hints.keys()], at)
    attributes = {name: _read(hints[name], attribute, f"{at}.{name}") for name, attribute in value.items()}
    try:
        return kind(**attributes)
    except TypeError as error:  # an attribute without a default is missing
        raise ValueError(f"{at}: {error}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _expect(holds: bool, kind: Any, value: Json, at: str) -> None:
    if not holds:
        raise ValueError(f"{at}: {str(value)[:80]!r} is no {getattr(kind, '__name__', kind)}")
