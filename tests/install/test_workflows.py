"""The forge's files: their shape, and what a stranger's change could do through them."""

from __future__ import annotations

import pytest

from installed import BIN, ROOT, run

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(autouse=True)
def _tools() -> None:
    if not (BIN / "zizmor").exists():
        pytest.skip(reason="zizmor is in the release group: `make wheel` installs it")


def test_the_workflows_have_the_shape_of_workflows():
    """By the schemas of the forge, which come with the checker."""
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ROOT / ".github" / "dependabot.yml")


def test_no_workflow_can_be_misused():
    """No token that outlives its step, no text of a stranger in a script, no more rights than a job needs."""
    assert "No findings to report" in run("zizmor", "--offline", "--no-progress", ROOT / ".github")
