"""Groups of ClusterShell's own configuration in -H, -g and --limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.inventory import Host, Inventory, cluster_groups, select

GROUPS_CONF = """\
[Main]
default: racks
autodir: $CFGDIR/groups.d

[upcalls]
map: echo "asked for $GROUP" >> $CFGDIR/log; sed -n 's/^$GROUP: //p' $CFGDIR/upcalls.txt
"""
RACKS = """\
racks:
    r1: 'web[01-03]'
    r2: '@r1,DB01'
    odd: 'web01,we;b'
    many: 'n[1-100001]'
roles:
    r1: 'other9'
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """`configured(hosts=[…])` is the names that these options select, with groups.conf in $CLUSTERSHELL_CFGDIR."""
    (tmp_path / "groups.conf").write_text(GROUPS_CONF)
    (tmp_path / "groups.d").mkdir()
    (tmp_path / "groups.d" / "racks.yaml").write_text(RACKS)
    (tmp_path / "upcalls.txt").write_text("gpu: gpu[2,1]\n")
    monkeypatch.setenv("CLUSTERSHELL_CFGDIR", str(tmp_path))
    cluster_groups._resolver.cache_clear()
    yield lambda inventory=None, **options: [host.name for host in select(inventory, **options)]
    cluster_groups._resolver.cache_clear()


def test_a_group_of_the_default_source(configured):
    """Its hosts, sorted; a group may hold another one."""
    assert configured(hosts=["@r1"]) == ["web01", "web02", "web03"]
    assert configured(hosts=["@r2"]) == ["db01", "web01", "web02", "web03"]
    assert configured(groups=["r1"]) == ["web01", "web02", "web03"]


def test_a_group_of_another_source(configured):
    """Named as ClusterShell's commands take it."""
    assert configured(hosts=["@roles:r1,@upcalls:gpu"]) == ["other9", "gpu1", "gpu2"]


def test_groups_are_part_of_the_language(configured):
    """Operators, --limit and lines of --hosts-from take them too."""
    assert configured(hosts=["@r2!@r1"]) == ["db01"]
    assert configured(hosts=["web[02-09]"], limit=["@r1"]) == ["web02", "web03"]
    assert configured(hosts_from=["@r1"]) == ["web01", "web02", "web03"]


def test_a_name_keeps_its_spelling_for_ssh(configured, tmp_path):
    (db, *_) = select(None, hosts=["@r2"])
    assert (db.name, db.address) == ("db01", "DB01")


def test_the_inventory_comes_first(configured):
    """Its group of the same name is meant, and its hosts keep their settings."""
    fleet = Inventory({"a": Host("a"), "web01": Host("web01", user="ops")}, {"r1": ("a",)})
    assert configured(fleet, hosts=["@r1"]) == ["a"]
    assert [host.user for host in select(fleet, hosts=["@r2"])] == [None, "ops", None, None]


@pytest.mark.parametrize("name", ["none", "roles:none", "nowhere:r1", "upcalls:none"])
def test_a_group_that_neither_has(configured, name: str):
    """The error is that of an inventory."""
    with pytest.raises(UsageError) as error:
        configured(hosts=[f"@{name}"])
    assert error.value.message == f'-H: there is no group "{name}"'
    assert "ClusterShell's groups.conf" in error.value.hint


@pytest.mark.parametrize("name", ["x$(touch${IFS}hacked)", "x;touch", "-n", "upcalls:`id`", "upcalls:x'", "", ":", "é"])
def test_no_name_reaches_a_shell_unless_it_is_plain(configured, tmp_path: Path, name: str):
    """A source may be a shell command with the name in it, and a line of --hosts-from may be anybody's."""
    with pytest.raises(UsageError):
        configured(hosts_from=[f"@{name}"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.conf", "groups.d", "upcalls.txt"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("odd", 'ClusterShell\'s group odd has the host "we;b": it holds ";"'),
        ("many", "ClusterShell's group many means more than 100,000 hosts"),
    ],
)
def test_a_group_that_cannot_be_used(configured, name: str, why: str):
    """Its hosts become arguments of ssh, as any other."""
    with pytest.raises(UsageError) as error:
        configured(hosts=[f"@{name}"])
    assert error.value.message == f"-H: {why}"
    assert error.value.hint == f"run `nodeset -e @{name}` to see why"


def test_a_configuration_with_a_mistake(configured, tmp_path: Path):
    """ClusterShell's own sentence is in the error."""
    (tmp_path / "groups.conf").write_text("[Main]\ndefault: nowhere\n")
    with pytest.raises(UsageError, match='cannot tell the group r1: Default group source not found: "nowhere"'):
        configured(hosts=["@r1"])


def test_a_file_that_is_no_configuration(configured, tmp_path: Path):
    (tmp_path / "groups.conf").write_text("no section\n")
    with pytest.raises(UsageError, match="ClusterShell cannot tell the group r1: File contains no section headers"):
        configured(hosts=["@r1"])


def test_the_examples_that_pip_installs_are_not_read(monkeypatch: pytest.MonkeyPatch):
    """Else `-H @all` would ask example4 to example159."""
    monkeypatch.delenv("CLUSTERSHELL_CFGDIR", raising=False)
    cluster_groups._resolver.cache_clear()
    with pytest.raises(UsageError, match='there is no group "compute"'):
        select(None, hosts=["@compute"])
