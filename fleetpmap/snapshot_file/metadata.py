"""Convert frozen dataclasses to JSON and back.   Snapshot ⇄ [metadata] ⇄ parquet's metadata

A file may be hostile, so loaded values are checked against the types of the attributes. An attribute with its default
value is not stored, so a file from a version without the attribute still loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache, partial
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fleetpmap.escape import is_from_bytes

Json = Any
_Type = TypeVar("_Type")
_Read = Callable[[Json, str], Any]
"""Reads a value; the second argument is its place, for messages."""
_PLAIN = frozenset({str, bool, int, float, datetime})
_WIDEST = 2**64
"""Bound of the absolute value of every number."""


def to_json(value: object) -> Json:
    """Convert dataclasses, tuples, mappings, times and plain values to values that json can write."""
    if value is None or type(value) in (str, int, float, bool):  # most values are, and no other test is needed
        return value
    if is_dataclass(value):
        return {
            name: to_json(attribute)
            for name, default in _defaults(value.__class__)
            if (attribute := getattr(value, name)) != default
        }
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
    made: _Type = _read_dataclass(kind, value, kind.__name__)
    return made


@cache
def _defaults(kind: Any) -> tuple[tuple[str, object], ...]:
    """Return the names of a dataclass's attributes, each with its default, which is not written."""
    return tuple((field.name, field.default) for field in fields(kind))


@cache
def _reader(kind: Any) -> _Read:
    """Return the function that reads a value of this type; a file has thousands of values of each."""
    if kind in _PLAIN:
        return partial(_read_datetime if kind is datetime else _read_plain, kind)
    if is_dataclass(kind):
        return partial(_read_dataclass, kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return partial(_read_optional, _reader(inner))
    if origin is Literal:
        return partial(_read_literal, kind, arguments)
    if origin is tuple:
        return partial(_read_tuple, kind, _reader(arguments[0]))
    if origin is Mapping:
        return partial(_read_mapping, kind, _reader(arguments[0]), _reader(arguments[1]))
    raise TypeError(f"{kind} is none of the types that a document holds")


def _read_plain(kind: Any, value: Json, at: str) -> Any:
    fits = type(value) is kind or (kind is float and type(value) is int)
    if kind is str:
        fits = fits and is_from_bytes(value)
    elif kind is not bool:
        fits = fits and abs(value) < _WIDEST  # False for NaN too
    _expect(fits, kind, value, at)
    return value


def _read_datetime(kind: Any, value: Json, at: str) -> datetime:
    _expect(type(value) is str, kind, value, at)
    moment = datetime.fromisoformat(value)
    _expect(moment.tzinfo is not None, kind, value, at)
    return moment


def _read_optional(read: _Read, value: Json, at: str) -> Any:
    return None if value is None else read(value, at)


def _read_literal(kind: Any, allowed: tuple[Any, ...], value: Json, at: str) -> Any:
    _expect(value in allowed, kind, value, at)
    return value


def _read_tuple(kind: Any, read: _Read, value: Json, at: str) -> tuple[Any, ...]:
    _expect(type(value) is list, kind, value, at)
    return tuple(read(element, at) for element in value)


def _read_mapping(kind: Any, read_key: _Read, read: _Read, value: Json, at: str) -> dict[Any, Any]:
    _expect(type(value) is dict, kind, value, at)
    return {read_key(key, at): read(element, at) for key, element in value.items()}


def _read_dataclass(kind: Any, value: Json, at: str) -> Any:
    _expect(type(value) is dict, kind, value, at)
    readers = _readers(kind)
    _expect(value.keys() <= readers.keys(), kind, [*value.keys() - readers.keys()], at)
    attributes = {name: readers[name](attribute, f"{at}.{name}") for name, attribute in value.items()}
    try:
        return kind(**attributes)
    except TypeError as error:  # an attribute without a default is missing
        raise ValueError(f"{at}: {error}") from error


@cache
def _readers(kind: type) -> dict[str, _Read]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _expect(holds: bool, kind: Any, value: Json, at: str) -> None:
    if not holds:
        raise ValueError(f"{at}: {str(value)[:80]!r} is no {getattr(kind, '__name__', kind)}")
