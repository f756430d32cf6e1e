"""Damaged input: every reader of foreign bytes takes it, or refuses it in our own words, quickly and in little room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
TARGETS = sorted(path.stem for path in (SUPPORT / "fuzz_targets").glob("[a-z]*.py"))
INPUTS = os.environ.get("FLEETPMAP_FUZZ_INPUTS", "100000")


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_never_gets_out_of_hand(target: str) -> None:
    """Nothing outside the error tree, nothing over three seconds of CPU, nothing over 200 MB."""
    run = subprocess.run(
        [sys.executable, str(SUPPORT / "fuzzing.py"), target, INPUTS], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
