"""How large is a page, and how soon does it answer a key?   python benchmarks/page.py

200 hosts (and 1,000) with three processes of 60 mappings each, of two services; the sizes are noise, so that nothing in
them packs well, and one process leaks. Each round opens the page anew in a headless Chromium: the first paint counts
from the begin of the navigation, a key in the search of the processes from its event until the next frame is drawn, a
pick (the finding's link) likewise, and a frame from the one before it while the page scrolls by 120 pixels a frame.
Bars: 1.5 MB and 6 MB; at 200 hosts 100 ms for the first paint and for a key.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from lab import Sshd  # noqa: F401  # lab puts the tests' directory on the path
from measure import Verdicts, asked_rounds
from selenium.webdriver.common.by import By

from browser import Browser, started
from charged import cgroup, of, with_memory
from fleetpmap.export.as_html import write_html
from fleetpmap.report import VIEWS, ViewOptions, page
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import Mapping, host, mapping, process, snapshot

MAPPINGS = 60
SERVICES = ("shop.service", "shop.service", "nginx.service")
LEAK_KIB = 400 * 1024
# Resolves with the milliseconds from the next event of that name until its frame is drawn.
UNTIL_DRAWN = """
const [name, ready] = arguments;
window.drawn = new Promise((resolve) => addEventListener(name, () => {
  const began = performance.now();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
}, {once: true, capture: true}));
"""
# Resolves with the milliseconds of each frame while the page scrolls.
SCROLLED = """
return new Promise((resolve) => {
  const frames = [];
  let last = performance.now();
  const step = () => {
    const now = performance.now();
    frames.push(now - last);
    last = now;
    document.scrollingElement.scrollTop += 120;
    if (frames.length < 40) requestAnimationFrame(step);
    else resolve(frames.slice(1));
  };
  requestAnimationFrame(step);
});
"""


def fleet(hosts: int) -> Snapshot:
    """The fleet; the same for the same number of hosts."""
    noise = Random(hosts)
    return snapshot(*(_host(number, noise, LEAK_KIB if number == hosts // 2 else 0) for number in range(hosts)))


def _host(number: int, noise: Random, leak_kib: int) -> HostSnapshot:
    processes = [
        of(
            service,
            process(
                1000 + 7 * place + number % 400,
                service.removesuffix(".service"),
                *(_mapping(place, n, noise, leak_kib if place == n == 0 else 0) for n in range(MAPPINGS)),
                arguments=(f"/usr/bin/{service}", f"--worker={place}"),
            ),
            cgroup=f"/system.slice/{service}",
            started=1.7e9 + noise.randrange(100_000),
        )
        for place, service in enumerate(SERVICES)
    ]
    cgroups = [cgroup(f"/system.slice/{one}", current=300_000, limit=900_000, oom_kills=0) for one in {*SERVICES}]
    return with_memory(host(f"box-{number:04}", *processes), *cgroups, total=16_000_000, available=9_000_000 + number)


def _mapping(place: int, number: int, noise: Random, leak_kib: int) -> Mapping:
    name = (
        "[heap]" if number == 0 else "" if number == 1 else f"/usr/lib/x86_64-linux-gnu/lib{place // 2}-{number}.so.3"
    )
    usual = 90_000 if number == 0 else 40_000 if number == 1 else 200 + 37 * number
    kib = usual + noise.randrange(usual // 8) + leak_kib
    clean = kib // 3 if number > 1 else 0
    return mapping(
        name,
        start=0x7F0000000000 + (number << 30),
        size=kib + 4 * noise.randrange(300),
        perms="r-xp" if number > 1 else "rw-p",
        **{"Rss": kib, "Pss": kib - clean // 2, "Shared_Clean": clean, "Shared_Dirty": 0, "Private_Clean": 0},
        **{"Private_Dirty": kib - clean, "Swap": 0, "SwapPss": 0, "Shared_Hugetlb": 0, "Private_Hugetlb": 0},
    )


def _times(browser: Browser, path: Path, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each event, of every round."""
    found: dict[str, list[float]] = {"first paint": [], "scripts done": [], "key": [], "pick": [], "frame": []}
    for number in range(rounds):
        browser.open(path)
        while not browser.run("return performance.getEntriesByName('first-contentful-paint').length"):
            time.sleep(0.01)
        found["first paint"].append(
            browser.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )
        if path.stem == "empty":
            continue
        found["scripts done"].append(
            browser.run("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        )
        box = browser.window.find_element(By.CSS_SELECTOR, "[role=search][aria-label=Processes] input")
        box.click()  # and so it is on the screen
        browser.run(UNTIL_DRAWN, "keydown")
        box.send_keys(str(number % 10))
        found["key"].append(browser.run("return window.drawn"))
        browser.run(UNTIL_DRAWN, "click")
        browser.window.find_element(By.CSS_SELECTOR, ".findings a").click()
        found["pick"].append(browser.run("return window.drawn"))
        found["frame"] += browser.run(SCROLLED)
    return found


def main() -> int:
    rounds = asked_rounds(__doc__, 20)
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory() as directory, started(Path(directory) / "profile") as browser:
        empty = Path(directory) / "empty.html"
        empty.write_text("<!doctype html><p>one word")
        alone = statistics.median(_times(browser, empty, rounds)["first paint"])
        print(f"an empty page: first paint {alone:.0f} ms")
        for hosts, most_mb in ((200, 1.5), (1000, 6.0)):
            file = io.BytesIO()
            began = time.perf_counter()
            write_html(page(VIEWS["summary"], fleet(hosts), ViewOptions(services=True)), file)
            path = Path(directory) / f"{hosts}.html"
            path.write_bytes(file.getvalue())
            print(f"{hosts} hosts: made in {time.perf_counter() - began:.1f} s, the fleet itself included")
            times = _times(browser, path, rounds)
            medians = {name: statistics.median(taken) for name, taken in times.items()}
            print(
                "ms: "
                + ", ".join(f"{name} {median:.0f} (at most {max(times[name]):.0f})" for name, median in medians.items())
            )
            verdicts.at_most(f"{hosts} hosts: size, MB", [len(file.getvalue()) / 1e6], most_mb)
            if hosts == 200:
                for name in ("first paint", "key"):
                    verdicts.at_most(f"{hosts} hosts: {name}, ms", times[name], 100.0)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
