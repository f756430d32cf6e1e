"""JSON documents with odd values in them, for the fuzz targets.   text ─► [odd_json] ─► document

A change of bytes mostly breaks the JSON; here a value is exchanged, left out or doubled, and the rest stays.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

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
    changed = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(rng, changed)
    return changed


def _change(rng: random.Random, document: Any) -> None:
    places = [(box, key) for box in _boxes(document) for key in (box if isinstance(box, dict) else range(len(box)))]
    if not places:
        return
    box, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del box[key]
        case 1:
            twin = rng.choice(places)
            box[key] = copy.deepcopy(twin[0][twin[1]])
        case 2 if isinstance(box, list):
            box.append(copy.deepcopy(box[key]))
        case 3 if isinstance(box, dict):
            box[rng.choice(("", "x", str(rng.choice(ODD))))] = box.pop(key)
        case _:
            box[key] = copy.deepcopy(rng.choice(ODD))


def _boxes(value: Any) -> list[Any]:
    """The document's objects and lists, itself first."""
    found = []
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict | list):
            found.append(one)
            left.extend(one.values() if isinstance(one, dict) else one)
    return found
