"""Files that are given to -i and are no inventory: each is told the option that takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetpmap.errors import InventoryError, UsageError
from fleetpmap.inventory import load, reader
from fleetpmap.inventory.host_lists import read_host_list

AWS = {"Reservations": [{"Instances": [{"PrivateDnsName": "ip-1"}]}]}
NODES = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Node", "metadata": {"name": "n1"}}]}
CATALOG = [{"Node": "n1", "Address": "10.1.0.1"}]


def _refused(path: Path, text: str) -> tuple[str, str]:
    path.write_text(text)
    with pytest.raises(InventoryError) as error:
        load(path)
    return error.value.message.removeprefix(f"{path}: "), error.value.hint.replace(str(path.parent), "DIR")


@pytest.mark.parametrize(
    ("document", "what", "hint"),
    [
        (
            AWS,
            "the output of `aws ec2 describe-instances`, not an inventory",
            "use --hosts-from 'DIR/x.json:Reservations[].Instances[].PrivateDnsName'",
        ),
        (
            NODES,
            "the output of `kubectl get nodes -o json`, not an inventory",
            "use --hosts-from 'DIR/x.json:items[].metadata.name'",
        ),
        (
            CATALOG,
            "an answer of Consul's /v1/catalog, not an inventory",
            "use --hosts-from 'DIR/x.json:[].Address'",
        ),
        (["web-01", "web-02"], "a list, not an inventory", "use --hosts-from DIR/x.json"),
        (
            [{"ip": "10.0.0.1"}],
            "a list, not an inventory",
            "use --hosts-from 'DIR/x.json:[].name', with the key of the names",
        ),
    ],
)
def test_json_of_other_programs(tmp_path: Path, document: object, what: str, hint: str):
    """With the suffix, and without it: the text begins as json."""
    assert _refused(tmp_path / "x.json", json.dumps(document)) == (what, hint)
    assert _refused(tmp_path / "x", json.dumps(document)) == (what, hint.replace("x.json", "x"))


@pytest.mark.parametrize("name", ["hosts.txt", "hosts.toml", "hosts.list"])
def test_a_list_of_hosts(tmp_path: Path, name: str):
    """Names and node sets, a line each."""
    what, hint = _refused(tmp_path / name, "# ours\nweb-01.example.com\nweb-[02-05]  # and these\nops@db:22\n")
    assert (what, hint) == ("a list of hosts, not an inventory", f"use --hosts-from DIR/{name}")


def test_a_csv_file(tmp_path: Path):
    what, hint = _refused(tmp_path / "hosts.csv", "id,host\n1,web-01\n")
    assert (what, hint) == ("csv, not an inventory", "use --hosts-from DIR/hosts.csv:COLUMN")


@pytest.mark.parametrize("name", ["nodes", "nodes.txt"])
def test_tables_for_people(tmp_path: Path, name: str):
    """The command that prints json is named."""
    what, hint = _refused(
        tmp_path / name, "NAME   STATUS   ROLES    AGE   VERSION\nn1     Ready    <none>   1d    v1\n"
    )
    assert what == "the table of `kubectl get nodes`, not an inventory"
    assert hint == "run `kubectl get nodes -o json > hosts.json`, and --hosts-from 'hosts.json:items[].metadata.name'"


@pytest.mark.parametrize(
    ("name", "text", "what", "do"),
    [
        ("config", "User ops\nHost web-01 web-02\n  HostName 10.0.0.1\n", "an ssh_config", "by -H 'web-*'"),
        ("known_hosts", "[10.0.0.1]:22 ssh-ed25519 AAAAC3Nza\n", "a file of host keys", "--known-hosts FILE"),
        ("known_hosts", "@revoked * ecdsa-sha2-nistp256 AAAAC3Nza x\n", "a file of host keys", "--known-hosts FILE"),
        ("hosts", "# ours\n127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\n", "a file such as /etc/hosts", "by -H"),
    ],
)
def test_files_that_ssh_reads(tmp_path: Path, name: str, text: str, what: str, do: str):
    """One sentence for the file, and not one for each of its lines; as an inventory and as a list."""
    said, hint = _refused(tmp_path / name, text)
    assert said == f"{what}, not an inventory"
    assert do in hint
    with pytest.raises(UsageError, match=f"{what}, not a list of hosts"):
        read_host_list(name, text.encode())


@pytest.mark.parametrize("line", ["host ansible_host=10.0.0.1", "10.0.0.1 ansible_user=ops", "match"])
def test_hosts_of_ansible_are_no_such_file(tmp_path: Path, line: str):
    """A host may be called `host`, and its name may be an address."""
    path = tmp_path / "hosts"
    path.write_text(f"{line}\n")
    assert [*load(path).hosts] == [line.split()[0]]


def test_a_file_of_other_lines_is_told_once(tmp_path: Path):
    """Ten of the mistakes stand for all."""
    said, _ = _refused(tmp_path / "notes.ini", "one two\n" * 40)
    assert len(said.splitlines()) == 11
    assert said.splitlines()[-1].endswith("notes.ini: 30 more like these")


@pytest.mark.parametrize("text", ["[groups.web]\nhosts = web\n", "x = \n", "[[\n", "a b c\n"])
def test_toml_with_a_mistake_stays_toml(tmp_path: Path, text: str):
    """Nothing else is guessed."""
    assert "not valid TOML" in _refused(tmp_path / "inventory.toml", text)[0]


def test_a_file_without_an_end(monkeypatch: pytest.MonkeyPatch):
    """No more of it is read than an inventory may have."""
    monkeypatch.setattr(reader, "MOST_BYTES", 1000)
    with pytest.raises(InventoryError, match="/dev/zero: larger than"):
        load("/dev/zero")
