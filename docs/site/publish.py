"""A built site put beside those of other versions.   build/site ─► [publish] ─► SITES/VERSION/, SITES/versions.json

    python docs/site/publish.py build/site SITES VERSION

SITES is a directory that a web server shows, such as a checkout of the branch gh-pages. Each version is a directory in
it; versions.json lists them for the menu, the newest first, and index.html leads to the newest release. A version that
is there is replaced. `dev` is the site of the main branch; index.html leads to it only where there is no release.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

DEV = "dev"
_LEADING = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={version}/">
<title>fleetpmap</title>
<a href="{version}/">fleetpmap {version}</a>
"""
_VERSION = re.compile(r"\d+(\.\d+)*|dev")


def publish(built: Path, sites: Path, version: str) -> None:
    """Copy the built site to its place, and write the list and the first page anew."""
    if not _VERSION.fullmatch(version):
        raise SystemExit(f"{version}: neither a version, such as 1.2.0, nor {DEV}")
    place = sites / version
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(built, place, ignore=shutil.ignore_patterns(".doctrees", ".buildinfo"))
    names = _newest_first(path.name for path in sites.iterdir() if path.is_dir() and _VERSION.fullmatch(path.name))
    (sites / "versions.json").write_text(json.dumps([{"name": name} for name in names]) + "\n", encoding="utf-8")
    first = next((name for name in names if name != DEV), DEV)
    (sites / "index.html").write_text(_LEADING.format(version=first), encoding="utf-8")
    (sites / ".nojekyll").touch()  # else the forge leaves out _static


def _newest_first(names: Iterable[str]) -> list[str]:
    """Return the releases, the newest first, then `dev`."""
    return sorted(names, key=lambda name: [] if name == DEV else [*map(int, name.split("."))], reverse=True)


if __name__ == "__main__":
    publish(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
