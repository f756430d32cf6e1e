"""A built site put beside those of other versions."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def publish(tmp_path: Path) -> Callable[[str], Path]:
    """Publishes a site that says which version it is, and returns the directory of all."""
    put = runpy.run_path(str(ROOT / "docs" / "site" / "publish.py"))["publish"]
    (tmp_path / "sites").mkdir()

    def run(version: str) -> Path:
        built = tmp_path / "built"
        (built / ".doctrees").mkdir(parents=True, exist_ok=True)
        (built / "index.html").write_text(version)
        put(built, tmp_path / "sites", version)
        return tmp_path / "sites"

    return run


def test_the_newest_release_comes_first(publish: Callable[[str], Path]):
    """In the list and behind the first page; 1.10 is newer than 1.9, and dev is no release."""
    for version in ("1.9.0", "dev", "1.10.0", "0.2"):
        sites = publish(version)
    names = [version["name"] for version in json.loads((sites / "versions.json").read_text())]
    assert names == ["1.10.0", "1.9.0", "0.2", "dev"]
    assert 'url=1.10.0/"' in (sites / "index.html").read_text()
    assert (sites / "1.9.0" / "index.html").read_text() == "1.9.0"


def test_without_a_release_the_first_page_is_that_of_dev(publish: Callable[[str], Path]):
    """A branch that is published before the first release."""
    assert 'url=dev/"' in (publish("dev") / "index.html").read_text()


def test_a_version_is_replaced(publish: Callable[[str], Path], tmp_path: Path):
    """What the earlier build left behind is gone, and what Sphinx keeps for itself is not published."""
    (publish("1.0.0") / "1.0.0" / "gone.html").write_text("old")
    sites = publish("1.0.0")
    assert [path.name for path in (sites / "1.0.0").iterdir()] == ["index.html"]


@pytest.mark.parametrize("name", ["../etc", "v1.0", ""])
def test_another_name_is_refused(publish: Callable[[str], Path], name: str):
    """It would be a directory that no list has."""
    with pytest.raises(SystemExit, match="neither a version"):
        publish(name)
