"""--hosts-from FILE[:WHERE] and names of ssh_config, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleetpmap.cli.inputs import hosts_from
from fleetpmap.cli.options import HostOptions, RunningOptions
from fleetpmap.errors import UsageError
from fleetpmap.inventory import Inventory, load
from program import BARE, fleetpmap

AWS = json.dumps({"Reservations": [{"Instances": [{"PrivateDnsName": "ip-1"}, {"PrivateDnsName": ""}]}]})
PATH = "Reservations[].Instances[].PrivateDnsName"


def _selected(
    *listed: str, inventory: Inventory | None = None, config: str = "none", **options: list[str]
) -> list[str]:
    which = HostOptions(hosts_from=[*listed], **options)
    return [host.name for host in hosts_from(inventory, which, RunningOptions(ssh_config=config))]


@pytest.mark.parametrize("name", ["aws.json", "day:1.json", "a b.json"])
def test_a_file_and_a_path_in_it(tmp_path: Path, capsys, name: str):
    """The first colon behind which there is a file separates them; what is empty is told."""
    (tmp_path / name).write_text(AWS)
    assert _selected(f"{tmp_path / name}:{PATH}") == ["ip-1"]
    assert capsys.readouterr().err == f"{tmp_path / name}: 1 of 2 values are empty, and no host\n"


def test_the_output_of_a_command():
    """By a pipe, or by bash's <(…)."""
    done = fleetpmap("hosts", "--format", "csv", "--quiet", "--hosts-from", f"-:{PATH}", stdin=AWS)
    assert done.stdout.splitlines()[1].startswith("ip-1,ssh,ip-1,22,"), done.stderr
    command = f"exec {sys.executable} -m fleetpmap hosts --format csv --hosts-from <(printf %s '{AWS}'):'{PATH}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=BARE, check=False)
    assert done.stdout.splitlines()[1].startswith("ip-1,ssh,ip-1,22,"), done.stderr


def test_a_csv_of_our_own(tmp_path: Path):
    """The hosts of a report are the hosts of another run."""
    (tmp_path / "x.csv").write_text("host,status,pss_kib\nweb1,ok,7\nops@web2,ok,9\n[::1]:2222,dns,\n")
    assert _selected(str(tmp_path / "x.csv")) == ["web1", "web2", "[::1]:2222"]


@pytest.mark.parametrize("text", ["/nonexistent/aws.json:x", "/nonexistent/" + "a" * 5000])
def test_a_file_that_is_not_there(text: str):
    with pytest.raises(UsageError, match=r"No such file or directory|File name too long"):
        _selected(text)


def test_text_of_others_cannot_draw(tmp_path: Path):
    """Control characters of a value are escaped in the message."""
    (tmp_path / "x.json").write_text(json.dumps(["\x1b[2Jweb"]))
    done = fleetpmap("hosts", "--hosts-from", str(tmp_path / "x.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "\x1b" not in done.stderr


def test_names_of_ssh_config_by_glob(tmp_path: Path):
    """The Host names that are no pattern themselves, included files too; Host is spelled for ssh as it is there."""
    (tmp_path / "more").write_text("Host web-03 !web-09 web-*\n  User ops\n")
    config = str(tmp_path / "config")
    Path(config).write_text(f"Host Web-01 web-02.example.com bastion\nInclude {tmp_path}/more\nHost *\n  Port 22\n")
    assert _selected(config=config, host=["web-*"]) == ["web-01", "web-02.example.com", "web-03"]
    assert _selected(config=config, host=["WEB-0?,ops@bastion:2222"]) == ["web-01", "web-03", "bastion:2222"]
    (first,) = hosts_from(None, HostOptions(host=["web-01*"]), RunningOptions(ssh_config=config))
    assert first.address == "Web-01"


def test_a_glob_that_neither_has():
    with pytest.raises(UsageError, match=r'^-H: no host of the inventory matches "web-\*", and no Host of ssh_config'):
        _selected(host=["web-*"])


def test_the_inventory_comes_before_ssh_config(tmp_path: Path):
    """A glob that matches hosts of the inventory means these alone, and --limit only narrows."""
    (tmp_path / "config").write_text("Host web-99 db-1\n")
    (tmp_path / "inventory.toml").write_text("[hosts.web-01]\n")
    inventory, config = load(tmp_path / "inventory.toml"), str(tmp_path / "config")
    assert _selected(inventory=inventory, config=config, host=["web-*,db-*"]) == ["web-01", "db-1"]
    with pytest.raises(UsageError, match="no host is left"):
        _selected(inventory=inventory, config=config, limit=["db-*"])
