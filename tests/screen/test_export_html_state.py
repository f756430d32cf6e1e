"""What a reader does on the page, with mouse and keys in a real browser: picks, tables, the comparison, the address.

A few long scenes, each on one page that stays open.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from axe import violations
from browser import Browser
from fleet_of_twelve import twelve_hosts
from fleet_of_twenty import twenty_hosts
from fleetpmap.export.as_html import write_html
from fleetpmap.report import VIEWS, ViewOptions, page
from fleetpmap.report.model import Column, Table
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot

LEAK = "finding=0&host=web-07&mapping=%5Bheap%5D&service=gunicorn.service"


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of twelve hosts with two services, one of which leaks on web-07."""
    return written(twelve_hosts(), tmp_path_factory.mktemp("page"), services=True)


def written(fleet: Snapshot, directory: Path, **options: object) -> Path:
    file = io.BytesIO()
    write_html(page(VIEWS["summary"], fleet, ViewOptions(**options)), file)  # type: ignore[arg-type]  # any option
    path = directory / "page.html"
    path.write_bytes(file.getvalue())
    return path


def texts(browser: Browser, selector: str) -> list[str]:
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())", selector
    )


def rows(browser: Browser, table: str, *columns: str) -> list[tuple[str, ...]]:
    """The cells of the rows that the table holds, of the columns with these headers."""
    heads = texts(browser, f"#t-{table} thead th")
    found = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((row) => [...row.cells].map((td) => td.textContent))",
        f"#t-{table} tbody tr[data-index]",
    )
    return [tuple(row[heads.index(name)] for name in columns) for row in found]


def foot(browser: Browser, table: str, column: str) -> dict[str, str]:
    """The cells of a column in the rows of totals, by the label of the row."""
    slot = texts(browser, f"#t-{table} thead th").index(column)
    found = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((row) => [row.cells[0], row.cells[arguments[1]]]"
        ".map((cell) => cell.textContent))",
        f"#t-{table} tfoot tr",
        slot,
    )
    return dict(found)


def one(browser: Browser, selector: str) -> WebElement:
    return browser.window.find_element(By.CSS_SELECTOR, selector)


def named(browser: Browser, selector: str, text: str) -> WebElement:
    """The element of that text, in the middle of the window."""
    elements = browser.window.find_elements(By.CSS_SELECTOR, selector)
    found = next(element for element in elements if element.get_attribute("textContent").strip() == text)
    browser.run("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def keys(browser: Browser, *pressed: str) -> None:
    ActionChains(browser.window).send_keys(*pressed).perform()


def tab_to(browser: Browser, selector: str, most: int = 12) -> None:
    """Press Tab, at most so often, until an element of that kind has the focus."""
    for _ in range(most):
        keys(browser, Keys.TAB)
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            return
    pytest.fail(f"{selector} is not among the first {most} that Tab reaches")


def address(browser: Browser) -> str:
    return browser.run("return location.hash.slice(1)")


def test_a_finding_is_a_link(browser: Browser, twelve: Path):
    """It marks its rows, its cell and itself, goes into the address, and all of it comes back from the address."""
    browser.open(twelve)
    assert texts(browser, ".pickbar .chip") == []
    one(browser, ".findings a").click()
    assert address(browser) == LEAK
    assert texts(browser, ".findings li.picked a")[0].startswith("gunicorn.service on web-07 (pid 8960): [heap]")
    assert texts(browser, ".heat td.picked") == ["▲ outlier 512.5M"]
    assert texts(browser, ".heat th.picked") == ["web-07", "[heap]"]
    assert texts(browser, "#t-hosts tr.picked th") == ["web-07"]
    assert texts(browser, "#t-merged tr.picked th") == ["[heap]"]
    assert texts(browser, "#t-services tr.picked th") == ["gunicorn.service"]
    assert rows(browser, "processes", "host", "pid", "rss") == [
        *(("web-07", "8951", "31,833"), ("web-07", "8954", "31,262")),
        *(("web-07", "8957", "31,991"), ("web-07", "8960", "429,756")),
    ]
    assert texts(browser, ".pickbar .chip b") == ["web-07", "gunicorn.service", "[heap]"]

    browser.window.back()
    assert (address(browser), texts(browser, ".picked")) == ("", [])
    browser.window.forward()
    assert texts(browser, ".heat td.picked") == ["▲ outlier 512.5M"]
    browser.window.get("about:blank")
    browser.window.get(f"{twelve.as_uri()}#{LEAK}")
    browser.ready()
    assert texts(browser, ".heat td.picked") == ["▲ outlier 512.5M"]
    assert texts(browser, ".findings li.picked [aria-current=true]") != []

    # Keys alone: Tab reaches the link, Enter picks and Escape lets go.
    browser.open(twelve)
    tab_to(browser, ".findings a")
    keys(browser, Keys.ENTER)
    assert address(browser) == LEAK
    keys(browser, Keys.ESCAPE)
    assert address(browser) == ""
    keys(browser, Keys.ENTER)
    assert address(browser) == LEAK
    one(browser, ".pickbar .chip:nth-child(3)").click()
    assert address(browser) == "host=web-07&service=gunicorn.service"
    named(browser, ".pickbar .tool", "Clear").click()
    assert (address(browser), one(browser, ".pickbar").is_displayed()) == ("", False)
    assert browser.complaints() == []


def test_tables_follow_each_other(browser: Browser, twelve: Path):
    """A host, a service or a mapping picked in one adds up the others anew; both totals are there."""
    browser.open(twelve)
    whole = foot(browser, "merged", "pss")
    assert whole == {"total": "3,110,876"}
    named(browser, "#t-hosts a.key", "web-03").click()
    sizes = dict(rows(browser, "merged", "mapping", "pss"))
    assert (sizes["[heap]"], sizes["libc.so.6"]) == ("131,445", "1,250")
    assert foot(browser, "merged", "pss") == {"found": "228,071", "total": "3,110,876"}
    assert dict(rows(browser, "services", "service", "pss")) == {
        "gunicorn.service": "213,978",
        "nginx.service": "14,093",
    }
    assert {host for (host,) in rows(browser, "processes", "host")} == {"web-03"}
    assert texts(browser, "#s-processes .remark") == ["Only rows of host web-03."]
    assert foot(browser, "hosts", "pss") == {"picked": "228,071", "total": "3,110,876"}

    named(browser, "#t-services a.key", "nginx.service").click()
    named(browser, "#t-merged a.key", "[heap]").click()
    assert address(browser) == "host=web-03&mapping=%5Bheap%5D&service=nginx.service"
    assert rows(browser, "processes", "pid", "pss") == [("612", "2,121"), ("613", "2,122")]
    assert foot(browser, "processes", "pss")["found"] == "4,243"
    assert texts(browser, "#s-services .remark") == ["Sizes are those of host web-03, mapping [heap] alone."]
    named(browser, "#t-processes a.key", "613").click()
    assert address(browser) == "host=web-03&mapping=%5Bheap%5D&pid=613&service=nginx.service"
    assert texts(browser, "#t-processes tr.picked td:nth-child(3)") == ["613"]
    assert foot(browser, "merged", "pss")["picked"] == "2,122"
    named(browser, "#t-hosts a.key", "web-04").click()  # a pid is that of one host
    assert address(browser) == "host=web-04&mapping=%5Bheap%5D&service=nginx.service"

    # The keys of the arrows walk along the rows, and Enter picks.
    browser.run("document.querySelector('#t-hosts tr.picked a').focus()")
    keys(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.run("return document.activeElement.textContent") == "web-06"
    keys(browser, Keys.HOME)
    assert browser.run("return document.activeElement.textContent") == "web-01"
    keys(browser, Keys.ENTER)
    assert address(browser) == "host=web-01&mapping=%5Bheap%5D&service=nginx.service"
    assert browser.run("return document.activeElement.textContent") == "web-01"
    assert browser.complaints() == []


def test_sorting_searching_and_columns(browser: Browser, tmp_path: Path):
    """By click and by key: the order, what is found and its sums, the columns, and a copy as csv."""
    browser.open(written(twenty_hosts(), tmp_path))
    names = "#t-merged tbody tr[data-index] th"
    named(browser, "#t-merged thead button", "hosts").click()
    assert texts(browser, names)[-1] == "libcrypto.so.1.1"
    assert texts(browser, "#t-merged [aria-sort=descending]") == ["hosts"]
    named(browser, "#t-merged thead button", "hosts").click()
    assert texts(browser, names)[:2] == ["libcrypto.so.1.1", "libcrypto.so.3"]
    named(browser, "#t-merged thead button", "mapping").send_keys(Keys.ENTER)
    assert texts(browser, names)[:3] == ["[anon]", "[heap]", "libc.so.6"]
    assert texts(browser, "#t-merged [aria-sort]") == ["mapping"]
    last = []
    for _ in range(2):  # unknown is last whichever way
        named(browser, "#t-hosts thead button", "pss").click()
        last.append([name for (name,) in rows(browser, "hosts", "host")][-3:])
    assert last == [["web-15", "web-18", "web-19"]] * 2

    search = one(browser, "[role=search][aria-label=Mappings] input")
    search.send_keys("LIBCRYPTO")
    assert texts(browser, names) == ["libcrypto.so.1.1", "libcrypto.so.3"]
    assert texts(browser, "#s-merged .tools output")[0] == "2 of 6 rows, sizes in KiB"
    assert foot(browser, "merged", "pss") == {"found": "176,800", "total": "5,216,936"}
    assert foot(browser, "merged", "rss") == {"found": "≤187,200", "total": "≤5,498,144"}
    assert foot(browser, "merged", "hosts") == {"found": "", "total": "18"}
    assert "swap" not in texts(browser, "#t-merged thead th")  # nothing but zeros
    named(browser, "#s-merged summary", "Columns").click()
    for name in ("swap", "paths", "mappings", "uss", "dirty", "size"):
        named(browser, "#s-merged .columns label", name).click()
    keys(browser, Keys.ESCAPE)
    assert texts(browser, "#t-merged thead th") == ["mapping", "hosts", "processes", "rss", "pss", "swap"]
    browser.allow_clipboard()
    named(browser, "#s-merged button", "Copy as csv").click()
    assert browser.run("return navigator.clipboard.readText()") == (
        "mapping,hosts,processes,rss_kib,pss_kib,swap_kib\n"
        "libcrypto.so.1.1,1,4,10400,10400,0\n"
        "libcrypto.so.3,17,68,176800,166400,0\n"
    )
    assert texts(browser, "#s-merged .said") == ["2 rows copied"]
    search.send_keys(Keys.BACKSPACE * 9, "no mapping has this name")
    assert (texts(browser, names), foot(browser, "merged", "pss")["found"]) == ([], "0")
    assert browser.complaints() == []


def test_many_rows_stay_smooth(browser: Browser, tmp_path: Path):
    """Of 50,000 rows a few are there, each one line high; the scroll bar reaches the last, and the search finds any."""
    words = ("--option=/srv/some/where " * 30).split()
    one_line = process(7, "app", mapping("/srv/" + "long-" * 60, Rss=4, Pss=4), arguments=("app", *words))
    report = page(
        VIEWS["summary"], snapshot(host("w1", one_line), host("w2", process(8, "b", mapping(Rss=9)))), ViewOptions()
    )
    count = 50_000
    many = Table(
        "rows",
        (
            Column(
                "host", "text", Coded(np.arange(count, dtype=np.int32) % 500, tuple(f"web-{n:03}" for n in range(500)))
            ),
            Column("pid", "number", np.arange(count)),
            Column("pss_kib", "KiB", np.arange(count), "sum", count * (count - 1) // 2),
        ),
    )
    file = io.BytesIO()
    write_html(replace(report, view="odd", tables=(many,)), file)
    path = tmp_path / "many.html"
    path.write_bytes(file.getvalue())
    browser.open(path)
    assert texts(browser, "#s-odd .tools output")[0] == "50,000 of 50,000 rows, sizes in KiB"
    assert len(rows(browser, "odd", "pid")) < 60
    scroller = "document.querySelector('#t-odd').parentElement"
    browser.run(f"{scroller}.scrollTop = 1e9")
    browser.drawn()
    assert rows(browser, "odd", "pid")[-1] == ("49999",)
    assert one(browser, "#t-odd").get_attribute("aria-rowcount") == "50001"
    one(browser, "[role=search][aria-label=odd] input").send_keys("web-123 4512")
    assert rows(browser, "odd", "host", "pid") == [("web-123", "45123")]
    assert foot(browser, "odd", "pss") == {"found": "45,123", "total": "1,249,975,000"}
    for table in ("merged", "hosts"):
        heights = browser.run(
            "return [...document.querySelectorAll(arguments[0])].map((row) => row.getBoundingClientRect().height)",
            f"#t-{table} tbody tr[data-index]",
        )
        assert len(heights) > 1
        assert max(heights) - min(heights) <= 1
    assert browser.complaints() == []


def test_hosts_side_by_side(browser: Browser, twelve: Path):
    """Alike hosts and rows without a difference unfold; each cell says what it is, and is picked by key and mouse."""
    browser.open(twelve)
    heads = "#t-compare thead .host"
    assert texts(browser, heads) == ["web-07", "web-[01-06,08-12]"]
    assert rows_of_heat(browser) == ["processes", "[heap]"]
    named(browser, "#s-compare .tools button", "13 rows without a difference").click()
    assert len(rows_of_heat(browser)) == 15
    named(browser, f"{heads} button", "web-[01-06,08-12]").click()
    assert len(texts(browser, heads)) == 12
    ActionChains(browser.window).move_to_element(one(browser, "#t-compare td.a4")).perform()
    words = "web-07 · [heap]: 512.5M, 389.0M above the median of 123.5M; outlier"
    assert texts(browser, ".readout") == [words]
    assert one(browser, "#t-compare td.a4").get_attribute("title") == words
    browser.run("document.querySelector('#t-compare td.cell[tabindex=\"0\"]').focus()")
    keys(browser, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER)
    picked = browser.run("return state.picked")
    assert picked == {"host": "web-01", "mapping": "[anon]", "service": "gunicorn.service"}
    assert texts(browser, ".heat td.picked") == ["70.8M"]
    one(browser, "#t-compare td.a4").click()
    assert browser.run("return state.picked.host") == "web-07"
    named(browser, f"{heads} button", "web-07").click()
    assert address(browser) == "mapping=%5Bheap%5D&service=gunicorn.service"

    # On a phone the same cells are bare colours, with their figures on touch.
    browser.open(twelve, width=360, height=740)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    named(browser, "#s-compare .tools button", "Each of 12 hosts").click()
    assert browser.run("return document.querySelector('#t-compare').classList.contains('dense')")
    one(browser, "#t-compare td.a4").click()
    assert texts(browser, ".readout") == [words]
    assert browser.complaints() == []


def rows_of_heat(browser: Browser) -> list[str]:
    return texts(browser, "#t-compare tbody tr th")


def test_figures_say_what_they_mean(browser: Browser, twelve: Path):
    """On hover, and on focus by key."""
    browser.open(twelve)
    meaning, name = one(browser, "#means-pss"), one(browser, "[aria-describedby=means-pss]")
    assert not meaning.is_displayed()
    ActionChains(browser.window).move_to_element(name).perform()
    assert meaning.is_displayed()
    ActionChains(browser.window).move_to_element(one(browser, "h1")).perform()
    assert not meaning.is_displayed()
    browser.run("arguments[0].focus()", name)
    assert meaning.is_displayed()


def test_the_first_screen_answers(browser: Browser, twelve: Path):
    """How much, where, on which host and since when is in sight without scrolling, on a laptop and on a phone."""
    for width, height in ((1280, 720), (390, 844)):
        browser.open(twelve, width=width, height=height)
        shown = browser.run(
            "return [...document.querySelectorAll('h1, .words, .findings a')].filter((one) => "
            "one.getBoundingClientRect().bottom <= innerHeight).map((one) => one.textContent).join(' ')"
        )
        heap = "web-07 has 512 MiB in [heap], the largest part in pid 8960"
        for answer in ("3 GiB on 12 hosts", heap, "since 2026-03-09 06:37"):
            assert answer in shown
        assert "389.0M above the median" in shown


def test_no_violation_for_axe(browser: Browser, twelve: Path):
    """As it opens in light, with something picked in dark, and with narrow columns of hosts on a phone."""
    browser.open(twelve)
    assert violations(browser) == []
    browser.open(twelve, scheme="dark")
    one(browser, ".findings a").click()
    named(browser, "#s-merged summary", "Columns").click()
    assert violations(browser) == []
    browser.open(twelve, width=390, height=844)
    named(browser, "#s-compare .tools button", "Each of 12 hosts").click()
    assert violations(browser) == []


def test_printed(browser: Browser, twelve: Path):
    """On paper all rows are there, not only those in sight, and no button is."""
    browser.open(twelve)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert len(rows(browser, "processes", "pid")) == 72
    browser.print_media()
    assert [
        one for one in browser.window.find_elements(By.CSS_SELECTOR, ".tools, .pickbar") if one.is_displayed()
    ] == []
    assert browser.run("return document.querySelector('#t-processes').parentElement.clientHeight") > 72 * 10
    wide = browser.run("return document.querySelector('#t-merged').offsetWidth")
    assert wide <= browser.run("return document.querySelector('#s-merged').offsetWidth")


def test_on_paper_the_largest_rows_and_the_columns_that_fit(browser: Browser, tmp_path: Path):
    """Of 120 hosts the hundred largest, in columns that fit; what is left out is said, and all is back after."""
    heaps = [mapping("[heap]", Rss=kib, Pss=kib) for kib in range(9000, 9120)]
    words = ("app", *["word"] * 100)
    fleet = snapshot(*(host(f"w{n:03}", process(7, "app", heap, arguments=words)) for n, heap in enumerate(heaps)))
    browser.open(written(fleet, tmp_path), width=1000)
    heads = texts(browser, "#t-processes thead th")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.print_media()
    assert [name for (name,) in rows(browser, "processes", "host")][::99] == ["w119", "w020"]
    printed = texts(browser, "#t-processes thead th")
    assert printed == heads[: len(printed)]
    left = f"{len(printed) - 1} of {len(heads) - 1} columns"
    assert texts(browser, "#s-processes .remark") == [
        f"On paper: the largest 100 of 120 rows, {left}. The totals are of all rows."
    ]
    assert foot(browser, "processes", "pss") == {"total": "1,087,140"}
    wide = browser.run("return document.querySelector('#t-processes').offsetWidth")
    assert wide <= 1000
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert texts(browser, "#t-processes thead th") == heads
    assert rows(browser, "processes", "host")[0] == ("w000",)
    assert not one(browser, "#s-processes .remark").is_displayed()


def test_long_names_leave_room(browser: Browser, tmp_path: Path):
    """The middle of a long name is cut; it is whole on hover, on focus and in a copy."""
    name = f"/srv/{'releases/' * 20}current/native.data"
    heap = mapping(name, Rss=9000, Pss=9000)
    names = [f"node-{n}.{'long.' * 20}example.com" for n in range(3)]
    fleet = snapshot(*(host(one, process(7, "app", heap, mapping("[heap]", start=0x10, Rss=9))) for one in names))
    browser.open(written(fleet, tmp_path))
    cell = one(browser, "#t-merged tbody tr[data-index] th")
    width = browser.run("return document.querySelector('#t-merged colgroup col').style.width")
    assert (width, cell.get_attribute("title"), cell.text.replace("\n", "")) == ("320px", name, name)
    end = (
        "const range = document.createRange(); range.selectNode(arguments[0].querySelector('a').lastChild);"
        "return [range.getBoundingClientRect().right < arguments[0].getBoundingClientRect().right, String(range)]"
    )
    assert browser.run(end, cell) == [True, "rent/native.data"]
    assert browser.run("getSelection().selectAllChildren(arguments[0]); return String(getSelection())", cell) == name
    one(browser, "[role=search][aria-label=Mappings] input").click()
    tab_to(browser, "#t-merged tbody a", 20)
    link = "#t-merged tbody tr[data-index] a"
    assert one(browser, link).size["width"] > 600
    keys(browser, Keys.ARROW_DOWN)
    assert one(browser, link).size["width"] < 600
    # Of hosts with one domain the beginning tells them apart, so it has all the room.
    assert texts(browser, "#t-hosts tbody tr[data-index] th .head") == names
    assert browser.complaints() == []


def test_on_paper_a_row_is_a_few_lines(browser: Browser, tmp_path: Path):
    """A command line of 500 characters takes no sheet of its own."""
    worker = process(7, "app", mapping("[heap]", Rss=9000, Pss=9000), arguments=("/usr/bin/app", *["word"] * 100))
    browser.open(written(snapshot(host("web-01", worker)), tmp_path), width=1000)
    browser.print_media()
    assert 20 < browser.run("return document.querySelector('#t-processes tbody tr[data-index]').offsetHeight") < 80


def test_on_a_phone_the_tables_show_memory(browser: Browser, twelve: Path):
    """Counts wait in the list of columns, so that the sizes are in sight."""
    browser.open(twelve, width=390, height=844)
    assert texts(browser, "#t-merged thead th")[:3] == ["mapping", "rss", "pss"]
    cells = "[...document.querySelectorAll('#t-compare td.cell')]"
    assert browser.run(f"return {cells}.every((cell) => cell.getBoundingClientRect().right <= 390)")
    right = "[...document.querySelectorAll('#t-merged thead th')][2].getBoundingClientRect().right"
    assert browser.run(f"return {right}") <= 390


def test_forced_colours_leave_those_that_tell_something(browser: Browser, twelve: Path):
    """The distance from the median is a colour, so a cell keeps its own; other parts take the colours of the system."""
    browser.open(twelve)
    paper = "getComputedStyle(document.querySelector('.findings')).backgroundColor"
    cell = "getComputedStyle(document.querySelector('.heat .a4')).backgroundColor"
    own = browser.run(f"return [{cell}, {paper}]")
    browser.set_media("forced-colors", "active")
    assert browser.run(f"return {cell}") == own[0]
    assert browser.run(f"return {paper}") != own[1]


@pytest.mark.parametrize(("wish", "moving"), [("no-preference", 1), ("reduce", 0)])
def test_less_motion_if_asked_for(browser: Browser, twelve: Path, wish: str, moving: int):
    """A box that opens grows into its place, unless the reader's system asks for less motion."""
    browser.open(twelve)
    browser.set_media("prefers-reduced-motion", wish)
    opened = "document.querySelector('.treemap .box').click(); return document.getAnimations().length"
    assert browser.run(opened) == moving
