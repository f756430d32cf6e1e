"""The catalogue: its rows agree with each other, and it is quick to import. Adding rows: see test_five_changes."""

from __future__ import annotations

import subprocess
import sys

from fleetpmap import catalogue
from program import BARE


def test_the_columns_of_the_sizes_are_those_of_the_options():
    """--metric takes every size, each rank once."""
    assert [size.rank for size in catalogue.BY_RANK] == list(range(1, len(catalogue.SIZES) + 1))


def test_the_catalogue_needs_no_numpy():
    """--help reads it."""
    code = "import sys, fleetpmap.catalogue; print('numpy' in sys.modules, 'typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=BARE, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
