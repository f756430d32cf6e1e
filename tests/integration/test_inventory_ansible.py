"""Ansible inventories: the JSON of `ansible-inventory --list`, and what that program reads itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetpmap.errors import InventoryError
from fleetpmap.inventory import Host, Inventory, load, select
from program import fleetpmap

_LISTING = {
    "_meta": {
        "hostvars": {
            "Bastion": {"ansible_host": "10.0.0.9", "ansible_port": "2222"},
            "db-01": {"ansible_user": "postgres", "ansible_become": "yes"},
            "localhost": {"ansible_connection": "local"},
            "web-01": {"ansible_host": "{{ inventory_hostname }}.example.com", "http_port": 80},
            "web-02": {"ansible_ssh_private_key_file": "~/.ssh/web", "ansible_ssh_common_args": "-J ops@bastion:22"},
        },
        "profile": "inventory_legacy",
    },
    "all": {"children": ["ungrouped", "prod"]},
    "prod": {"children": ["web", "db"]},
    "ungrouped": {"hosts": ["localhost", "Bastion"]},
    "web": {"hosts": ["web-02", "web-01"]},
    "db": {"hosts": ["db-01"]},
}

needs_ansible = pytest.mark.skipif(shutil.which("ansible-inventory") is None, reason="no ansible-inventory here")


def _load(tmp_path: Path, document: object, name: str = "inv.json") -> Inventory:
    path = tmp_path / name
    path.write_text(json.dumps(document))
    return load(path)


def _one(tmp_path: Path, **variables: object) -> tuple[Host, dict[str, tuple[str, ...]]]:
    """The host of an inventory of one, and the notes."""
    inventory = _load(tmp_path, {"_meta": {"hostvars": {"web-01": variables}}, "all": {"hosts": ["web-01"]}})
    return inventory.hosts["web-01"], dict(inventory.notes)


def _mistakes(tmp_path: Path, document: object) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        _load(tmp_path, document)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_hosts_in_the_order_of_their_groups(tmp_path):
    """Ansible's own order, from `all` downwards; names in lower case."""
    assert list(_load(tmp_path, _LISTING).hosts) == ["localhost", "bastion", "web-02", "web-01", "db-01"]


def test_ssh_is_asked_for_a_name_as_it_is_written(tmp_path):
    """ssh_config tells upper and lower case apart; here the names are in lower case."""
    listing = {"_meta": {"hostvars": {"DB-01": {"ansible_host": "10.0.0.1"}}}, "all": {"hosts": ["Web-01", "DB-01"]}}
    hosts = _load(tmp_path, listing).hosts
    assert {name: host.address for name, host in hosts.items()} == {"web-01": "Web-01", "db-01": "10.0.0.1"}


def test_groups_with_their_children(tmp_path):
    """A group has its children's hosts."""
    inventory = _load(tmp_path, _LISTING)
    assert inventory.groups["prod"] == ("web-02", "web-01", "db-01")
    assert inventory.groups["all"] == ("localhost", "bastion", "web-02", "web-01", "db-01")
    assert inventory.hosts["web-01"].groups == ("web", "prod", "all")


def test_variables_are_settings(tmp_path):
    """Address, port, user, key, jump host, become and connection."""
    hosts = _load(tmp_path, _LISTING).hosts
    assert (hosts["bastion"].address, hosts["bastion"].port) == ("10.0.0.9", 2222)
    assert (hosts["db-01"].user, hosts["db-01"].sudo) == ("postgres", True)
    assert (hosts["localhost"].transport, hosts["web-01"].transport) == ("local", "ssh")
    assert (hosts["web-01"].address, hosts["web-01"].sudo) == ("web-01.example.com", False)
    assert (hosts["web-02"].identity_file, hosts["web-02"].proxy_jump) == (("~/.ssh/web",), "ops@bastion:22")


def test_json_is_told_by_its_content(tmp_path):
    """A file of any name that begins with a brace."""
    assert len(_load(tmp_path, _LISTING, "hosts").hosts) == 5


def test_old_scripts_list_hosts_alone(tmp_path):
    """A group may be a list, and its variables may stand with it; the nearest wins."""
    inventory = _load(
        tmp_path,
        {
            "web": ["web-01"],
            "db": {"hosts": ["db-01"], "vars": {"ansible_user": "postgres"}},
            "all": {"children": ["web", "db"], "vars": {"ansible_user": "ops"}},
        },
    )
    assert {name: host.user for name, host in inventory.hosts.items()} == {"web-01": "ops", "db-01": "postgres"}


@pytest.mark.parametrize(
    "arguments",
    [
        "-o ProxyJump=ops@bastion:2222",
        "-oProxyJump=ops@bastion:2222 -o ControlMaster=auto -o ControlPersist=60s",
        "-J ops@bastion:2222",
        "-Jops@bastion:2222",
        "-o 'ProxyJump ops@bastion:2222'",
        """-o ProxyCommand="ssh -W %h:%p -q -p 2222 ops@bastion" """,
        """-o ProxyCommand='ssh -p2222 ops@bastion -W %h:%p'""",
    ],
)
def test_ways_to_write_a_jump_host(tmp_path, arguments):
    """ProxyJump in each spelling, and the ProxyCommand that is nothing else."""
    host, notes = _one(tmp_path, ansible_ssh_common_args=arguments)
    assert (host.proxy_jump, notes) == ("ops@bastion:2222", {})


@pytest.mark.parametrize(
    ("variables", "note"),
    [
        (
            {"ansible_ssh_extra_args": "-o StrictHostKeyChecking=no -C -J hop"},
            "not used of ansible_ssh_extra_args: '-o StrictHostKeyChecking=no' -C (see ssh_config)",
        ),
        (
            {"ansible_ssh_common_args": "-o ProxyCommand='nc -x proxy %h %p'"},
            "not used of ansible_ssh_common_args: '-o ProxyCommand=nc -x proxy %h %p' (see ssh_config)",
        ),
        ({"ansible_ssh_common_args": "-o 'x"}, "ansible_ssh_common_args not used: its quotes do not match"),
        ({"ansible_connection": "winrm"}, "ansible_connection is winrm, which is not known here: asked over SSH"),
        (
            {"ansible_become": True, "ansible_become_method": "su"},
            "ansible_become by su to root is not known here: read without it (see --sudo)",
        ),
        (
            {"ansible_user": "{{ lookup('env', 'USER') }}"},
            "ansible_user is a template that only Ansible can fill in, so it is not used",
        ),
        ({"ansible_host": {"__ansible_vault": "$ANSIBLE"}}, "ansible_host is encrypted, so it is not used"),
    ],
)
def test_what_is_not_used_is_named(tmp_path, variables, note):
    """One sentence, and the hosts it is about."""
    assert _one(tmp_path, **variables)[1] == {note: ("web-01",)}


def test_secrets_are_not_read(tmp_path):
    """Nothing that is loaded or said holds one; the note names the variables."""
    inventory = _load(
        tmp_path,
        {
            "_meta": {"hostvars": {"web-01": {"ansible_password": "hunter2", "ansible_become_pass": {"a": "hunter3"}}}},
            "all": {"hosts": ["web-01"]},
        },
    )
    assert "hunter" not in repr(inventory)
    assert dict(inventory.notes) == {
        "no secret is read from an inventory (ansible_password, ansible_become_pass): log in with a key or --ask-pass; "
        "for sudo there is --ask-become-pass": ("web-01",)
    }


def test_notes_are_told_of_the_hosts_asked(tmp_path):
    """On stderr, folded; not those about hosts that were not selected."""
    path = tmp_path / "inv.json"
    hostvars = {f"web-0{n}": {"ansible_password": "hunter2"} for n in (1, 2, 3)}
    path.write_text(json.dumps({"_meta": {"hostvars": hostvars | {"db": {"ansible_connection": "winrm"}}}}))
    done = fleetpmap("hosts", "-i", str(path), "--limit", "web-0[1-2]", "--ssh-config", "none")
    assert done.stderr == (
        "web-[01-02]: no secret is read from an inventory (ansible_password): log in with a key or --ask-pass; "
        "for sudo there is --ask-become-pass\n"
    )
    assert "hunter" not in done.stdout
    assert fleetpmap("hosts", "-i", str(path), "--quiet", "--ssh-config", "none").stderr == ""


def test_mistakes_have_their_addresses(tmp_path):
    """All of them at once, in Ansible's words."""
    document = {
        "_meta": {"hostvars": {"web-01": {"ansible_port": "22a"}, "we;b": {}, "WEB-01": {}, "web-02": []}},
        "web": {"hosts": "web-01"},
        "db": 7,
    }
    assert _mistakes(tmp_path, document) == [
        'expected a list of names, got "web-01" - at web.hosts',
        "expected a table, got 7 - at db",
        'expected an integer, got "22a" - at _meta.hostvars.web-01.ansible_port',
        '"we;b" cannot be a host\'s name: it holds ";" - at _meta.hostvars."we;b"',
        "the same host as _meta.hostvars.web-01: names are compared in lower case - at _meta.hostvars.WEB-01",
        "expected a table, got a list - at _meta.hostvars.web-02",
    ]


def test_json_of_something_else(tmp_path):
    """A list, or what is no JSON."""
    assert _mistakes(tmp_path, []) == ["expected what ansible-inventory --list prints, got a list"]
    (tmp_path / "torn").write_text('{"_meta": ')
    with pytest.raises(InventoryError, match="not valid JSON: Expecting value - at line 1, column 11"):
        load(tmp_path / "torn")


@pytest.mark.parametrize(
    ("name", "text"), [("hosts.yml", "all:\n"), ("hosts", "---\nall:\n"), ("hosts", "#!/bin/sh\necho\n")]
)
def test_without_ansible_inventory(tmp_path, monkeypatch, name, text):
    """The message names the program that reads YAML and runs scripts, and a way without it."""
    monkeypatch.setenv("PATH", str(tmp_path))  # where the program is looked for
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert caught.value.message == f"{path}: only ansible-inventory reads this, and it is not installed"
    assert caught.value.hint == (
        f"install ansible-core; or run `ansible-inventory -i {path} --list > inventory.json` where it is, and use that"
    )


def test_toml_without_a_suffix_stays_toml(tmp_path):
    """Its mistakes are told as TOML's, wherever ansible-inventory is."""
    (tmp_path / "fleet").write_text("[hosts.web-01]\naddress = \n")
    with pytest.raises(InventoryError, match="not valid TOML"):
        load(tmp_path / "fleet")


@pytest.fixture(scope="module")
def ini(tmp_path_factory) -> Path:
    """An INI inventory with its variables in directories beside it."""
    tmp_path = tmp_path_factory.mktemp("ansible")
    (tmp_path / "hosts.ini").write_text(
        "[web]\nweb[01:03]\n\n[db]\ndb-01 ansible_user=postgres\n\n[prod:children]\nweb\ndb\n\n[web:vars]\n"
        "ansible_ssh_common_args='-o ProxyJump=bastion'\n\n[lab]\nweb03\nlab-01\n"
    )
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "prod.yml").write_text("ansible_user: ops\n")
    return tmp_path / "hosts.ini"


@pytest.fixture(scope="module")
def fleet(ini) -> Inventory:
    """The same, read by ansible-inventory."""
    return load(ini)


@needs_ansible
def test_ini_by_ansible_inventory(fleet):
    """Ranges, group_vars and precedence are Ansible's own."""
    assert {name: (host.user, host.proxy_jump) for name, host in fleet.hosts.items()} == {
        "web01": ("ops", "bastion"),
        "web02": ("ops", "bastion"),
        "web03": ("ops", "bastion"),
        "lab-01": (None, None),
        "db-01": ("postgres", None),
    }


PLAIN = """
lonely:2222 ansible_host=10.0.0.9   # of no group

[web]
web[01:03:2].example.com ansible_user="my-ops" other='x y'
web-[a:c] ansible_port=23

[db]
DB-01 ansible_become=True ansible_ssh_common_args='-o ProxyJump=bastion'
db-02 ansible_user=own
web-b

; the second section of a group adds to it
[web]
web-d

[six]
[::1]:2222
fe80::1

[prod:children]   # deeper groups win
db
inner

[inner:children]
web

[all:vars]
ansible_user = ops
ansible_port = 22
[prod:vars]
ansible_user='prod-ops'
ansible_port=2201
[web:vars]
ansible_host={{ inventory_hostname }}.internal
ansible_ssh_private_key_file = "~/.ssh/web"
[db:vars]
ansible_port=2202
ansible_host=None
"""


@needs_ansible
def test_plain_ini_is_the_same_without_ansible(tmp_path, monkeypatch):
    """Hosts, their order, groups and settings."""
    (tmp_path / "hosts").write_text(PLAIN)
    by_ansible = load(tmp_path / "hosts")
    monkeypatch.setenv("PATH", str(tmp_path))
    alone = load(tmp_path / "hosts")
    assert [*alone.hosts.values()] == [*by_ansible.hosts.values()]
    assert [*alone.groups.items()] == [*by_ansible.groups.items()]
    assert len(alone.hosts) == 11


@needs_ansible
def test_yaml_and_a_directory_by_ansible_inventory(tmp_path):
    """A directory is all the inventories in it."""
    (tmp_path / "one.yml").write_text("web:\n  hosts:\n    web-01: {ansible_host: 10.0.0.1}\n")
    (tmp_path / "two.yml").write_text("db:\n  hosts:\n    db-01: {ansible_port: 2222}\n")
    assert load(tmp_path / "one.yml").hosts["web-01"].address == "10.0.0.1"
    assert {name: host.port for name, host in load(tmp_path).hosts.items()} == {"web-01": None, "db-01": 2222}


@needs_ansible
def test_what_ansible_inventory_cannot_read(tmp_path):
    """Its own words."""
    (tmp_path / "bad.ini").write_text("[web\nx y z\n")
    with pytest.raises(InventoryError, match=r"ansible-inventory cannot read it: .*[Ff]ailed to parse"):
        load(tmp_path / "bad.ini")


@needs_ansible
@pytest.mark.parametrize(
    "pattern",
    [
        *("web:&lab", "prod:!web", "web:db:!web02", "!web:prod", "web,&lab", "all:!prod", "web0*:!web01", "lab"),
        *(r"~web\d+", r"~(lab|db)-", r"prod:!~.*1$", "web01:&prod:db", "*:!lab", "pro*"),
    ],
)
def test_limit_selects_what_ansible_selects(ini, fleet, pattern):
    """The same hosts as `ansible --list-hosts`."""
    argv = ["ansible", "all", "-i", str(ini), "--limit", pattern, "--list-hosts"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")[1:]
    hosts = {host.name for host in select(fleet, limit=[pattern])}
    assert hosts == {line.strip() for line in listed if line.strip()}
