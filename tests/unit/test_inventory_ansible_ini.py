"""Ansible's INI inventories, read without Ansible. That Ansible says the same is tested in test_inventory_ansible."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fleetpmap.errors import InventoryError, Mistake
from fleetpmap.inventory import Inventory, load
from fleetpmap.inventory.ansible_ini import read_ini

CHANGES = "changes which group wins, which only Ansible can tell"


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The inventory of a text in a file `hosts`, on a machine without Ansible."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def load_text(text: str) -> Inventory:
        (tmp_path / "hosts").write_text(text)
        return load(tmp_path / "hosts")

    return load_text


def _hosts(text: str) -> list[str]:
    mistakes: list[Mistake] = []
    listing = read_ini(Path("/nonexistent/hosts"), text, mistakes)
    assert not mistakes
    return [*listing["_meta"]["hostvars"]]


def test_groups_children_and_variables(loaded):
    """The host's own variable beats that of its group, and the deeper group beats the one above it."""
    fleet = loaded(
        "[web]\nweb01 ansible_host=10.0.0.1 ansible_user=own\nweb02\n[db]\ndb01:2222\n[prod:children]\nweb\ndb\n"
        "[prod:vars]\nansible_user = prod\nansible_port=2201\n[web:vars]\nansible_user='of web'\nansible_become=yes\n"
        .replace("of web", "web")
    )  # fmt: skip
    assert {name: (host.address, host.user, host.port, host.sudo) for name, host in fleet.hosts.items()} == {
        "web01": ("10.0.0.1", "own", 2201, True),
        "web02": (None, "web", 2201, True),
        "db01": (None, "prod", 2222, False),
    }
    assert fleet.groups["prod"] == ("web01", "web02", "db01")


def test_a_list_of_names_is_an_inventory_without_groups(loaded):
    """As Ansible takes it, from a file without a suffix."""
    assert [*loaded("web-01\nweb-02 # the second\n").hosts] == ["web-01", "web-02"]


def test_secrets_are_not_read(loaded):
    """A note names the host, as for every inventory of Ansible's."""
    (note,) = loaded("web-01 ansible_password='se cret'\n").notes
    assert note.startswith("no secret is read from an inventory (ansible_password)")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[01:05:2]-x", ["web01-x", "web03-x", "web05-x"]),
        ("n[:2]", ["n0", "n1", "n2"]),
        ("db-[a:c]", ["db-a", "db-b", "db-c"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("10.0.0.[9:11]", ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
        ("[::1]:22", ["::1"]),
        ("[fe80::1]", ["fe80::1"]),
        ("fe80::1", ["fe80::1"]),
        ("a[1:2]:2222", ["a1", "a2"]),
    ],
)
def test_ranges(pattern: str, names: list[str]):
    """Ansible's own, both ends included."""
    assert _hosts(pattern) == names


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("web[1-3]", '"web[1-3]": [1-3] is not a range: write [01:20], [a:f] or [1:9:2]', 1),
        ("web[3:1]", '"web[3:1]": the range [3:1] is empty', 1),
        ("web[1:9:0]", '"web[1:9:0]": the range [1:9:0] is empty', 1),
        ("web[01:100]", '"web[01:100]": both ends of [01:100] have to be equally long', 1),
        ("web[c:a]", '"web[c:a]": the range [c:a] is empty', 1),
        ("n[0:999999999]", '"n[0:999999999]" means more than 100,000 names', 1),
        ("n[1:999]x[1:999]", '"n[1:999]x[1:999]" means more than 100,000 names', 1),
        ("\n\nweb01 ops", 'expected VARIABLE=VALUE, got "ops"', 3),
        ("web01 a='b", 'its quotes do not match: "web01 a=\'b"', 1),
        ("[web:vars]\nuser\n[web]\n", 'expected VARIABLE=VALUE, got "user"', 2),
        ("[web:kids]\nx\n", "[web:kids] is no section: write [web], [web:children] or [web:vars]", 1),
        ("[web]\n[prod:children]\nwbe\n", 'there is no group "wbe"', 3),
        ("[prod:children]\nweb db\n[web]\n", 'expected the name of a group, got "web db"', 2),
        ("[web:vars]\na=b\n", "[web:vars], and there is no group web", 1),
        ("[web]\nx ansible_port=[22]\n", "ansible_port is a list or a table, which only Ansible reads", 2),
        ("[a]\nx ansible_group_priority=2\n", f"ansible_group_priority {CHANGES}", 2),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_with_its_line(text: str, what: str, where: int):
    """Nothing is guessed: another user or address would be a wrong one."""
    mistakes: list[Mistake] = []
    read_ini(Path("/nonexistent/hosts"), text, mistakes)
    assert Mistake(what, f"line {where}") in mistakes


def test_all_mistakes_at_once_and_what_to_do(loaded, tmp_path: Path):
    """The hint is how to get everything that Ansible reads."""
    with pytest.raises(InventoryError) as error:
        loaded("[web]\nweb01 ops\nwe;b\n[web:kids]\n")
    assert [str(mistake) for mistake in error.value.mistakes] == [
        'expected VARIABLE=VALUE, got "ops" - at line 2',
        "[web:kids] is no section: write [web], [web:children] or [web:vars] - at line 4",
        '"we;b" cannot be a host\'s name: it holds ";" - at web.hosts',
        '"we;b" cannot be a host\'s name: it holds ";" - at _meta.hostvars."we;b"',
    ]
    assert error.value.hint.startswith(
        "without ansible-inventory only plain INI can be read: install ansible-core; or run `ansible-inventory -i "
    )


@pytest.mark.parametrize("name", ["group_vars", "host_vars"])
def test_variables_beside_the_file(loaded, tmp_path: Path, name: str):
    """They may hold the user and the port."""
    (tmp_path / name).mkdir()
    with pytest.raises(InventoryError, match=f"there are variables in {name}/ beside it, which only Ansible reads"):
        loaded("web01\n")


def test_children_in_a_circle(loaded):
    """The groups are named, and reading ends."""
    with pytest.raises(InventoryError, match="children go in a circle: "):
        loaded("[a:children]\nb\n[b:children]\na\n[c]\nweb01\n")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 2_000_000,
        "x " + "a=b " * 500_000,
        "x a=" + "'" * 1_000_001,
        "[" * 1_000_000,
        "x" + "[1:1]" * 40_000,
        "[web:vars]\nansible_user='" + "(" * 1_000_000 + "'\n",
        "".join(f"[g{n}:children]\ng{n + 1}\n" for n in range(10_000)) + "[g10000]\nweb01\n",
        "".join(f"[g{n}]\nweb01\n" for n in range(10_000)),
    ],
    ids=["name", "words", "quotes", "brackets", "ranges", "value", "deep", "many"],
)
def test_time_is_linear(text: str):
    """A hostile file of a megabyte is read, or refused, in seconds."""
    began = time.process_time()
    read_ini(Path("/nonexistent/hosts"), text, [])
    assert time.process_time() - began < 5
