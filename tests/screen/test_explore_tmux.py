"""`fleetpmap explore` in a real terminal: the walk to a VMA and back, filter, resize, files, a host that hangs."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import psutil
import pytest

from kept_runs import Service, keep
from program import fleetpmap
from snapshots import expected
from tmux import Tmux, running

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
CURSOR_AND_SCREEN = "#{cursor_flag} #{alternate_on}"
"""Two flags of tmux: the cursor is visible, the alternate screen is on."""
_ROUND = re.compile(r"round (\d+),")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def _explore(*words: str, **environment: str) -> list[str]:
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", *variables, sys.executable, "-m", "fleetpmap", "explore", *words]


@pytest.fixture
def inventory(tmp_path) -> Path:
    """web-01 to web-03 as they were recorded, without SSH."""
    hosts = (f'[hosts.{name}]\nproc_root = "{FAKE_PROC / name}"\n' for name in ("web-01", "web-02", "web-03"))
    path = tmp_path / "inventory.toml"
    path.write_text('[defaults]\ntransport = "local"\n' + "".join(hosts))
    return path


def test_the_walk_to_a_vma_and_back(inventory: Path, tmp_path):
    """Of a fleet that is asked, and what one does there: each screen as a file to look at."""
    page = tmp_path / "page.html"
    argv = _explore("--match", "gunicorn|python", FLEETPMAP_INVENTORY=str(inventory))
    with Tmux(argv, tmp_path, columns=100, rows=30) as terminal:
        screens = [terminal.wait_for("1 gunicorn", "gunicorn.service ", "more columns", "Quit")]

        def press(*keys: str, until: str) -> None:
            terminal.keys(*keys)
            screens.append(terminal.wait_for(until))

        press("Enter", until="› hosts ")
        press("Enter", until="› processes ")
        press("Enter", until="› mappings ")
        press("/", "h", "e", "a", "p", "Enter", until="/heap: 1 of")
        press("Enter", until="› vmas ")
        press("Enter", until="› fields ")
        terminal.keys("BSpace", "BSpace", "BSpace", "BSpace")
        terminal.wait_for("› hosts ")
        press("S", "S", until="↓mem_available")
        press("m", until="marked: since_mark")
        press("Space", "Space", "c", until="› 2 hosts › compare")
        press("f", until="› pid 1702 › mappings ")
        terminal.keys("w")
        terminal.wait_for("write to ")
        terminal.keys("-l", str(page))
        terminal.keys("Enter")
        terminal.wait_for("page.html: ")
        press("s", until="↓mapping")
        terminal.resize(60, 20)
        screens.append(terminal.wait_for("› mappings", "2 oom kills …\n"))  # not the old screen, cut
        terminal.keys("?")
        terminal.wait_for("arrows scroll")
        terminal.keys("q")
        terminal.wait_for("› mappings", "Quit")
        terminal.keys("q")
        terminal.wait_for("exit status 0\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    assert page.read_text().startswith("<!doctype html>")
    text = _TIME.sub("2026-03-14 15:09:26", f"{'=' * 100}\n".join(screens)).replace(str(page), "page.html")
    assert text == expected("explore-screens.txt", text)


def test_walking_in_time_through_a_directory_of_runs(tmp_path):
    """The runs are read by a child; a damaged one is said and passed over; at the end the child is gone."""
    runs = tmp_path / "runs"
    runs.mkdir()
    heap = [4000, 4100, 4200, 4300, 100_000]
    keep(runs, [Service("web-01", "api", {"[heap]": heap}), Service("web-02", "api", {"[heap]": [4000] * 5})])
    sorted(runs.iterdir())[3].write_bytes(b"PAR1, and nothing else")
    with Tmux(_explore(f"{runs}/"), tmp_path, columns=100, rows=24) as terminal:
        terminal.wait_for("run 5 of 5", "api.service ")
        terminal.keys("v")
        terminal.wait_for("› hosts ")
        terminal.keys("[")
        terminal.wait_for("is torn, or not", "run 5 of 5")
        [program] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
        [loader] = [one for one in program.children(recursive=True) if "fleetpmap.cli.run_loader" in one.cmdline()]
        terminal.keys("{")
        terminal.wait_for("run 1 of 5", "2026-11-01 00:00:00")
        terminal.keys("m", "}")
        text = terminal.wait_for("run 5 of 5, 4 h after the mark", "+93.8M", "[heap] grew by 94M in 4 h")
        terminal.keys("q")
        terminal.wait_for("exit status 0\nicanon\necho")
        assert running([loader]) == []
    assert text == expected("explore-time.txt", text)


def test_no_color(tmp_path):
    """With NO_COLOR no colour reaches the terminal; without it the few of the terminal itself do."""
    for environment, colors in (({"NO_COLOR": "1"}, []), ({}, ["33", "36"])):
        folder = tmp_path / str(len(colors))
        folder.mkdir()
        with Tmux(_explore(str(FAKE_PROC), **environment), folder) as terminal:
            terminal.wait_for("gunicorn.service ", "1 gunicorn", "Quit")
            assert [color for color in terminal.colors if color in colors or not colors] == colors


def test_a_capture_and_the_files_that_w_writes(tmp_path):
    """A page, a csv and a snapshot of what was entered, which show reads again."""
    with Tmux(_explore(str(FAKE_PROC)), tmp_path, columns=120) as terminal:
        terminal.wait_for("gunicorn.service ", "1 gunicorn")
        terminal.keys("Enter")
        terminal.wait_for("› hosts")
        for name in ("a.csv", "a.html", "a.parquet"):
            terminal.keys("w")
            terminal.wait_for("write to FILE")
            terminal.keys("-l", str(tmp_path / name))
            terminal.keys("Enter")
            terminal.wait_for(f"{name}: ")
        terminal.keys("w")
        terminal.wait_for("write to FILE")
        terminal.keys("-l", "a.nonsense")
        terminal.keys("Enter")
        terminal.wait_for("\na.nonsense: its suffix does not name a format; hint: end the name in .csv")
        terminal.keys("q")
        terminal.wait_for("exit status")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["host", "web-01", "web-02", "web-03"]
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    shown = fleetpmap(
        "show", str(tmp_path / "a.parquet"), "--view", "services", "--format", "csv", "--columns", "service"
    )
    assert shown.stdout.splitlines() == ["service", "gunicorn.service"]


def test_a_file_that_is_being_written_is_whole_after_q(tmp_path):
    """The screen is left at once; then the file is written, and what came of it is said."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with Tmux(_explore(str(FAKE_PROC)), tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ", "1 gunicorn")
        terminal.keys("w")
        terminal.wait_for("write to FILE")
        terminal.keys("-l", str(pipe))
        terminal.keys("Enter")
        terminal.wait_for("writing ")
        terminal.keys("q")
        terminal.wait_until_it_says("#{alternate_on}", "0")
        assert pipe.read_text().startswith("service,")
        terminal.wait_for("pipe.csv: ", "exit status 3")


def test_a_host_that_hangs_holds_neither_keys_nor_the_end(tmp_path):
    """A server that never says a word: help and the end come at once, long before its --timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"nobody@127.0.0.1:{silent.getsockname()[1]}"
        how = ("-H", name, "--all", "--connect-timeout", "200", "--ssh-config", "none")
        with Tmux(_explore(*how), tmp_path) as terminal:
            terminal.wait_for("asking ")
            terminal.keys("?")
            terminal.wait_for("go in: service")
            terminal.keys("q")
            terminal.wait_for("Quit")
            terminal.keys("q")
            terminal.wait_for("exit status 0\nicanon\necho")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((str(FAKE_PROC),), "explore: there is no terminal to draw on"),
        (("-H", "local", "--all"), "explore: there is no terminal to draw on"),
    ],
)
def test_in_a_pipe_it_says_what_to_use(words: tuple[str, ...], message: str):
    """Before a host is asked."""
    done = fleetpmap("explore", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((str(FAKE_PROC), "-H", "local"), "is a stored run, for which no host is asked"),
        ((str(FAKE_PROC), "--interval", "5"), "is a stored run, for which no host is asked"),
        (("-H", "local", "--all", "--rollup"), "--rollup reads no mappings"),
        (("-H", "local"), "--match"),
        (("/nowhere",), "/nowhere"),
    ],
)
def test_what_cannot_be_explored(tmp_path, words: tuple[str, ...], message: str):
    """One sentence on the terminal, which was never left."""
    with Tmux(_explore(*words), tmp_path, columns=160) as terminal:
        assert message in terminal.wait_for("exit status 2")


_HTOP = {
    "F1": "arrows scroll",
    "F3": "Enter Keep  Esc End",
    "F4": "Enter Keep  Esc End",
    "F5": "a stored run does not change",
    "F6": "↓uss",
    "F2": "f2: no such key",
}
"""The keys of htop, and what is on the screen after each."""
_LEFT, _WHEEL_DOWN = 0, 65
"""Buttons of the mouse, as xterm numbers them."""
_OF_THE_CONSOLE = {f"F{number}": f"\x1b[[{'ABCDE'[number - 1]}" for number in range(1, 6)}
"""What the Linux console sends for keys that it does not name as tmux does."""


@pytest.mark.parametrize("term", ["xterm-256color", "screen-256color", "linux"])
def test_the_keys_of_htop(tmp_path, term: str):
    """As a terminal of this kind sends them; Escape leaves what they began, and F10 the program."""
    with Tmux(_explore(str(FAKE_PROC), TERM=term), tmp_path, columns=120) as terminal:
        terminal.wait_for("gunicorn.service ", "1 gunicorn", "↓pss", "Quit")
        for key, sign in _HTOP.items():
            if term == "linux" and key in _OF_THE_CONSOLE:
                terminal.keys("-l", _OF_THE_CONSOLE[key])
            else:
                terminal.keys(key)
            terminal.wait_for(sign)
            if sign.startswith(("arrows", "Enter")):
                terminal.keys("Escape")
                terminal.wait_for("Quit")
        terminal.keys("F10")
        terminal.wait_for("exit status 3\nicanon\necho")


def test_the_mouse_and_a_paste(tmp_path):
    """Clicks on a row, on a header and on a key, the wheel; what is pasted is a text of the filter, and no keys."""
    with Tmux(_explore(str(FAKE_PROC)), tmp_path, columns=100, rows=20) as terminal:

        def press(button: int, text: str) -> None:
            """Press a button of the mouse on the first cell of a text on the screen, as xterm sends it."""
            lines = terminal.screen.splitlines()
            y = next(slot for slot, line in enumerate(lines) if text in line)
            place = f"{button};{lines[y].index(text) + 1};{y + 1}"
            terminal.keys("-l", f"\x1b[<{place}M" + (f"\x1b[<{place}m" if button == _LEFT else ""))

        terminal.wait_for("gunicorn.service ", "1 gunicorn", "↓pss", "Quit")
        press(_LEFT, "rss")
        terminal.wait_for("↓rss")
        press(_LEFT, "v View")
        terminal.wait_for("› hosts ")
        press(_LEFT, "web-02  ")
        press(_LEFT, "web-02  ")
        last = terminal.wait_for("› web-02 › processes ").partition("\ntotal")[0].split("\n")
        [*_, pid] = (line.split()[0] for line in last if line.strip())
        press(_WHEEL_DOWN, "gunicorn  ")
        press(_WHEEL_DOWN, "gunicorn  ")
        press(_WHEEL_DOWN, "gunicorn  ")
        terminal.keys("Enter")
        terminal.wait_for(f"› pid {pid} › mappings ")
        terminal.keys("-l", "\x1b[200~qqq\x1b[201~")
        terminal.keys("/")
        terminal.wait_for("Enter Keep")
        terminal.keys("-l", "\x1b[200~stack\nq\x1b[201~")
        terminal.wait_for("/stack: ")
        terminal.keys("Escape")
        terminal.wait_for("Quit")
