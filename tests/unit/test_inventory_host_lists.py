"""--hosts-from: text, csv and json of other programs, and what each wrong file is told."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.inventory import host_lists, select
from fleetpmap.inventory.host_lists import MOST_BYTES, HostList, read_host_list

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "fleets.md"
AWS = {
    "Reservations": [
        {"Instances": [{"PrivateDnsName": "ip-10-0-0-1.ec2.internal"}, {"PrivateDnsName": ""}]},
        {"Instances": [{"PrivateDnsName": "ip-10-0-0-2.ec2.internal", "Tags": [{"Key": "Name", "Value": "a b"}]}]},
    ]
}
NODES = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Node", "metadata": {"name": "worker-1"}}]}
PODS = {"kind": "List", "items": [{"kind": "Pod", "spec": {"nodeName": "worker-1"}}]}
CATALOG = [{"Node": "n1", "Address": "10.1.0.1", "Meta": {}}, {"Node": "n2", "Address": "10.1.0.2"}]
HEALTH = [{"Node": {"Node": "n1", "Address": "10.1.0.1"}, "Service": {}, "Checks": []}]
OURS = {"fleetpmap": {"version": "0.1.0", "format": 1}, "rows": [{"host": "web-01"}, {"host": "ops@[::1]:2222"}]}


def _read(name: str, content: object, where: str = "") -> HostList:
    text = content if isinstance(content, str) else json.dumps(content)
    return read_host_list(name, text.encode(), where)


def _refused(name: str, content: object, where: str = "") -> UsageError:
    with pytest.raises(UsageError) as error:
        _read(name, content, where)
    assert error.value.message.startswith(f"--hosts-from {name}: ")
    assert error.value.hint
    return error.value


# Text


def test_text_is_a_pattern_a_line():
    """As it always was: what a line means is known when hosts are selected."""
    assert _read("hosts.txt", "web[01-02]\n# all of them\n@db  # a group\n").lines == (
        *("web[01-02]", "# all of them", "@db  # a group"),
    )


def test_an_address_in_brackets_is_no_json():
    """A list may begin with it."""
    assert _read("hosts", "[::1]:22\nweb-01\n").lines == ("[::1]:22", "web-01")


def test_a_byte_order_mark_is_no_part_of_a_name():
    assert _read("hosts.txt", "\ufeffweb-01\n").lines == ("web-01",)


# json


@pytest.mark.parametrize("name", ["aws.json", "-", "/dev/fd/63"])
def test_a_path_into_the_json_of_aws(name: str):
    """JMESPath, as in aws' own --query. A terminated instance has no name, and a note counts it."""
    listed = _read(name, AWS, "Reservations[].Instances[].PrivateDnsName")
    assert listed.lines == ("ip-10-0-0-1.ec2.internal", "ip-10-0-0-2.ec2.internal")
    assert listed.note == f"{name}: 1 of 3 values are empty, and no host"


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        (NODES, "items[].metadata.name", ["worker-1"]),
        (CATALOG, "[].Address", ["10.1.0.1", "10.1.0.2"]),
        (CATALOG, "[?Node=='n2'].Node", ["n2"]),
        (HEALTH, "[].Node.Address", ["10.1.0.1"]),
        (OURS, "rows[].host", ["web-01", "ops@[::1]:2222"]),
        ({"host": "one"}, "host", ["one"]),
        (["web-01", "web[02-03]"], "", ["web-01", "web[02-03]"]),
        (["web-01", None, "db"], "[]", ["web-01", "db"]),
    ],
)
def test_paths(document: object, path: str, expected: list[str]):
    assert [*_read("x.json", document, path).lines] == expected


def test_paths_of_the_guide():
    """Each of its table of paths gives the hosts that its line says."""
    rows = re.findall(r"^\| [^|`]+ \| `+(.*?)`+ \|$", GUIDE.read_text(), re.MULTILINE)
    instance = {"State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.1", "Tags": [{"Key": "role", "Value": "web"}]}
    other = {"State": {"Name": "stopped"}, "PrivateIpAddress": "10.0.0.2", "Tags": [{"Key": "role", "Value": "db"}]}
    addresses = [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    document = {
        "Reservations": [{"Instances": [other, instance]}, {"Instances": [other]}],
        "items": [{"kind": "Node", "status": {"addresses": addresses}}],
        "failures": [{"host": "10.0.0.1", "status": "dns"}],
    }
    paths = [row for row in rows if "[" in row and not row.startswith("-")]
    assert [_read("x.json", document, path).lines for path in paths] == [("10.0.0.1",)] * 4


@pytest.mark.parametrize(
    ("document", "what", "path"),
    [
        (AWS, "the output of `aws ec2 describe-instances`", "Reservations[].Instances[].PrivateDnsName"),
        (NODES, "the output of `kubectl get nodes -o json`", "items[].metadata.name"),
        (PODS, "the output of `kubectl get pods -o json`", "items[].spec.nodeName"),
        (CATALOG, "an answer of Consul's /v1/catalog", "[].Address"),
        (HEALTH, "an answer of Consul's /v1/health/service", "[].Node.Address"),
        (OURS, "a report of fleetpmap", "rows[].host"),
    ],
)
def test_json_without_a_path_is_told_it(document: object, what: str, path: str):
    """And the path is right."""
    error = _refused("x.json", document)
    assert error.message == f"--hosts-from x.json: {what}, not a list of hosts"
    assert error.hint == f"add the path of the hosts: 'x.json:{path}'"
    assert _read("x.json", document, path).lines


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([{"id": 7, "hostname": "a"}], "[].hostname"),
        ({"servers": [{"ip": "10.0.0.1"}]}, "servers[].ip"),
        ({"n": 1}, "hosts[].name"),
        ([1], "[].name"),
        ({"a'; reboot; '": [{"ip": "x"}]}, "hosts[].name"),
        ([{"'$(reboot)'": "x"}], "[].name"),
        (7, "hosts[].name"),
    ],
)
def test_json_of_an_unknown_program(document: object, path: str):
    """The hint has a key of the document, unless a shell could do something with it."""
    assert _refused("x.json", document).hint == f"add the path of the hosts: 'x.json:{path}'"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("Reservations[", '"Reservations[" is not a path: '),
        ("Reservations[]..", '"Reservations[].." is not a path: '),
        ("nope(@)", '"nope(@)" is not a path: Unknown function: nope()'),
        ("length(Reservations[0].Nope)", '"length(Reservations[0].Nope)" is not a path: In function length()'),
        ("Instances[].Name", 'nothing is at "Instances[].Name"'),
        ("Reservations[]", "expected a name, got a table with Instances - at value 1"),
        ("length(Reservations)", "expected a name, got 2 - at value 1"),
        ("Reservations[].Instances[].Tags[].Value", '"a b" cannot be a host\'s name: it holds " " - at value 1'),
    ],
)
def test_a_path_that_names_no_hosts(where: str, why: str):
    assert _refused("aws.json", AWS, where).message.startswith(f"--hosts-from aws.json: {why}")


def test_a_path_beside_the_document_is_told_its_keys():
    assert _refused("x.json", AWS, "Reservation").hint == "it has Reservations"
    assert _refused("x.json", CATALOG, "Node").hint == "it is a list: begin with []"
    assert _refused("x.json", [{"Node": "a"}], "[].node").hint == "its first entry has Node"
    assert _refused("x.json", [], "[].Node").hint == "it is an empty list"


def test_the_reason_of_a_path_is_one_sentence():
    """The library's own message goes on with the expression and a mark below it."""
    assert _refused("x.json", AWS, "Reservations[]..").message.endswith('token "." (DOT)')


# csv


def test_a_column_of_csv():
    """By its name, in either case; a csv of fleetpmap's own has one called host."""
    assert _read("hosts.csv", "host,status\nweb-01,ok\nweb-02,dns\n").lines == ("web-01", "web-02")
    text = 'Name,Private IP,Note\r\n"x","10.0.0.1","a, b"\r\n\r\ny,10.0.0.2,\r\n'
    assert _read("hosts.csv", text, "private ip").lines == ("10.0.0.1", "10.0.0.2")
    assert _read("hosts.csv", text).lines == ("x", "y")
    assert _read("hosts.csv", "name, ip\nx, 10.0.0.1\ny, 10.0.0.2\n", "ip").lines == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("name", "text"), [("x.tsv", "id\thost\n1\ta\n"), ("x.csv", "id;host\n1;a\n"), ("-", "id,host\n1,a\n")]
)
def test_separators(name: str, text: str):
    """A tab or a semicolon, as spreadsheets write them."""
    assert _read(name, text, "host").lines == ("a",)


def test_an_empty_cell_is_no_host():
    """Nor is a row that is cut short; a note counts both."""
    listed = _read("x.csv", "id,host\n1,a\n2,\n3\n")
    assert (listed.lines, listed.note) == (("a",), "x.csv: 2 of 3 values are empty, and no host")


def test_csv_with_no_such_column():
    """The hint has the nearest one, and all of them."""
    error = _refused("x.csv", "id,PrivateIp,Zone\n", "privateip4")
    assert error.message == '--hosts-from x.csv: there is no column "privateip4"'
    assert error.hint == 'did you mean "PrivateIp"? the columns are id, PrivateIp, Zone'
    error = _refused("x.csv", "id,ip\n1,2\n")
    assert error.message == "--hosts-from x.csv: which column has the hosts?"
    assert error.hint == "write x.csv:COLUMN; the columns are id, ip"


# Wrong files, and hostile ones


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (
            "NAME  STATUS  ROLES  AGE\nn1  Ready  <none>  5d\n",
            "the table of `kubectl get nodes`",
            "-o json > hosts.json",
        ),
        ("node/worker-1\nnode/worker-2\n", "what `kubectl get -o name` prints", "'hosts.json:items[].metadata.name'"),
        ("Node  Address  Status\nn1 10.0.0.1:8301 alive\n", "the table of `consul members`", "'hosts.json:[].Address'"),
        ("[web]\nweb-01\n", "an inventory", "give it to -i"),
        ('# ours\n[groups.web]\nhosts = "web-01"\n', "an inventory", "give it to -i"),
    ],
)
def test_text_that_is_no_list(text: str, what: str, hint: str):
    """Its words would be asked as hosts."""
    error = _refused("hosts.txt", text)
    assert error.message == f"--hosts-from hosts.txt: {what}, not a list of hosts"
    assert hint in error.hint


@pytest.mark.parametrize("name", ["inventory.toml", "hosts.yml", "hosts.INI"])
def test_an_inventory_by_its_name(name: str):
    """Its lines would be read as hosts: `all:` as one with a port."""
    assert _refused(name, "all:\n  hosts:\n").hint == "give it to -i"


@pytest.mark.parametrize(
    "value",
    [
        *("@all", "*", "web*", "a!b", "a&b", "a#b", "a b", "-oProxyCommand=x", "a;b", "a\nb", "a:0", "web[1-", "ops@"),
        *("a/b", "\x1b[2J"),
    ],
)
def test_a_value_is_only_a_name(value: str):
    """A value from a file is a name or a node set: it selects no group and gives ssh no option."""
    for error in (_refused("x.json", ["web-01", value]), _refused("x.csv", f'host\nweb-01\n"{value}"\n')):
        assert " - at " in error.message


def test_lines_mean_what_was_checked():
    """`select` reads them as patterns."""
    lines = _read("x.json", ["web-01", "web[02-03]", "ops@db:2222", "[::1]:22", "fe80::1"]).lines
    assert [host.name for host in select(None, hosts_from=lines)] == [
        *("web-01", "web02", "web03", "db:2222", "[::1]:22", "fe80::1"),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'["a", ' + b"9" * 5000 + b"]", "a number too long"),
        (b'{"a"', "Expecting ':' delimiter at line 1, column 5"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"", "Expecting value"),
        (b" " * (MOST_BYTES + 1), "larger than 64 MiB"),
        (b'["a[1-100001]"]', "means more than 100,000 names"),
    ],
)
def test_json_that_is_none(content: bytes, why: str):
    with pytest.raises(UsageError, match=why):
        read_host_list("x.json", content)


def test_node_sets_have_a_limit_together(monkeypatch: pytest.MonkeyPatch):
    """A million hosts, of which the test takes five."""
    monkeypatch.setattr(host_lists, "MOST_HOSTS", 5)
    assert _refused("x.json", ["a[1-3]", "b[1-3]"]).message == "--hosts-from x.json: more than 5 hosts"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('host\n"a\nb', "cannot be a host"),
        ("host\na\0b\n", "cannot be|NUL"),
        ("host\n" + "a" * 200_000, "field larger"),
    ],
)
def test_csv_that_is_none(text: str, why: str):
    with pytest.raises(UsageError, match=why):
        read_host_list("x.csv", text.encode())


def test_an_empty_list_is_not_all_hosts():
    for name, text in (("x.json", "[]"), ("x.csv", "host\n"), ("x.csv", "")):
        assert _refused(name, text).message == f"--hosts-from {name}: names no host"


@pytest.mark.parametrize("text", ["a" * 3_000_000, "[" * 3_000_000, "Node " * 600_000, "NAME " + " " * 3_000_000])
def test_time_is_linear(text: str):
    """A line of three million characters takes less than a second or two."""
    began = time.process_time()
    with pytest.raises(UsageError):
        read_host_list("x.json", text.encode())
    host_lists.table_of(text)
    host_lists.has_sections(text)
    assert time.process_time() - began < 2
