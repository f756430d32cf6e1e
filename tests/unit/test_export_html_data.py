"""The data of the page's scripts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fleetpmap.export.as_html.page_data import embedded, in_runs, packed
from fleetpmap.report.model import Column, Table
from fleetpmap.smaps import Coded


def test_columns_of_texts_and_of_numbers():
    """A text stands once; null is -1 among codes and null among numbers."""
    table = Table(
        "rows",
        (
            Column("host", "text", Coded(np.array([2, 0, -1, 2], np.int32), ("b", "unused", "a"))),
            Column("rss_kib", "KiB", np.array([5, -1, 7, 9]), rule="sum", total=21),
            Column("swap_kib", "KiB", np.array([0, 0, 0, 0])),
        ),
        share="rss_kib",
    )
    assert packed(table) == {
        "rows": 4,
        "share": "rss",
        "more": 0,
        "columns": [
            {"name": "host", "unit": "text", "names": ["a", "b"], "codes": [0, 1, -1, 0]},
            {"name": "rss", "unit": "KiB", "csv": "rss_kib", "rule": "sum", "total": 21, "values": [5, None, 7, 9]},
            {"name": "swap", "unit": "KiB", "csv": "swap_kib", "values": [0, 0, 0, 0]},
        ],
    }


@pytest.mark.parametrize(
    ("values", "packed_as"),
    [
        ([7] * 40, {"runs": [7, 40]}),
        ([None] * 30 + [2] * 30, {"runs": [None, 30, 2, 30]}),
        ([0, 30, 31, 1022, 1023, None, 0, 0, 1, 33], {"digits": "BfhA/fhgAABBChC"}),
        ([-1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [-1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ([1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1.5, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_numbers_stand_in_the_shortest_form(values: list[float | None], packed_as: object):
    """Runs where they repeat; else digits in base 32 of whole numbers plus 1, 0 for none; else as they are."""
    assert in_runs(values) == packed_as


def test_sizes_as_distances_from_another():
    """Where that is shorter; not a size above the other."""
    rss = np.arange(50_000, 50_010)
    table = Table(
        "leaves",
        (
            Column("rss_kib", "KiB", rss),
            Column("pss_kib", "KiB", rss - np.arange(10) * 2),
            Column("size_kib", "KiB", rss + 1),
            Column("swap_kib", "KiB", np.arange(10)),
        ),
    )
    columns = packed(table, "rss_kib")["columns"]
    assert [(column["name"], column.get("of")) for column in columns] == [
        *(("rss", None), ("pss", "rss"), ("size", None), ("swap", None))
    ]
    assert columns[1]["values"] == {"digits": "BDFHJLNPRT"}


def test_words_among_numbers_stand_apart():
    """A limit that there is not, for one: its row has no number."""
    column = Column("limit_kib", "KiB", [5, "-", None, 7])
    assert packed(Table("rows", (column,)))["columns"] == [
        {"name": "limit", "unit": "KiB", "csv": "limit_kib", "values": [5, None, None, 7], "words": [[1, "-"]]}
    ]


def test_a_text_is_escaped_as_in_a_cell():
    """So that what a script finds there is what it reads in the cells; a very long one is cut."""
    names = packed(Table("rows", (Column("name", "text", ["a\x1bb", " c", "x" * 600]),)))["columns"][0]["names"]
    assert names == ["a\\x1bb", "\\x20c", f"{'x' * 500}… (100 more characters)"]


def test_json_in_a_page_begins_no_markup():
    """Nothing in it ends the element or begins another, and it reads back as it was."""
    value = {"</script><!--": "a & b <b> \u2028"}
    text = embedded(value)
    assert not {*"<>&\u2028"} & {*text}
    assert json.loads(text) == value
