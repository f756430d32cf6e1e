"""axe-core, the checker of accessibility, run in a page.   [axe] ─► tests

It is a package of npm, which the tests alone use: `npm install axe-core` into a directory that AXE_CORE names, or into
the default one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from browser import Browser

_DEFAULT = Path.home() / ".cache" / "fleetpmap-tests" / "node_modules" / "axe-core"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(browser: Browser) -> list[str]:
    """Return what axe finds wrong in the page; without axe the test is skipped."""
    path = Path(os.environ.get("AXE_CORE", _DEFAULT)) / "axe.min.js"
    if not path.is_file():
        pytest.skip(reason="needs axe-core (npm install axe-core, its directory in AXE_CORE)")
    if not browser.run("return Boolean(window.axe)"):
        browser.run(path.read_text(encoding="utf-8"))
    found = browser.run(
        "return axe.run(document, {runOnly: arguments[0]}).then((done) => done.violations.map((one) => "
        "`${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(' | ')}`))",
        _RULES,
    )
    return list(found)
