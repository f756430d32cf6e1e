"""Dumps of many kernels, as other projects ship them, with the totals that those projects' own tests assert.

They are not ours to ship: `FLEETPMAP_REAL_SMAPS` names their folder, or it lies beside the checkout in
`shared/real_smaps`. What these kernels print is in this suite's own words in test_smaps_properties.py.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fleetpmap.errors import SmapsError
from fleetpmap.naming import name_mappings
from fleetpmap.smaps import SmapsColumns, parse
from smaps_blocks import parse_blocks
from smaps_paths import assert_both_paths_agree

BESIDE = Path(__file__).parents[3] / "shared" / "real_smaps"
FOLDER = Path(os.environ.get("FLEETPMAP_REAL_SMAPS", BESIDE))
DUMPS = {path.name: path for path in sorted(FOLDER.glob("*.smaps"))}
ROLLUP = "prometheus_procfs_26231.smaps_rollup"

pytestmark = pytest.mark.skipif(not DUMPS, reason="no real dumps in FLEETPMAP_REAL_SMAPS, or ../shared/real_smaps")
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "EXPECTED.json").read_text()) if DUMPS else {}


def stating(what: str) -> Any:
    """One case for each dump of which EXPECTED.json says that."""
    return pytest.mark.parametrize("name", [name for name in DUMPS if what in EXPECTED.get(name, {})])


def columns_of(name: str) -> SmapsColumns:
    return parse(DUMPS[name].read_bytes())


def facts(columns: SmapsColumns, row: int) -> dict[str, Any]:
    """A row in the words of EXPECTED.json."""
    values = {key: int(column[row]) for key, column in columns.fields.items()}
    return values | {
        "start": f"{columns.start[row]:x}",
        "end": f"{columns.end[row]:x}",
        "offset": f"{columns.offset[row]:08x}",
        "inode": int(columns.inode[row]),
        "name": columns.path.texts()[row],
        "USS": values["Private_Clean"] + values["Private_Dirty"],
    }


@pytest.mark.parametrize("name", DUMPS)
def test_a_dump_is_read_whole(name: str) -> None:
    """Every mapping and every number, by both paths alike, and the same as the tests' own reader finds."""
    text = DUMPS[name].read_bytes()
    assert_both_paths_agree([text])
    columns = parse(text)
    # Its own reader knows neither tabs nor the Name lines of old Android.
    plain = [line for line in text.decode().replace("\t", " ").splitlines(keepends=True) if line[:5] != "Name:"]
    read = [{key: int(column[row]) for key, column in columns.fields.items()} for row in range(len(columns.start))]
    assert read == [block.fields for block in parse_blocks("".join(plain))]


@pytest.mark.parametrize("name", DUMPS)
def test_resident_memory_adds_up(name: str) -> None:
    """Rss is what is shared and what is private, clean and dirty, in every mapping of every kernel."""
    fields = columns_of(name).fields
    parts = [fields[key] for key in ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")]
    assert fields["Rss"].tolist() == sum(parts).tolist()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("catapult_zsh_3.2.smaps", {"anon", "executable", "file", "heap", "library", "special", "stack"}),
        ("android_libmeminfo_short.smaps", {"executable", "file", "library", "named-anon", "special"}),
        ("perfetto_android15_app.smaps", {"anon", "executable", "file", "named-anon"}),
        ("google_prodkernel_small.smaps", {"anon"}),
    ],
)
def test_kinds(name: str, kinds: set[str]) -> None:
    """The paths of these kernels, Android's included, are no strangers."""
    assert {*name_mappings(columns_of(name)).kind.texts()} == kinds


@stating("totals")
def test_totals(name: str) -> None:
    """The sums that the dump's own project asserts."""
    fields = columns_of(name).fields
    assert {key: int(fields[key].sum()) for key in EXPECTED[name]["totals"]} == EXPECTED[name]["totals"]


@stating("derived")
def test_derived_totals(name: str) -> None:
    """Dirty and USS, from their parts."""
    fields = columns_of(name).fields
    assert {
        "Dirty(Shared_Dirty+Private_Dirty)": int((fields["Shared_Dirty"] + fields["Private_Dirty"]).sum()),
        "USS": int((fields["Private_Clean"] + fields["Private_Dirty"]).sum()),
    } == EXPECTED[name]["derived"]


@stating("mappings")
def test_number_of_mappings(name: str) -> None:
    """As many as there are."""
    assert len(columns_of(name).start) == EXPECTED[name]["mappings"]


@stating("per_vma")
def test_each_mapping(name: str) -> None:
    """Every fact about every mapping, in order."""
    columns = columns_of(name)
    for row, expected in enumerate(EXPECTED[name]["per_vma"]):
        assert facts(columns, row) | expected == facts(columns, row)


@stating("first_pathname")
def test_first_and_last_path(name: str) -> None:
    """The order is the dump's."""
    paths = columns_of(name).path.texts()
    assert (paths[0], paths[-1]) == (EXPECTED[name]["first_pathname"], EXPECTED[name]["last_pathname"])


@stating("grouped_by_name")
def test_grouped_by_path(name: str) -> None:
    """The same sums for every path."""
    columns = columns_of(name)
    count, size, rss = Counter[str](), Counter[str](), Counter[str]()
    for row, path in enumerate(columns.path.texts()):
        count[str(path)] += 1
        size[str(path)] += int(columns.fields["Size"][row])
        rss[str(path)] += int(columns.fields["Rss"][row])
    groups = [{"name": path, "count": count[path], "Size": size[path], "Rss": rss[path]} for path in count]
    in_order = sorted(groups, key=lambda group: str(group["name"]))
    assert in_order == sorted(EXPECTED[name]["grouped_by_name"], key=lambda group: str(group["name"]))


@stating("upstream_bytes")
def test_upstream_adds_half_a_kib_per_mapping(name: str) -> None:
    """get_process_mem reports Rss plus 0.5 kB for each mapping, in bytes."""
    columns = columns_of(name)
    assert (int(columns.fields["Rss"].sum()) + len(columns.start) / 2) * 1024 == EXPECTED[name]["upstream_bytes"]


@stating("combined")
def test_part_of_a_sum_over_three_files(name: str) -> None:
    """Of the three files the folder has the first; the other two are one text, so they have the rest in halves."""
    expected = EXPECTED[name]["combined"]
    assert expected["files"][1] == expected["files"][2]
    rest = expected["Referenced"] - int(columns_of(name).fields["Referenced"].sum())
    assert (rest >= 0, rest % 2) == (True, 0)


def test_a_rollup_is_not_a_process_with_one_mapping() -> None:
    """It says what it is and what is needed instead."""
    with pytest.raises(SmapsError) as caught:
        parse((FOLDER / ROLLUP).read_bytes())
    assert (caught.value.offset, caught.value.hint) == (
        0,
        "this is smaps_rollup, one sum over all mappings: smaps is needed",
    )


def test_the_sums_are_the_rollups() -> None:
    """Each sum over the mappings is what the kernel's own sum of the same process says, which is what is expected."""
    fields = columns_of("prometheus_procfs_26231.smaps").fields
    (rollup,) = parse_blocks((FOLDER / ROLLUP).read_text())
    totals = EXPECTED[ROLLUP]["totals"]
    assert {key: rollup.fields[key] for key in totals} == totals
    assert {key: int(fields[key].sum()) for key in totals} == totals


def test_nothing_that_is_expected_is_left_unread() -> None:
    """A new statement in EXPECTED.json needs a test here."""
    known = {"totals", "derived", "mappings", "per_vma", "first_pathname", "last_pathname", "grouped_by_name"}
    known |= {"upstream_bytes", "combined", "units", "note", "_asserted_by"}
    assert {key for expected in EXPECTED.values() for key in expected} == known
    assert EXPECTED.keys() <= {*DUMPS, ROLLUP}
