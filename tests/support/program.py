"""The program as a user runs it.   [program] ─► tests"""

from __future__ import annotations

import os
import subprocess
import sys

BARE = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},  # set by `make coverage`
}


def fleetpmap(*words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `fleetpmap WORDS…` in a bare environment: no inventory, no agent, an empty HOME."""
    return subprocess.run(
        [sys.executable, "-m", "fleetpmap", *words],
        input=stdin,
        capture_output=True,
        text=True,
        env=BARE | environment,
        timeout=120,
        start_new_session=True,  # no terminal, so that nothing is asked on the one that runs the tests
        check=False,
    )
