"""cli.footprint: what a run over many hosts does without."""

import subprocess
import sys

AFTER = """
import sys
from fleetpmap.tuning import trim_footprint
trim_footprint()
import paramiko
print(sorted({"asyncio", "invoke.tasks", "yaml"} & set(sys.modules)))
"""


LIMIT = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
from fleetpmap.tuning import trim_footprint
trim_footprint()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_as_many_descriptors_as_there_are_to_be_had():
    """A login shell's soft limit of open files is not ours: many hosts at once need a few each."""
    done = subprocess.run([sys.executable, "-c", LIMIT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


def test_paramiko_comes_without_what_nobody_uses():
    """Importing paramiko afterwards does not bring invoke and what that imports."""
    done = subprocess.run([sys.executable, "-c", AFTER], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
