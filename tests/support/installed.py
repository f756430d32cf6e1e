"""The wheel, and an environment into which it was installed.   [installed] ─► tests/install"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Built:
    """What a release uploads."""

    wheel: Path
    sdist: Path
    index: Path
    """A directory that pip takes for an index of packages."""


@dataclass(frozen=True)
class Installed:
    """An environment into which the wheel was installed, with the extras."""

    root: Path

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of it, with its directory first in PATH and a HOME without files."""
        return subprocess.run(
            words,
            env=self.environment | environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a shell in which the environment is active."""
        path = f"{self.root / 'bin'}:{os.environ.get('PATH', os.defpath)}"
        return {"PATH": path, "HOME": str(self.root), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}


def run(*words: str | Path, **environment: str) -> str:
    """Run a program of the developers' environment, and return what it prints."""
    argv = [str(BIN / words[0]), *map(str, words[1:])]
    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
