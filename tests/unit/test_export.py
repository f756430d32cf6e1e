"""The formats by name and by suffix."""

from __future__ import annotations

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.export import format_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("out.csv", "csv"), ("a/b.c/OUT.JSON", "json"), ("x.jsonl", "jsonl"), ("x.ndjson", "jsonl")),
        *(("x.md", "markdown"), ("x.prom", "openmetrics"), ("x.om", "openmetrics"), ("x.parquet", "parquet")),
    ],
)
def test_format_of_a_file_name(path, name):
    """The suffix decides, in either case."""
    assert format_of(path) == name


@pytest.mark.parametrize("path", ["out", "out.xlsx", "csv", ".csv"])
def test_suffix_that_names_no_format(path):
    """The error lists the known suffixes."""
    with pytest.raises(UsageError, match="its suffix does not name a format") as error:
        format_of(path)
    assert error.value.hint.startswith("end the name in .csv, .json, .jsonl, ")
