"""tuning: what a run over many hosts does without."""

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


GIVEN_BACK = """
from pathlib import Path
from fleetpmap.tuning import give_back, trim_footprint

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

trim_footprint()
blocks = [bytearray(b"x" * 100_000) for _ in range(400)]
for number in range(0, 400, 2):
    blocks[number] = b""
before = resident()
give_back()
print(before - resident() > 15_000_000)
"""


def test_free_memory_between_blocks_goes_back():
    """Twenty megabytes, in blocks of which the neighbours are still in use."""
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
