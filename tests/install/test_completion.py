"""Tab in real shells, after the one command of the install guide, with the installed program."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from installed import ROOT, Installed
from snippets import blocks
from tmux import Tmux

GUIDE = ROOT / "docs" / "guides" / "install.md"


def setting_up(shell: str) -> str:
    """The guide's command for a shell."""
    (command,) = (
        line for block in blocks(GUIDE, "sh") for line in block.splitlines() if f"--show-completion {shell}" in line
    )
    return command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completes_after_the_documented_command(installed: Installed, tmp_path: Path, needs, shell: str):
    """A new shell of the user: a command, an option, a view and a host of the inventory are completed."""
    needs([shell, "tmux"])
    (tmp_path / "inventory.toml").write_text('[groups.web]\nhosts = "web[01-02]"\n')
    environment = installed.environment | {"HOME": str(tmp_path)}
    subprocess.run(["sh", "-c", setting_up(shell)], env=environment, cwd=tmp_path, check=True)
    in_a_shell = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), shell, "-i"]
    with Tmux(["sh", "-c", f"cd {tmp_path} && exec {shlex.join(in_a_shell)}"], tmp_path) as tmux:
        tmux.keys("fleetpmap ru", "Tab", "-g w", "Tab", "--view serv", "Tab")
        assert "Traceback" not in tmux.wait_for("fleetpmap run -g web --view services")


def test_an_interrupted_tab_prints_nothing(installed: Installed, needs):
    """^C at any moment of a completion, also while Python itself starts, leaves the line as it is."""
    needs(["bash"])
    asks = 'eval "$(fleetpmap --show-completion bash)"; COMP_WORDS=(fleetpmap run --vie); COMP_CWORD=2; echo ready; '
    script = f"trap : INT; {asks}_fleetpmap_completion fleetpmap; echo done"
    for delay_ms in range(0, 250, 25):
        shell = subprocess.Popen(
            ["bash", "-c", script],
            env=installed.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        time.sleep(delay_ms / 1000)
        os.killpg(shell.pid, signal.SIGINT)
        shown, errors = shell.communicate(timeout=60)
        assert (shown.removesuffix("done\n"), errors) == ("", ""), delay_ms
