"""The data of the page's scripts, as one compact JSON text.   report ─► [page_data] ─► html_page ─► scripts/data.js

A table goes in by columns. A column of texts has each text once, and a code for each row; numbers stand as they are, as
runs where they repeat, or as digits in base 32, whichever is shortest. Texts are escaped here as in the cells, so that
both are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from fleetpmap.escape import escape_cell
from fleetpmap.export.as_html.tables import folded_text
from fleetpmap.report.grouping import coded
from fleetpmap.report.model import Cell, Column, Table
from fleetpmap.smaps import NULL, Coded
from fleetpmap.smaps.columns import in_row_order

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FEW = 8
"""Values up to which a list is short enough."""

Json = Mapping[str, object] | Sequence[object] | str | int | float | bool | None


def embedded(data: Json) -> str:
    """Return the data as JSON that can stand in a script element: no character of it begins markup."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def packed(table: Table, base: str | None = None) -> dict[str, Json]:
    """Return a table by columns, each with what a script needs to show it.

    `base`: the size from which the others are kept as distances, which are small, if none is larger than it.
    """
    of = {} if base is None else _distances(table, base)
    return {
        "rows": len(table),
        "share": (table.share or "").removesuffix("_kib"),
        "more": table.more,
        "columns": [of.get(column.name) or _packed(column) for column in table.columns],
    }


def _packed(column: Column) -> dict[str, Json]:
    name = column.name.removesuffix("_kib")
    head: dict[str, Json] = {"name": escape_cell(name), "unit": column.unit}
    if name != column.name:
        head["csv"] = column.name
    if column.rule is not None:
        head |= {"rule": column.rule, "total": column.total}
    if column.null != "?":
        head["null"] = column.null
    values = column.values
    if column.unit in ("text", "address"):
        texts = values if isinstance(values, Coded) else coded(_text(cell) for cell in column.cells())
        codes, names = in_row_order(np.asarray(texts.codes), texts.names)  # so that equal tables are equal files
        return head | {"names": [plain(name) for name in names], "codes": in_runs(codes.tolist())}
    cells = column.cells()
    words: list[Json] = [[row, cell] for row, cell in enumerate(cells) if isinstance(cell, str)]
    return head | {"values": in_runs([None if isinstance(cell, str) else cell for cell in cells])} | _some(words)


def plain(text: str) -> str:
    """Return a text as the cells show it."""
    return escape_cell(folded_text(text))


def _some(words: list[Json]) -> dict[str, Json]:
    return {"words": words} if words else {}


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)


def _distances(table: Table, base: str) -> dict[str, dict[str, Json]]:
    whole = table.column(base).values
    if not isinstance(whole, np.ndarray) or (whole == NULL).any():
        return {}
    found = {}
    for column in table.columns:
        values = column.values
        if column.unit == "KiB" and column.name != base and isinstance(values, np.ndarray) and (values <= whole).all():
            apart = np.where(values == NULL, NULL, whole - values)
            apart_packed = {**_packed(replace(column, values=apart)), "of": base.removesuffix("_kib")}
            found[column.name] = min(_packed(column), apart_packed, key=lambda packed: len(embedded(packed)))
    return found


def in_runs(values: Sequence[Cell]) -> Json:
    """Return the values, as `{"runs": [value, count, …]}`, or as `{"digits": …}`: whichever is shortest."""
    if len(values) <= _FEW:
        return values
    runs: list[Cell] = []
    for value, members in groupby(values):
        runs += (value, sum(1 for _ in members))
        if len(runs) > len(values) // 4:
            break
    else:
        return {"runs": runs}
    if all(value is None or (type(value) is int and value >= 0) for value in values):
        return {"digits": "".join(_digits(0 if value is None else int(value) + 1) for value in values)}
    return values


def _digits(number: int) -> str:
    """Return a number in base 32, the highest digit first; 32 is added to all digits but the last."""
    digits = _DIGITS[number & 31]
    while number := number >> 5:
        digits = _DIGITS[32 + (number & 31)] + digits
    return digits
