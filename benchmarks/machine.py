"""What a benchmark ran on: the machine and the versions, without names or paths.   [machine] ─► __main__"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from contenders import PACKAGES, versions


def machine() -> dict[str, str]:
    """Processor, memory, kernel."""
    cpus, memory = Path("/proc/cpuinfo").read_text(), Path("/proc/meminfo").read_text()
    model = re.search(r"(?m)^model name\s*: (.*)$", cpus)
    kib = re.search(r"(?m)^MemTotal:\s*(\d+) kB$", memory)
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": model[1] if model else platform.machine(),
        "memory": f"{int(kib[1]) / (1 << 20):.0f} GiB" if kib else "unknown",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def software() -> dict[str, str]:
    """Versions of all that takes part."""
    ours = {name: importlib.metadata.version(name) for name in ("fleetpmap", "numpy", "paramiko", "ClusterShell")}
    rivals = dict.fromkeys(PACKAGES, "not here") | versions()
    tools = {"OpenSSH": _number("ssh", "-V"), "procps": _number("pmap", "--version")}
    return {"Python": platform.python_version(), **ours, **tools, **rivals}


def _number(*argv: str) -> str:
    """The version in what a program says of itself."""
    if not shutil.which(argv[0]):
        return "not here"
    said = subprocess.run(argv, capture_output=True, text=True)
    found = re.search(r"\d+\.\S*", said.stdout + said.stderr)
    return found[0].rstrip(",") if found else "unknown"
