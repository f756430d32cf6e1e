"""The notebook of the library's guide: its cells are run, and give what it shows.

UPDATE_EXPECTED=1 writes its outputs anew, and then fails, so that a reader looks at the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "guides" / "library-notebook.ipynb"
_REASON = "is in the docs group: `make docs` installs it"
_DIFFERS = re.compile(r"<Snapshot [^:]*:\d\d:\d\d\+\d{4}|(?<=dataframe )\w+|<style.*?</style>", re.DOTALL)
"""The time of the run; what pandas and polars add for the looks of a frame."""


def test_every_cell_gives_what_the_notebook_shows():
    """From the question to the plot, by a kernel of this Python. A picture has to be there; its bytes may differ."""
    nbformat = pytest.importorskip("nbformat", reason=f"nbformat {_REASON}")
    nbclient = pytest.importorskip("nbclient", reason=f"nbclient {_REASON}")
    for package in ("ipykernel", "matplotlib", "pandas"):
        pytest.importorskip(package, reason=f"{package} {_REASON}")
    shown = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(run, timeout=120, record_timing=False, kernel_name="python3").execute()
    if os.environ.get("UPDATE_EXPECTED"):
        run.metadata.language_info = {"name": "python"}  # not the version of the Python that ran it
        nbformat.write(run, NOTEBOOK)
        pytest.fail("the notebook was written anew: look at the difference")
    assert [_outputs(cell) for cell in run.cells] == [_outputs(cell) for cell in shown.cells]


def _outputs(cell: Any) -> list[dict[str, str]]:
    return [
        {
            kind: _DIFFERS.sub("", text) if kind.startswith("text/") else "a picture"
            for kind, text in output.data.items()
        }
        for output in cell.get("outputs", [])
    ]
