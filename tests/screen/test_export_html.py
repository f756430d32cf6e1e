"""The page, as text and in a real browser: what it shows, that it sorts and searches, and that nothing in it runs."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import Browser, started
from fleet_of_twenty import twenty_hosts
from fleetpmap.escape import escape
from fleetpmap.export.as_html import write_html
from fleetpmap.report import VIEWS, Report, ViewOptions, diff, page, ps
from fleetpmap.snapshot import Snapshot
from page_text import page_text
from program import BARE, fleetpmap
from snapshots import expected, failed, host, mapping, process, small_fleet, snapshot

# Every text element's contrast with what is behind it, WCAG 2.2; colours as the screen gets them.
CONTRASTS = """
const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
  .getContext("2d", {willReadFrequently: true});
const rgb = (color) => {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
};
const luminance = (color) => rgb(color).slice(0, 3)
  .map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, slot) => sum + part * [0.2126, 0.7152, 0.0722][slot], 0);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (rgb(color)[3]) return color;
  }
  return "white";
};
const seen = [...document.body.querySelectorAll(":not(script)")].filter((element) =>
  [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) &&
  getComputedStyle(element).opacity === "1" && !element.closest("title"));
return seen.map((element) => {
  const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
  return [Math.round(100 * (one + 0.05) / (other + 0.05)) / 100, element.textContent.trim().slice(0, 40)];
});
"""

HOSTILE = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=2</script>",
    "</title></style><script>window.ran=3</script>",
    "<img src=x onerror=window.ran=4>",
    "\"'><svg onload=window.ran=5>",
    "' onmouseover='window.ran=6",
    "javascript:window.ran=7",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#60;",
    "--><!--",
    "=1+1",
    "\x1b[2J\x07\r\n\x00",
    "\u202eexe.txt\u2066\u200b",
    "\u2028\u2029",
    "\udcff\udc80",
    "\\x41 \\\\",
    "日本語 ✓",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all the pages here."""
    with started(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a page of a snapshot's summary, or of another view."""

    def write(fleet: Snapshot, view: str = "summary", **options: object) -> Path:
        path = tmp_path_factory.mktemp("page") / "page.html"
        path.write_bytes(html_of(page(VIEWS[view], fleet, ViewOptions(**options))))  # type: ignore[arg-type]  # any
        return path

    return write


@pytest.fixture(scope="module")
def twenty(written: Callable[..., Path]) -> Path:
    """The page of the fleet of twenty."""
    return written(twenty_hosts())


def html_of(report: Report) -> bytes:
    file = io.BytesIO()
    write_html(report, file)
    return file.getvalue()


def texts(browser: Browser, selector: str) -> list[str]:
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())", selector
    )


def mappings(browser: Browser) -> list[str]:
    """The names in the table of mappings that are to be seen, in order."""
    return texts(browser, "#t-merged tbody tr:not([hidden]) th")


def test_page_of_the_fleet_of_twenty(twenty: Path):
    """The page as text: a leak, an old library, a deleted library, a host without PSS, failed hosts."""
    text = page_text(twenty.read_text(encoding="utf-8"))
    text = re.sub(r"## Processes\n(.*\n)*?(?=## )", "", text)
    text = re.sub(r"(?m)^Made by fleetpmap .*$", "", text)
    assert text == expected("page.txt", text)


def test_deltas_from_a_baseline(written: Callable[..., Path]):
    """With --baseline the cells of the other hosts have a sign."""
    text = page_text(written(twenty_hosts(), "compare", baseline="web-01").read_text(encoding="utf-8"))
    leaking = next(line for line in text.splitlines() if line.startswith("[heap] | 86,650"))
    assert leaking.split(" | ")[7] == "▲ outlier +422,044"
    total = next(line for line in text.splitlines() if line.startswith("total | 282,152"))
    assert total.split(" | ")[7] == "+422,512"


def test_outlier_as_far_out_as_the_baseline(written: Callable[..., Path]):
    """It is framed, without an arrow, since it is neither above nor below."""
    heaps = [mapping("[heap]", Rss=kib, Pss=kib) for kib in (90_000, 90_000, *[10_000] * 8)]
    fleet = snapshot(*(host(f"w{n}", process(1, "app", heap)) for n, heap in enumerate(heaps)))
    text = page_text(written(fleet, "compare", baseline="w0").read_text(encoding="utf-8"))
    assert next(line for line in text.splitlines() if line.startswith("[heap] | 90,000 | ")).split(" | ")[2:4] == [
        "outlier 0",
        "-80,000",
    ]


def test_view_that_is_no_part_of_the_page_comes_first(written: Callable[..., Path]):
    """The table asked for, then the page as always."""
    text = page_text(written(small_fleet(), "mappings", top=2).read_text(encoding="utf-8"))
    titles = re.findall(r"(?m)^## (.*)", text)
    assert titles[3:6] == ["Every mapping", "Mappings", "Hosts"]
    assert "(3 more)" in text


def test_view_that_is_text_stays_text(written: Callable[..., Path]):
    """pmap's blocks are shown as they are."""
    text = written(small_fleet(), "pmap").read_text(encoding="utf-8")
    assert "==&gt; web-01 &lt;==\n812:   nginx: worker process\n" in text


def test_report_with_nothing_beside_it():
    """Reports of other commands are pages too: one table and the coverage."""
    for report, title in (
        (ps(small_fleet()), "Processes that match"),
        (diff(*[small_fleet()] * 2), "What changed"),
    ):
        titles = re.findall(r"(?m)^## (.*)", page_text(html_of(report).decode()))
        assert (titles[-2], titles[-1]) == (title, "Coverage")


@pytest.mark.parametrize("view", ["ps", "doctor"])
def test_who_would_be_read(view: str):
    """The coverage of a listing has `would be read`."""
    assert "3 of 5 processes would be read" in page_text(html_of(replace(ps(small_fleet()), view=view)).decode())


def test_fleet_that_did_not_answer(written: Callable[..., Path]):
    """If no host answered, the page reports it and draws nothing."""
    text = page_text(written(snapshot(failed("web-01", "refused", "web-01: refused"))).read_text(encoding="utf-8"))
    assert "0 of 1 host answered; 1 did not: 1 refused" in text
    assert "Where the memory is" not in text


def test_long_text_says_what_is_left_out(written: Callable[..., Path]):
    """A command line of a megabyte does not make a page of a megabyte."""
    long = host("web-01", process(1, "app", mapping("[heap]", Rss=4, Pss=4), arguments=("x" * 1_000_000,)))
    html = written(snapshot(long)).read_text(encoding="utf-8")
    assert f"{'x' * 500}… (999,500 more characters)" in html
    assert len(html) < 50_000


def test_opens_without_complaint_and_without_a_request(browser: Browser, twenty: Path):
    """The page itself is all that is loaded, and the console stays empty."""
    browser.open(twenty)
    assert browser.run("return document.readyState") == "complete"
    assert browser.complaints() == []
    assert browser.requests() == [twenty.as_uri()]


def test_no_request_is_possible(browser: Browser, twenty: Path):
    """The page's policy forbids what a script in it would try."""
    browser.open(twenty)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        sent = "return fetch(arguments[0], {mode: 'no-cors'}).then(() => 'sent', () => 'refused')"
        assert browser.run(sent, address) == "refused"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_sorts_by_a_click(browser: Browser, twenty: Path):
    """A number from the largest, then from the smallest; a text from A; the screen reader hears which."""
    browser.open(twenty)
    heads = browser.window.find_elements(By.CSS_SELECTOR, "#t-merged thead th")
    hosts, mapping_ = heads[1], heads[0]
    hosts.find_element(By.TAG_NAME, "button").click()
    assert (mappings(browser)[-1], hosts.get_attribute("aria-sort")) == ("libcrypto.so.1.1", "descending")
    hosts.find_element(By.TAG_NAME, "button").click()
    assert (mappings(browser)[:2], hosts.get_attribute("aria-sort")) == (
        ["libcrypto.so.1.1", "libcrypto.so.3"],
        "ascending",
    )
    mapping_.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert mappings(browser)[:3] == ["[anon]", "[heap]", "libc.so.6"]
    assert hosts.get_attribute("aria-sort") is None


def test_unknown_is_last_whichever_way(browser: Browser, twenty: Path):
    """A host without PSS is neither the smallest nor the largest; counts stay above the sizes."""
    browser.open(twenty)
    pss = "[...document.querySelectorAll('#t-hosts thead th')].find((head) => head.textContent === 'pss')"
    last = []
    for _ in range(2):
        browser.run(f"{pss}.querySelector('button').click()")
        last.append(texts(browser, "#t-hosts tbody th")[-3:])
    assert last == [["web-15", "web-18", "web-19"]] * 2
    browser.run("document.querySelector('#t-compare thead button').click()")
    assert texts(browser, "#t-compare tbody th")[0] == "processes"


def test_searches(browser: Browser, twenty: Path):
    """Rows that hold the text stay, in any case of letters, and their number is announced to screen readers."""
    browser.open(twenty)
    box = browser.window.find_element(By.CSS_SELECTOR, "[role=search][aria-label=Mappings] input")
    box.send_keys("LIBCRYPTO")
    assert mappings(browser) == ["libcrypto.so.3", "libcrypto.so.1.1"]
    assert texts(browser, "[role=search][aria-label=Mappings] output") == ["2 of 6 rows"]
    box.clear()
    box.send_keys("nothing has this name")
    assert mappings(browser) == []


def test_what_is_found_is_added_up(browser: Browser, twenty: Path):
    """Beside the totals of the whole, which stay; counts of what several rows share do not add up."""
    browser.open(twenty)
    whole = texts(browser, "#t-merged tfoot td")
    box = browser.window.find_element(By.CSS_SELECTOR, "[role=search][aria-label=Mappings] input")
    box.send_keys("libcrypto")
    assert texts(browser, "#t-merged tfoot th") == ["found", "total"]
    found, total = (texts(browser, f"#t-merged tfoot tr:nth-child({row}) td") for row in (1, 2))
    heads = texts(browser, "#t-merged thead th")[1:]
    shown = {head: found[heads.index(head)] for head in ("hosts", "mappings", "pss", "rss", "hugetlb")}
    assert shown == {"hosts": "", "mappings": "", "pss": "176,800", "rss": "≤187,200", "hugetlb": "0"}
    assert total == whole
    box.send_keys(Keys.BACKSPACE * len("libcrypto"))
    assert texts(browser, "#t-merged tfoot th") == ["total"]


def test_every_row_is_one_line_high(browser: Browser, tmp_path: Path):
    """However long a command line, a path or an error is; all of it is in the title."""
    words = tuple(f"--option-{n}=/srv/some/where" for n in range(9))
    long = mapping("/srv/" + "long-" * 30 + "name", Rss=4, Pss=4)
    fleet = snapshot(
        host("a", process(1, "app", mapping("/srv/x", Rss=9, Pss=9), arguments=("app",))),
        host("b", process(1, "app", long, arguments=words)),
        failed("c", "refused", "c: " + "refused and refused again " * 12),
    )
    file = tmp_path / "long.html"
    with file.open("wb") as opened:
        write_html(page(VIEWS["summary"], fleet, ViewOptions()), opened)
    browser.open(file)
    for table in ("t-merged", "t-hosts", "t-processes"):
        rows = f"[...document.querySelectorAll('#{table} tbody tr')]"
        heights = browser.run(f"return {rows}.map((row) => Math.round(row.getBoundingClientRect().height))")
        assert len(heights) > 1
        assert max(heights) - min(heights) <= 1
    titles = browser.run("return [...document.querySelectorAll('#t-processes td[title]')].map((cell) => cell.title)")
    assert " ".join(words) in titles


def test_without_scripts_the_tables_are_there(browser: Browser, twenty: Path):
    """Nothing is made by the script but the means to sort and search."""
    with browser.without_scripts():
        browser.open(twenty)
        assert len(texts(browser, "#t-hosts tbody tr")) == 20
        assert texts(browser, "#t-merged thead th")[:2] == ["mapping", "hosts"]
        assert texts(browser, "button, input") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: Browser, twenty: Path, scheme: str):
    """Every text can be read on what is behind it: 4.5 to 1 or more (WCAG AA)."""
    browser.open(twenty, scheme=scheme)
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 500
    assert [pair for pair in contrasts if pair[0] < 4.5] == []


def test_light_is_not_dark(browser: Browser, twenty: Path):
    """The page follows what the reader's system prefers."""
    paper = []
    for scheme in ("light", "dark"):
        browser.open(twenty, scheme=scheme)
        paper.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert paper == ["rgb(255, 255, 255)", "rgb(15, 19, 24)"]


def test_phone(browser: Browser, twenty: Path):
    """On 360 pixels only the tables scroll sideways, not the page, and the treemap is laid out anew."""
    browser.open(twenty, width=360, height=740)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    assert browser.run("return document.querySelector('.treemap').offsetHeight") == 560


def test_screen_reader(browser: Browser, twenty: Path):
    """Each table has a caption and headers with a scope, each picture words, each field a label."""
    browser.open(twenty)
    without = "return [...document.querySelectorAll(arguments[0])].filter((one) => %s).length"
    assert browser.run(without % "!one.caption", "table") == 0
    assert browser.run(without % "!one.scope", "table th") == 0
    assert browser.run(without % "!one.getAttribute('aria-label')", "svg") == 0
    assert browser.run(without % "!one.labels.length", "input") == 0
    assert texts(browser, ".bar title")[6] == "heap 496.8M, anon 158.6M, executable 17.9M, library 14.8M"
    regions = browser.run(without % "!document.getElementById(one.getAttribute('aria-labelledby'))", "section")
    assert regions == 0


def test_tiles_are_as_large_as_their_memory(browser: Browser, twenty: Path):
    """The area of anon is to that of heap as their RSS."""
    browser.open(twenty)
    areas = browser.run(
        "return ['k-anon', 'k-heap'].map((kind) => document.querySelector(`.treemap > .${kind}`))"
        ".map((tile) => tile.offsetWidth * tile.offsetHeight)"
    )
    assert areas[0] / areas[1] == pytest.approx(2_913_240 / 1_980_968, rel=0.02)  # a box ends on a whole pixel


def hostile_fleet() -> Snapshot:
    """A host with hostile processes, users, command lines and paths, and one with a hostile failure."""
    processes = [
        process(
            number,
            name,
            mapping(f"/{name}", perms="r-xp", Rss=8, Pss=8, Private_Clean=8, Private_Dirty=0),
            mapping(f"/lib/{name} (deleted)", perms="r-xp", Rss=4, Pss=4, Private_Clean=4, Private_Dirty=0),
            arguments=(name, f"--{name}"),
            user=name,
        )
        for number, name in enumerate(HOSTILE, 1)
    ]
    refused = [
        failed(f"bad-{number}{name}", "refused", f"no: {name}", hint=name) for number, name in enumerate(HOSTILE)
    ]
    fleet = snapshot(host(f"web{HOSTILE[3]}", *processes), host("web-02", *processes[:3]), *refused)
    return replace(fleet, run=replace(fleet.run, command=" ".join(HOSTILE)))


def test_nothing_hostile_runs(browser: Browser, written: Callable[..., Path]):
    """Markup in any name is text, in every section: no element comes of it, no script runs, nothing is asked for."""
    path = written(hostile_fleet())
    browser.open(path)
    assert browser.run("return window.ran") is None
    assert browser.run("return document.querySelectorAll('script').length") == 1
    assert (
        browser.run("return document.querySelectorAll('img, iframe, object, embed, link, a:not([href^=\"#\"])').length")
        == 0
    )
    handlers = "return [...document.querySelectorAll('*')].flatMap((one) => [...one.attributes])"
    assert browser.run(f"{handlers}.filter((one) => /^on|^style$/.test(one.name)).length") == 0
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


def test_hostile_names_are_escaped_as_everywhere(browser: Browser, written: Callable[..., Path]):
    """Each is shown as csv and the terminal show it, in the table, the title and the failures."""
    browser.open(written(hostile_fleet()))
    names = [escape(name) for name in HOSTILE]
    cells = browser.run(
        "return [...document.querySelectorAll('#t-processes tbody tr')].map((row) => row.cells[3].textContent)"
    )
    assert cells[: len(names)] == names
    assert browser.run("return document.title.length") == len(escape(" ".join(HOSTILE)))
    advice = texts(browser, ".failures tbody td:last-child")
    assert f"hint: {names[0]}" in advice
    shown = browser.run("return document.documentElement.textContent")
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []


def test_written_by_the_program(tmp_path: Path):
    """The suffix is enough, and the page holds the command that made it."""
    file = tmp_path / "page.html"
    done = fleetpmap("run", "-H", "local", "--pid", str(os.getpid()), "-o", str(file))
    assert done.returncode == 0, done.stderr
    html = file.read_text(encoding="utf-8")
    assert f"<h1><code>fleetpmap run -H local --pid {os.getpid()} -o " in html
    assert "Where the memory is" in html


def test_without_the_extra():
    """One sentence and the package to install; no host is queried."""
    code = "import sys; sys.modules['squarify'] = None\nfrom fleetpmap.cli import main\nsys.exit(main())"
    words = ("run", "-H", "127.0.0.1", "--all", "--format", "html")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=BARE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "--format: html needs squarify, not installed here",
        "hint: run `pip install 'fleetpmap[html]'`",
    ]
