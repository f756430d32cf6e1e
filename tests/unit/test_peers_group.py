"""--peers group: a host among those of its group of the inventory that run the same service."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import polars
import pytest

from fleetpmap.cli.option_values import PeersOption
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import check_hosts, output_from
from fleetpmap.errors import UsageError
from fleetpmap.report import compare
from fleetpmap.report.peers import Peers, peers_in
from fleetpmap.report.standing_out import standing_out
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.snapshot_file import load_snapshot, write_snapshot
from fleetpmap.snapshot_file.parquet import GROUPS
from snapshots import failed, host, mapping, process, snapshot

MIB = 1024


def _host(name: str, mib: int, *groups: str, program: str = "app", libc: str = "/usr/lib/libc.so.6") -> HostSnapshot:
    sizes = {"Rss": mib * MIB, "Pss": mib * MIB, "Private_Dirty": mib * MIB, "Private_Clean": 0}
    code = mapping(libc, start=1 << 24, size=400, perms="r-xp", Rss=4, Pss=4, Private_Dirty=0, Private_Clean=4)
    one = process(7, program, code, mapping("[heap]", start=1 << 30, size=mib * MIB, **sizes))
    return replace(host(name, one), groups=groups)


def _fleet() -> Snapshot:
    """Three small hosts of staging and four large ones of production, of which p3 leaks."""
    small = [_host(f"s{n}", 60, "staging", "all") for n in range(3)]
    large = [_host(f"p{n}", 4_000 if n == 3 else 500, "production", "all") for n in range(4)]
    return snapshot(*small, *large)


def _peers(fleet: Snapshot) -> list[Peers]:
    metrics = ("pss_kib",)
    return [*peers_in(fleet, fleet.evidence_by(metrics), metrics, "group")]


def _parts(fleet: Snapshot) -> dict[str, list[str]]:
    return {one.group or "": [*one.hosts] for one in _peers(fleet)}


def test_a_host_is_judged_in_its_group():
    """The sentence names it; the reference is the median of the group."""
    (finding,) = standing_out(_fleet(), "group")
    assert finding.text == "app on p3 (pid 7): [heap] 3.9G, 3.4G above the median of 4 hosts of group production"
    assert (finding.host, finding.service, finding.reference_kib) == ("p3", "app", 500 * MIB)


def test_small_hosts_are_no_outliers_beside_large_ones():
    """Among all that run the service, the one large host of three small ones is; each alone in its group is not."""
    fleet = snapshot(*(_host(f"s{n}", 60, "staging") for n in range(3)), _host("p0", 900, "production"))
    assert [one.host for one in standing_out(fleet)] == ["p0"]
    assert standing_out(fleet, "group") == ()


def test_of_several_groups_the_smallest_with_three_hosts_counts():
    """`eu` has three, `replicas` only two, and a host in no group of three counts to its largest."""
    fleet = snapshot(
        _host("a", 60, "replicas", "eu", "db"),
        _host("b", 60, "replicas", "eu", "db"),
        _host("c", 60, "eu", "db"),
        _host("d", 60, "db", "us"),
        _host("e", 60, "us"),
        _host("f", 60),
    )
    assert _parts(fleet) == {"": ["f"], "db": ["d"], "eu": ["a", "b", "c"], "us": ["e"]}


def test_only_hosts_of_the_service_count_for_the_size_of_a_group():
    """Of the two groups of three machines, only one has three that run it."""
    others = [_host(f"x{n}", 60, "mixed", program="other") for n in range(2)]
    fleet = snapshot(
        *others, *(_host(f"a{n}", 60, "mixed", "web") for n in range(1)), *(_host(f"b{n}", 60, "web") for n in range(2))
    )
    assert {(one.service, one.group): one.hosts for one in _peers(fleet)} == {
        ("app", "web"): ("a0", "b0", "b1"),
        ("other", "mixed"): ("x0", "x1"),
    }


def test_compare_has_a_column_for_the_group():
    """A row is a mapping of a service in a group; every host is in one of them."""
    table = compare(_fleet(), peers="group").tables[0]
    assert [column.name for column in table.columns][:3] == ["mapping", "group", "s0"]
    rows = list(
        zip(*(table.column(name).cells() for name in ("mapping", "group", "s0", "p0", "outliers")), strict=True)
    )
    assert rows[1:3] == [
        ("[heap]", "production", "not-run", 500 * MIB, "p3"),
        ("[heap]", "staging", 60 * MIB, "not-run", ""),
    ]


def test_versions_are_compared_within_a_group():
    """Another libc in staging is no drift; among all hosts of the service it is."""
    staging = [_host(f"s{n}", 60, "staging", libc="/usr/lib/libc-2.31.so") for n in range(2)]
    fleet = snapshot(*staging, *(_host(f"p{n}", 60, "production", libc="/usr/lib/libc-2.36.so") for n in range(2)))
    assert [one.kind for one in standing_out(fleet)] == ["drift"]
    assert standing_out(fleet, "group") == ()
    mixed = snapshot(*staging, _host("s9", 60, "staging", libc="/usr/lib/libc-2.36.so"))
    (finding,) = standing_out(mixed, "group")
    assert finding.text.startswith("app of group staging: libc-2.31.so on s[0-1], libc-2.36.so on s9")
    assert "--peers group" in finding.next


def _plan(peers: PeersOption | None):
    return output_from(ShowOptions(peers=peers), ShapeOptions(), OutputOptions())


def test_unknown_groups_are_refused_with_what_to_do():
    """A stored run of a version before groups; a failed host has none to know."""
    fleet = snapshot(*(replace(one, groups=None) for one in (_host("a", 1), _host("b", 1))), failed("c", "auth", "no"))
    with pytest.raises(UsageError, match=r"the groups of a,b are not known.*\n.*store a run anew") as refused:
        check_hosts(_plan(PeersOption.group), fleet.hosts)
    assert "c" not in refused.value.message.split("groups of ")[1].split(" ")[0]
    check_hosts(_plan(None), fleet.hosts)


def test_a_fleet_without_groups_is_refused():
    """Without an inventory there are none."""
    with pytest.raises(UsageError, match="none of the hosts is in a group"):
        check_hosts(_plan(PeersOption.group), snapshot(_host("a", 1), _host("b", 1)).hosts)


def test_a_saved_run_keeps_the_groups(tmp_path):
    """Those of each host; a file without them is one of unknown groups."""
    fleet = snapshot(_host("a", 1, "web", "all"), _host("b", 1), failed("c", "auth", "no"))
    path = tmp_path / "run.parquet"
    with path.open("wb") as file:
        write_snapshot(fleet, file)
    assert [one.groups for one in load_snapshot(path).hosts] == [("web", "all"), (), None]
    metadata = polars.read_parquet_metadata(path)
    assert json.loads(metadata[GROUPS]) == [["web", "all"], [], None]
    assert "groups" not in json.loads(metadata["fleetpmap_snapshot"])["hosts"][0]
    without = {
        key: text
        for key, text in metadata.items()
        if key.startswith("fleetpmap") and key not in (GROUPS, "fleetpmap_sha256")
    }
    buffer = io.BytesIO()
    polars.read_parquet(path).write_parquet(buffer, metadata=without)
    path.write_bytes(buffer.getvalue())
    assert [one.groups for one in load_snapshot(path).hosts] == [None, None, None]


@pytest.mark.parametrize("groups", ['["web"]', '[["web"], 7]', '[["web"], [3]]', "3", '{"a": 1, "b": 2}'])
def test_groups_that_fit_no_hosts_are_refused(tmp_path, groups: str):
    """Too few, or of another type."""
    path = tmp_path / "run.parquet"
    with path.open("wb") as file:
        write_snapshot(snapshot(_host("a", 1, "web"), _host("b", 1)), file)
    metadata = {key: text for key, text in polars.read_parquet_metadata(path).items() if key.startswith("fleetpmap")}
    del metadata["fleetpmap_sha256"]
    buffer = io.BytesIO()
    polars.read_parquet(path).write_parquet(buffer, metadata={**metadata, GROUPS: groups})
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UsageError, match="is not a whole snapshot"):
        load_snapshot(path)
