"""cli.footprint: what a run over many hosts does without."""

import subprocess
import sys

AFTER = """
import sys
from fleetpmap.cli.footprint import trim_footprint
trim_footprint()
import paramiko
print(sorted({"asyncio", "invoke.tasks", "yaml"} & set(sys.modules)))
"""


def test_paramiko_comes_without_what_nobody_uses():
    """Importing paramiko afterwards does not bring invoke and what that imports."""
    done = subprocess.run([sys.executable, "-c", AFTER], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
