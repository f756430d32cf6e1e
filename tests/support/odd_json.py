"""JSON documents with odd values in them, for the fuzz targets.   text ─► [odd_json] ─► document

A change of bytes mostly breaks the JSON; here a value is exchanged, left out or doubled, and the rest stays.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

Key = str | int
Place = tuple[Key, ...]
"""The keys and indexes that lead to a value."""
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64 - 1, 2**64, -(2**64), 10**400, 0.5, -0.0, 1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        "x" * 300,
        "\ud800",
        "\udcff",
        "\x1b[31m\n",
        "..",
        "/",
        "a\0b",
        "\\Uffffffff",
        "read",
    ),
    *("9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00"),
    *([], {}, [[]], [{}], {"": 0}, [None], ["x"], {"x": {}}),
)


def with_odd_values(text: bytes, seed: int) -> Any:
    """The document of this text with one to three odd values."""
    rng = random.Random(seed)
    places = _places(text)
    changed = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        with contextlib.suppress(LookupError, TypeError):  # an earlier change took the place away
            _change(rng, changed, places)
    return changed


def _change(rng: random.Random, document: Any, places: Sequence[Place]) -> None:
    *way, key = rng.choice(places)
    box = _at(document, way)
    match rng.randrange(8):
        case 0:
            del box[key]
        case 1:
            box[key] = copy.deepcopy(_at(document, rng.choice(places)))
        case 2 if isinstance(box, list):
            box.append(copy.deepcopy(box[key]))
        case 3 if isinstance(box, dict):
            box[rng.choice(("", "x", str(rng.choice(ODD))))] = box.pop(key)
        case _:
            box[key] = copy.deepcopy(rng.choice(ODD))


def _at(document: Any, place: Iterable[Key]) -> Any:
    for key in place:
        document = document[key]
    return document


@cache
def _places(text: bytes) -> list[Place]:
    """Every place of the document that has a value; kept, since a run changes one document 50,000 times."""
    found: list[Place] = []
    left: list[tuple[Place, Any]] = [((), json.loads(text))]
    while left:
        place, value = left.pop()
        keys: Iterable[Key] = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        inner = [((*place, key), value[key]) for key in keys]
        found.extend(at for at, _ in inner)
        left.extend(inner)
    return found
