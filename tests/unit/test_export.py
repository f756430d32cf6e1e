"""The formats by name and by suffix."""

from __future__ import annotations

import gzip
import io
import sys
from importlib.util import find_spec

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS, check_compressed, compressed, format_of
from fleetpmap.report import hosts
from snapshots import small_fleet


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("out.csv", "csv"), ("a/b.c/OUT.JSON", "json"), ("x.jsonl", "jsonl"), ("x.ndjson", "jsonl")),
        *(("x.csv.gz", "csv"), ("x.JSON.ZST", "json"), ("x.html.gz", "html")),
        *(("x.md", "markdown"), ("x.prom", "openmetrics"), ("x.om", "openmetrics"), ("x.parquet", "parquet")),
    ],
)
def test_format_of_a_file_name(path, name):
    """The suffix decides, in either case."""
    assert format_of(path) == name


@pytest.mark.parametrize("path", ["out", "out.xyz", "csv", ".csv", "out.gz", "out.tar.gz", "out.csv.bz2", ".csv.gz"])
def test_suffix_that_names_no_format(path):
    """The error lists the known suffixes."""
    with pytest.raises(UsageError, match="its suffix does not name a format") as error:
        format_of(path)
    assert error.value.hint.startswith("end the name in .csv, .json, .jsonl, ")


@pytest.mark.parametrize("path", ["out.xlsx", "dir/out.XLS", "out.ods"])
def test_no_format_is_a_spreadsheets_own(path):
    """The hint names the format that each of them opens."""
    with pytest.raises(UsageError) as error:
        format_of(path)
    assert error.value.hint == "a spreadsheet opens out.csv, which --csv-safe makes safe for it"


def _written(name: str, write) -> bytes:
    file = io.BytesIO()
    compressed(write, name)(file)
    return file.getvalue()


def _csv(file) -> None:
    EXPORTERS["csv"].write(hosts(small_fleet()), file)


def test_gzip_holds_the_same_bytes():
    """The name of the file decides."""
    plain = _written("x.csv", _csv)
    assert plain.startswith(b"host,status,")
    assert gzip.decompress(_written("x.csv.gz", _csv)) == plain


@pytest.mark.skipif(find_spec("zstandard") is None, reason="the extra [capture] is not installed")
def test_zstd_holds_the_same_bytes():
    import zstandard

    packed = _written("x.csv.zst", _csv)
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == _written("x.csv", _csv)


def test_zstd_without_its_package(monkeypatch: pytest.MonkeyPatch):
    """Known before a host is asked, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "zstandard", None)  # as if it were not there
    with pytest.raises(UsageError) as error:
        check_compressed("x.csv.zst", "csv", "--export")
    assert error.value.message == "--export x.csv.zst: needs zstandard, not installed here"
    assert "install 'fleetpmap[capture]'`, or name the file x.csv.gz" in error.value.hint


def test_gzip_depends_on_the_report_alone():
    """Its header holds no name, no time (four bytes of zero), and the system is unknown."""
    packed = _written("x.csv.gz", _csv)
    assert packed[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    assert packed == _written("another.csv.gz", _csv)


@pytest.mark.parametrize(
    ("path", "format_", "why"),
    [
        ("x.parquet.gz", "parquet", "parquet is compressed already"),
        ("x.prom.gz", "openmetrics", "node_exporter reads no compressed file"),
        ("x.gz", "openmetrics", "node_exporter reads no compressed file"),
    ],
)
def test_a_format_that_is_never_compressed(path, format_, why):
    """The reason, and the name to write."""
    with pytest.raises(UsageError) as error:
        check_compressed(path, format_, "-o")
    assert (error.value.message, error.value.hint) == (f"-o {path}: {why}", f"name the file {path[:-3]}")
