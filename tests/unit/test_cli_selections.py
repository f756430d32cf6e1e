"""The processes that a stored run selected, read from its command line."""

from __future__ import annotations

import pytest

from fleetpmap.cli.selections import selection_of_command


@pytest.mark.parametrize(
    ("command", "selection"),
    [
        ("fleetpmap run -g web -m nginx", "--match nginx"),
        ("fleetpmap watch -H 'web[01-20]' -fmnginx --count 3 --save data/", "--match nginx --full"),
        ("fleetpmap run --match='^java -jar' -u www,app -u root", "--match '^java -jar' --user app,root,www"),
        ("fleetpmap run --pid 7 --pid 12 --view hosts", "--pid 12,7"),
        ("fleetpmap run -gfront -ofm.csv --unit nginx --max-rss none", "--unit nginx"),
        ("fleetpmap run --container docker:4f9a --pod=shop/api", "--container docker:4f9a --pod shop/api"),
        ("fleetpmap run --all", "every process"),
        ("fleetpmap demo --capture try", "every process"),
        ("fleetpmap run --of-the-future --match nginx", "--match nginx"),
    ],
)
def test_selection(command: str, selection: str):
    """Spelled in one way, however it was typed; hosts, views and files do not appear."""
    assert selection_of_command(command) == selection


@pytest.mark.parametrize("command", ["", "fleetpmap", "fleetpmap nothing", "other run --all", "fleetpmap run 'x"])
def test_no_selection(command: str):
    """A copy of /proc has no command, and a file may hold any text."""
    assert selection_of_command(command) == ""
