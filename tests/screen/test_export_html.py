"""The page, as text and in a real browser: what it shows, that it sorts and searches, and that nothing in it runs."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from browser import Browser
from fleet_of_twenty import twenty_hosts
from fleetpmap.escape import escape
from fleetpmap.export.as_html import write_html
from fleetpmap.export.as_html.tables import folded_text
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
    "<i onmouseover=window.ran=8>" * 400,  # more than 10 kB
)


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


def test_page_of_the_fleet_of_twenty(twenty: Path):
    """The page as text: a leak, an old library, a deleted library, a host without PSS, failed hosts."""
    text = page_text(twenty.read_text(encoding="utf-8"))
    text = re.sub(r"## Processes\n(.*\n)*?(?=## )", "", text)
    text = re.sub(r"(?m)^Made by fleetpmap .*$", "", text)
    assert text == expected("page.txt", text)


def test_deltas_from_a_baseline(written: Callable[..., Path]):
    """With --baseline the cells of the other hosts have a sign."""
    text = page_text(written(twenty_hosts(), "compare", baseline="web-01").read_text(encoding="utf-8"))
    lines = text[text.index("## Hosts side by side") : text.index("## Processes")].splitlines()
    cells = {line.split(" | ")[0]: line.split(" | ")[1:6] for line in lines}
    assert cells["mapping"][:3] == ["explains", "web-01", "web-07"]
    assert cells["[heap]"][:3] == ["93.6%", "86,650", "▲ outlier +422,044"]
    assert "total | | 282,152 | +422,512 | " in text


def test_outlier_as_far_out_as_the_baseline(written: Callable[..., Path]):
    """It is framed, without an arrow, since it is neither above nor below."""
    heaps = [mapping("[heap]", Rss=kib, Pss=kib) for kib in (90_000, 90_000, *[10_000] * 8)]
    fleet = snapshot(*(host(f"w{n}", process(1, "app", heap)) for n, heap in enumerate(heaps)))
    text = page_text(written(fleet, "compare", baseline="w0").read_text(encoding="utf-8"))
    heap = next(line for line in text.splitlines() if line.startswith("[heap] | 100.0% | "))
    assert {"outlier 0", "-80,000"} <= {*heap.split(" | ")}


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
    assert re.findall(r"(?m)^## (.*)", text) == ["Hosts", "Coverage"]


def test_fleet_without_a_match(written: Callable[..., Path]):
    """If no process matched, the page has no figures and no empty table."""
    text = page_text(written(snapshot(host("web-01"))).read_text(encoding="utf-8"))
    assert "Nothing matched on 1 host." in text
    assert re.findall(r"(?m)^## (.*)", text) == ["Hosts", "Coverage"]


def test_a_command_in_a_sentence_is_code():
    """Its backticks become an element, and what stands between them stays text."""
    report = replace(page(VIEWS["summary"], small_fleet(), ViewOptions()), notes=("look at `ps <b>`, `",))
    assert b"<li>look at <code>ps &lt;b&gt;</code>, `</li>" in html_of(report)


def test_difference_begins_with_the_names():
    """What a row is comes first, then what it grew by, and the heading tells the growth."""
    old, new = (snapshot(host("w", process(1, "app", mapping("[heap]", Rss=kib, Pss=kib)))) for kib in (9000, 19000))
    text = page_text(html_of(diff(old, new)).decode())
    assert "\nMemory grew by 9.8 MiB, from 8.8 MiB to 19 MiB.\n" in text
    assert "\nmapping | status | hosts | processes | old | new | growth | " in text


def test_long_text_says_what_is_left_out(written: Callable[..., Path]):
    """A command line of a megabyte does not make a page of a megabyte."""
    long = host("web-01", process(1, "app", mapping("[heap]", Rss=4, Pss=4), arguments=("x" * 1_000_000,)))
    html = written(snapshot(long)).read_text(encoding="utf-8")
    assert f"{'x' * 500}… (999,500 more characters)" in html
    assert len(html) < 150_000


def test_hosts_that_all_failed_have_no_total(browser: Browser, written: Callable[..., Path]):
    """A row of totals without a figure would say nothing."""
    browser.open(written(snapshot(failed("web-01", "dns", "web-01: no such name"))))
    assert browser.run("return document.querySelector('#t-hosts tfoot').hidden")
    browser.open(written(small_fleet()))
    assert not browser.run("return document.querySelector('#t-hosts tfoot').hidden")


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


def test_without_scripts_the_tables_are_there(browser: Browser, twenty: Path):
    """Nothing is made by the script but the means to sort and search."""
    with browser.without_scripts():
        browser.open(twenty)
        assert len(texts(browser, "#t-hosts tbody tr")) == 20
        assert texts(browser, "#t-merged thead th")[:2] == ["mapping", "hosts"]
        assert texts(browser, "#t-compare thead th")[4] == "web-[01-06,08-12,14,16-17,20]"
        assert texts(browser, "button, input, main a:not([href='#coverage'])") == []


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 19, 24)")])
def test_contrast(browser: Browser, twenty: Path, scheme: str, paper: str):
    """The page is as light as the reader's system, and every text can be read: 4.5 to 1 or more (WCAG AA)."""
    browser.open(twenty, scheme=scheme)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == paper
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 500
    assert [pair for pair in contrasts if pair[0] < 4.5] == []


def test_phone(browser: Browser, twenty: Path):
    """On 360 pixels only the tables scroll sideways, not the page, and the treemap is laid out anew."""
    browser.open(twenty, width=360, height=740)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    assert browser.run("return document.querySelector('.treemap').offsetHeight") == 480


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
    """Markup in any name is text, in every section, as what is picked, and in the address of a link from others.

    No element comes of it, no script runs, nothing is asked for.
    """
    path = written(hostile_fleet())
    browser.open(path)
    browser.run("for (const link of document.querySelectorAll('#t-processes a.key, #t-merged a.key')) link.click()")
    browser.run("for (const cell of document.querySelectorAll('#t-compare td.cell')) cell.click()")
    address = f"finding=99&pid=x&host={quote(HOSTILE[3])}&mapping={quote(HOSTILE[5])}&kind=%E0%A4%A&__proto__=1"
    browser.run("location.hash = arguments[0]", address)
    browser.drawn()
    assert texts(browser, ".chip b")[0] == HOSTILE[3]
    assert browser.run("return window.ran") is None
    assert browser.run("return document.querySelectorAll('script:not([type])').length") == 1
    assert (
        browser.run("return document.querySelectorAll('img, iframe, object, embed, link, a:not([href^=\"#\"])').length")
        == 0
    )
    handlers = "return [...document.querySelectorAll('*')].flatMap((one) => [...one.attributes])"
    assert browser.run(f"{handlers}.filter((one) => /^on/.test(one.name)).length") == 0
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


def test_hostile_names_are_escaped_as_everywhere(browser: Browser, written: Callable[..., Path]):
    """Each is shown as csv and the terminal show it, in the table, the title and the failures."""
    browser.open(written(hostile_fleet()))
    names = [escape(folded_text(name)) for name in HOSTILE]
    cells = browser.run(
        "return [...document.querySelectorAll('#t-processes tr[data-index]')].map((row) => row.cells[4].textContent)"
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
    assert f"<code>fleetpmap run -H local --pid {os.getpid()} -o " in html
    assert "Where the memory is" in html


def test_without_the_extra():
    """One sentence and the package to install; no host is queried."""
    code = "import sys; sys.modules['jinja2'] = None\nfrom fleetpmap.cli import main\nsys.exit(main())"
    words = ("run", "-H", "127.0.0.1", "--all", "--format", "html")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=BARE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    sentence, hint = done.stderr.splitlines()
    assert sentence == "--format: html needs jinja2, not installed here"
    assert hint.endswith("install 'fleetpmap[html]'`")
