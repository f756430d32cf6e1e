"""The drawings of a page in a real browser, by mouse and keyboard: boxes that open, runs over time, limits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from axe import violations
from browser import Browser
from fleet_with_limits import LEAKING, fleet_with_limits
from fleetpmap.escape import escape
from fleetpmap.export.as_html import write_html
from fleetpmap.report import VIEWS, Report, ViewOptions, page, services
from fleetpmap.report.finding import Finding
from fleetpmap.report.leaves import leaves
from fleetpmap.report.model import Line, Timeline
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot

MIB = 1024
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOSTILE = (
    "<img src=x onerror=window.ran=1>",
    "</script><script>window.ran=2</script>",
    "\u202eexe\x1b[2J",
    "x" * 10_000,
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of six hosts."""
    return written(tmp_path_factory.mktemp("page") / "fleet.html", of(fleet_with_limits()))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three services over a hundred hourly runs; web-02 was away in ten of them."""
    return written(tmp_path_factory.mktemp("page") / "past.html", over_time("api.service", "cart.service"))


def of(fleet: Snapshot) -> Report:
    return page(VIEWS["summary"], fleet, ViewOptions())


def over_time(leaking: str, steady: str) -> Report:
    """`leaking` grows by 1 MiB an hour on web-02 and restarts before run 50; `steady` stays, and so do the others."""
    runs = range(100)
    is_away = [40 <= run < 50 for run in runs]

    def sizes(first: int, step: int, *, gaps: bool) -> tuple[int | None, ...]:
        return tuple(None if gaps and is_away[run] else first * MIB + step * MIB * run for run in runs)

    timeline = Timeline(
        "pss_kib",
        tuple(BEGIN + timedelta(hours=run) for run in runs),
        Line(None, None, sizes(300, 1, gaps=True)),
        (
            Line(leaking, None, sizes(200, 1, gaps=True), (30, 50), (50,)),
            Line(steady, None, sizes(60, 0, gaps=False)),
            Line(None, None, sizes(40, 0, gaps=True)),
        ),
        (
            Line(leaking, "web-01", sizes(100, 0, gaps=False)),
            Line(leaking, "web-02", sizes(100, 1, gaps=True), (50,)),
            Line(steady, "web-01", sizes(60, 0, gaps=False)),
        ),
    )
    return replace(services(fleet_with_limits()), view="history", timeline=timeline)


def written(path: Path, report: Report) -> Path:
    with path.open("wb") as file:
        write_html(report, file)
    return path


def texts(browser: Browser, selector: str) -> list[str]:
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())", selector
    )


def text(browser: Browser, selector: str) -> str:
    (found,) = texts(browser, selector)
    return found


def trail(browser: Browser) -> list[str]:
    """The opened boxes, without their sizes."""
    return [one.rpartition(" ")[0] for one in texts(browser, ".trail li")]


def box(browser: Browser, name: str) -> WebElement:
    """The box of that name that the keyboard reaches."""
    boxes = browser.window.find_elements(By.CSS_SELECTOR, ".box[role=treeitem]")
    return next(one for one in boxes if (one.get_attribute("aria-label") or "").startswith(f"{name}: "))


def focused(browser: Browser) -> str:
    return browser.run("return document.activeElement.getAttribute('aria-label')?.split(': ')[0]")


def at_head(browser: Browser, element: WebElement) -> ActionChains:
    """The mouse at the head of a box, which no inner box covers."""
    browser.run("arguments[0].scrollIntoView({block: 'center'})", element)
    return ActionChains(browser.window).move_to_element_with_offset(element, 0, 8 - int(element.size["height"] / 2))


def click(browser: Browser, element: WebElement) -> None:
    at_head(browser, element).click().perform()


def press(browser: Browser, *keys: str) -> None:
    ActionChains(browser.window).send_keys(*keys).perform()


def picked(browser: Browser) -> dict[str, str]:
    """What the address says."""
    fragment = browser.run("return location.hash.slice(1)")
    return {key: values[0] for key, values in parse_qs(fragment).items()}


def choose(browser: Browser, label: str, value: str) -> None:
    path = f"//label[starts-with(normalize-space(.), '{label}')]/select"
    Select(browser.window.find_element(By.XPATH, path)).select_by_value(value)


def test_boxes_open_by_the_mouse(browser: Browser, fleet: Path):
    """A click opens a box and picks its path; the way back is above the map, in the history, and in the open box."""
    browser.open(fleet)
    assert trail(browser) == ["all"]
    areas = browser.run(
        "return ['gunicorn', 'nginx'].map((name) => document.querySelector(`.l1[aria-label^=${name}]`))"
        ".map((box) => box.offsetWidth * box.offsetHeight)"
    )
    of_gunicorn = 6 * 2 * (80 * MIB + 1700) + 300 * MIB
    assert areas[0] / areas[1] == pytest.approx(of_gunicorn / (6 * (28 * MIB + 1700)), rel=0.05)
    ActionChains(browser.window).move_to_element(box(browser, "nginx.service")).perform()
    assert text(browser, ".map-said").startswith("nginx.service")
    click(browser, box(browser, "gunicorn.service"))
    click(browser, box(browser, LEAKING))
    assert trail(browser) == ["all", "gunicorn.service", LEAKING]
    assert picked(browser) == {
        "service": "gunicorn.service",
        "host": LEAKING,
        "treemap": json.dumps(["gunicorn.service", LEAKING], separators=(",", ":")),
    }
    click(browser, box(browser, "gunicorn 803"))
    click(browser, box(browser, "heap"))
    assert (trail(browser)[-1], picked(browser)["kind"], picked(browser)["pid"]) == ("heap", "heap", "803")
    click(browser, box(browser, "[heap]"))
    assert box(browser, "[heap]").get_attribute("aria-selected") == "true"
    assert picked(browser)["mapping"] == "[heap]"
    browser.window.find_element(By.XPATH, f"//ol[@class='trail']//button[starts-with(., '{LEAKING}')]").click()
    assert (trail(browser)[-1], {*picked(browser)} & {"pid", "kind"}) == (LEAKING, set())
    browser.window.back()
    assert trail(browser)[-1] == "heap"
    browser.window.refresh()
    browser.ready()
    assert trail(browser)[1:4] == ["gunicorn.service", LEAKING, "gunicorn 803"]
    browser.run("state.clear()")
    assert trail(browser) == ["all"]
    assert browser.complaints() == []


def test_boxes_open_by_the_keyboard(browser: Browser, fleet: Path):
    """Arrows go to the nearest box on that side, Enter opens it, Backspace and Escape go back to it."""
    browser.open(fleet)
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    assert focused(browser) == "gunicorn.service"
    press(browser, Keys.ARROW_RIGHT)
    assert focused(browser) == "nginx.service"
    press(browser, Keys.ARROW_LEFT, Keys.ENTER)
    assert (trail(browser)[-1], focused(browser)) == ("gunicorn.service", LEAKING)
    press(browser, Keys.END)
    last = focused(browser)
    press(browser, Keys.ENTER)
    assert trail(browser)[-1] == last
    press(browser, Keys.BACKSPACE)
    assert (trail(browser)[-1], focused(browser)) == ("gunicorn.service", last)
    press(browser, Keys.ESCAPE)
    assert (trail(browser), focused(browser)) == (["all"], "gunicorn.service")
    choose(browser, "As", "flame")
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    press(browser, Keys.ARROW_DOWN)
    below = focused(browser)
    press(browser, Keys.ENTER)
    assert trail(browser)[1:] == ["gunicorn.service", below]
    press(browser, Keys.ESCAPE, Keys.ESCAPE)
    assert trail(browser) == ["all"]
    assert browser.complaints() == []


def test_orders_colours_and_the_table(browser: Browser, fleet: Path):
    """The leak is dark in the colours of the median; what is picked elsewhere has a frame; the table has every box."""
    browser.open(fleet)
    choose(browser, "Order", "host")
    assert texts(browser, ".l1 > span")[0].startswith(LEAKING)
    choose(browser, "Colour", "median")
    colours = {name: set(box(browser, name).get_attribute("class").split()) for name in (LEAKING, "web-01")}
    assert "a4" in colours[LEAKING]
    assert "none" in colours["web-01"]
    at_head(browser, box(browser, LEAKING)).perform()
    assert "300.0M above the median of 6 hosts" in text(browser, ".map-said")
    browser.run("state.pick({host: 'web-05', service: 'nginx.service'})")
    assert browser.run("return [...document.querySelectorAll('.box.picked > span')].map((one) => one.textContent)") == [
        "nginx.service 29.7M"
    ]
    choose(browser, "Order", "mapping")
    browser.window.find_element(By.CSS_SELECTOR, ".map-table summary").click()
    browser.drawn()  # the browser tells a script of an opened element later
    rows = texts(browser, ".map-table tbody th")
    assert rows == ["[heap]", "[anon]", "libc.so.6", "libssl.so.3"]
    browser.window.find_element(By.CSS_SELECTOR, ".map-table tbody button").click()
    assert trail(browser) == ["all", "[heap]"]
    assert texts(browser, ".map-table tbody th") == ["gunicorn.service", "nginx.service"]
    sizes = [int(cell.replace(",", "")) for cell in texts(browser, ".map-table tbody td:nth-child(2)")]
    assert sizes == [(12 * 60 + 300) * MIB, 6 * 8 * MIB]
    assert browser.complaints() == []


def test_a_picked_box_leaves_its_inner_boxes_in_sight(browser: Browser, fleet: Path):
    """Its frame lies around them, not over them; so does that of the focus."""
    browser.open(fleet)
    browser.run("state.pick({service: 'gunicorn.service'})")
    at_head(browser, box(browser, "gunicorn.service")).perform()
    on_top = (
        "const {left, top, width, height} = document.querySelector('.box.picked').getBoundingClientRect();"
        "return document.elementFromPoint(left + width / 2, top + height / 2).className"
    )
    assert "l1" not in browser.run(on_top).split()
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert focused(browser) == "gunicorn.service"
    assert "l1" not in browser.run(on_top).split()


def test_each_choice_changes_the_picture(browser: Browser, tmp_path: Path):
    """Of one process there is one order, and nothing to compare it with."""
    one = host("web-01", process(7, "app", mapping("[heap]", Rss=9000, Pss=9000)))
    browser.open(written(tmp_path / "one.html", of(snapshot(one))))
    assert texts(browser, "#s-kinds .tools option") == ["treemap", "flame graph"]
    two = process(8, "app", mapping("[heap]", Rss=900, Pss=900), mapping("/lib/a.so", perms="r-xp", Rss=9, Pss=9))
    browser.open(written(tmp_path / "two.html", of(snapshot(host("web-01", two)))))
    orders = texts(browser, "#s-kinds .tools label:first-child option")
    assert orders == ["kind › mapping › process", "process › kind › mapping", "mapping › process"]


def test_labels_are_whole_or_missing(browser: Browser, tmp_path: Path):
    """A box that is too narrow for what tells hosts apart has no label: …0… would say nothing."""
    heap = mapping("[heap]", Rss=9000, Pss=9000)
    fleet = snapshot(*(host(f"box-{n:04}", process(n + 1, "app", heap)) for n in range(200)))
    browser.open(written(tmp_path / "many.html", of(fleet)))
    narrow = (
        "return [...document.querySelectorAll('.box > span')].filter((one) => one.textContent.startsWith('…') && "
        "one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    )
    for width in (1280, 1340, 1400):
        browser.open(tmp_path / "many.html", width=width)
        assert browser.run(narrow) == []


def test_small_boxes_are_one_that_opens(browser: Browser, tmp_path: Path):
    """A thousand mappings of which most are too small to be drawn: none is lost, and their box opens."""
    many = [mapping(f"/lib/{n:04}", start=0x1000 * n, Rss=4, Pss=4) for n in range(1, 1000)]
    large = mapping("[heap]", start=0x90000000, Rss=900_000, Pss=900_000)
    small = snapshot(host("a", process(1, "app", large, *many)))
    browser.open(written(tmp_path / "small.html", of(small)))
    choose(browser, "Order", "mapping")
    rest = browser.window.find_element(By.CSS_SELECTOR, "[aria-label^='(999 more)']")
    ActionChains(browser.window).move_to_element(rest).click().perform()
    assert texts(browser, ".trail li") == ["all 882.8M", "(999 more) 3.9M"]
    assert len(texts(browser, ".box.l1")) == 999
    press(browser, Keys.TAB)
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    press(browser, Keys.ESCAPE)
    assert trail(browser) == ["all"]
    assert browser.complaints() == []


def test_a_fleet_without_leaves(browser: Browser, tmp_path: Path):
    """Of too many processes for a page the boxes are kinds and mappings, whose sums are those of the whole fleet."""
    fleet = fleet_with_limits()
    report = of(fleet)
    few = replace(report, beside={**report.beside, "leaves": leaves(fleet, most=1)})
    browser.open(written(tmp_path / "few.html", few))
    assert texts(browser, "option[value=kind], option[value=median]") == ["kind › mapping"]
    assert texts(browser, ".l1 > span") == ["heap 1.0G", "anon 360.0M", "library 29.9M"]
    click(browser, box(browser, "library"))
    assert texts(browser, ".l1 > span") == ["libc.so.6 21.1M", "libssl.so.3 8.8M"]
    assert picked(browser)["kind"] == "library"
    assert browser.complaints() == []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 400 hosts, more than have room for a label; w000 leaks, and two hold somewhat more than usual."""
    heaps = [mapping("[heap]", Rss=kib, Pss=kib) for kib in (90_000, 16_000, 16_500, *[10_000] * 397)]
    more = mapping(start=0x7F0000000000, Rss=9_000, Pss=9_000)
    fleet = snapshot(*(host(f"w{n:03}", process(1, "app", heap, more)) for n, heap in enumerate(heaps)))
    return written(tmp_path_factory.mktemp("page") / "many.html", of(fleet))


def test_many_hosts_that_are_alike_are_one_box(browser: Browser, many: Path):
    """The first screen says what all hosts hold, and names the one that stands apart, whose box has no room for it."""
    browser.open(many)
    assert texts(browser, ".l1 > span") == ["[heap] 3.9G ▲ w000 +78.1M", "[anon] 3.4G"]
    assert texts(browser, ".l2 > span") == ["397 hosts alike 3.8G", "400 hosts alike 3.4G"]
    at_head(browser, browser.window.find_element(By.CSS_SELECTOR, ".l2")).perform()
    assert text(browser, ".map-said") == "[heap] › 397 hosts alike: 3.8G, 51.6 % of all"
    choose(browser, "Colour", "median")
    assert [len(texts(browser, f".l2.{css}")) for css in ("a4", "a2", "none")] == [1, 1, 2]
    assert violations(browser) == []
    browser.open(many, width=390, height=844)
    assert texts(browser, ".l1 .note") == ["▲ w000 +78.1M"]
    assert violations(browser) == []
    browser.open(many, width=200, height=844)
    assert texts(browser, ".l1 .note") == ["▲ w000"]
    assert browser.complaints() == []


def test_alike_hosts_open_by_mouse_and_keyboard(browser: Browser, many: Path):
    """Each then has its box, and none is lost; the way back leads to the box that was opened."""
    browser.open(many)
    click(browser, box(browser, "[heap]"))
    assert box(browser, "2 hosts 4 to 16 MiB above").is_displayed()
    click(browser, box(browser, "397 hosts alike"))
    assert trail(browser) == ["all", "[heap]", "397 hosts alike"]
    labels = browser.run("return [...document.querySelectorAll('.l1')].map((one) => one.getAttribute('aria-label'))")
    assert sorted(label.partition(":")[0] for label in labels) == [f"w{n:03}" for n in range(3, 400)]
    assert picked(browser)["mapping"] == "[heap]"
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    press(browser, Keys.BACKSPACE)
    assert (trail(browser)[-1], focused(browser)) == ("[heap]", "397 hosts alike")
    press(browser, Keys.ENTER)
    assert len(texts(browser, ".l1")) == 397
    press(browser, Keys.ESCAPE, Keys.ESCAPE)
    assert (trail(browser), focused(browser)) == (["all"], "[heap]")
    assert browser.complaints() == []


def test_what_is_picked_leaves_the_box_of_alike_hosts(browser: Browser, many: Path):
    """A host that is picked elsewhere has a box of its own with a frame as long as it is picked."""
    browser.open(many)
    browser.window.find_element(By.CSS_SELECTOR, ".findings a").click()
    assert picked(browser)["host"] == "w000"
    (marked,) = browser.window.find_elements(By.CSS_SELECTOR, ".box.picked")
    at_head(browser, marked).perform()
    assert text(browser, ".map-said").startswith("[heap] › w000: 87.9M")
    browser.run("state.clear(); state.pick({host: 'w123', mapping: '[anon]'})")
    assert "399 hosts alike 3.4G" in texts(browser, ".l2 > span")
    assert len(texts(browser, ".box.picked")) == 1
    choose(browser, "As", "flame")
    assert len(texts(browser, ".box.picked")) == 1
    browser.run("state.clear()")
    assert texts(browser, ".l2 > span") == ["397 hosts alike 3.8G", "400 hosts alike 3.4G"]
    box(browser, "[anon]").send_keys(Keys.ARROW_UP)
    assert focused(browser) is not None  # to be drawn anew takes no focus away
    browser.run("state.pick({host: 'w007'})")
    assert focused(browser) is not None
    assert browser.complaints() == []


def test_every_box_that_stands_for_many_opens_to_more(browser: Browser, tmp_path: Path):
    """Ten thousand mappings of one size: each click shows some, and the sizes add up."""
    same = [mapping(f"/srv/{n:05}", start=0x1000 * n, Rss=4, Pss=4) for n in range(1, 10_001)]
    browser.open(written(tmp_path / "same.html", of(snapshot(host("a", process(1, "app", *same))))))
    assert texts(browser, ".l1 > span") == ["10,000 mappings 39.1M"]
    click(browser, box(browser, "10,000 mappings"))
    assert texts(browser, ".l1 > span")[0] == "(9,900 more) 38.7M"
    assert len(texts(browser, ".l1")) == 101


def test_growth_in_the_span_that_is_chosen(browser: Browser, past: Path):
    """By dragging across the chart, and by the arrow keys at its ends; a service opens as a line for each host."""
    browser.open(past)
    assert text(browser, ".grown") == (
        "2026-11-01 00:00 UTC to 2026-11-05 03:00 UTC, 4.1 days: all +99.0M (+24.0M a day); "
        "most by api.service +99.0M (+24.0M a day)"
    )
    assert texts(browser, ".plot .named") == ["api.service", "cart.service", "others"]
    assert browser.run("return document.querySelectorAll('.plot .gap').length") == 1
    assert [len(texts(browser, f".plot .{one}")) for one in ("restart", "deploy")] == [2, 1]
    assert texts(browser, "#s-over-time tbody tr:first-child td")[-1] == "2 (1 deploy)"
    assert len(texts(browser, ".plot .area")) == 6  # three services on both sides of the gap
    from_, to = browser.window.find_elements(By.CSS_SELECTOR, ".handle")
    to.send_keys(Keys.HOME)
    from_.send_keys(Keys.PAGE_UP)
    to.send_keys(Keys.PAGE_UP, Keys.PAGE_UP, Keys.ARROW_RIGHT)
    assert (from_.get_attribute("aria-valuenow"), to.get_attribute("aria-valuetext")) == ("0", "2026-11-01 22:00 UTC")
    assert "22.0 hours: all +22.0M" in text(browser, ".grown")
    span = picked(browser)["over_time"]
    from_.send_keys(Keys.ESCAPE)
    assert "over_time" not in picked(browser)
    browser.window.back()
    assert picked(browser)["over_time"] == span
    field = browser.window.find_element(By.CSS_SELECTOR, ".field")
    wide = field.size["width"]
    ActionChains(browser.window).move_to_element_with_offset(field, -wide // 4, -40).click_and_hold().move_by_offset(
        wide // 4, 0
    ).release().perform()
    first, last = (int(one.get_attribute("aria-valuenow")) for one in (from_, to))
    assert (20 < first < 30, 45 < last < 55) == (True, True)
    assert f"all +{last - first if last >= 50 else 39 - first}.0M" in text(browser, ".grown")
    browser.window.find_element(By.XPATH, "//button[.='All runs']").click()
    browser.window.find_element(By.XPATH, "//section[@id='s-over-time']//button[.='api.service']").click()
    assert picked(browser) == {"service": "api.service"}
    assert texts(browser, "#s-over-time tbody th") == ["web-02", "web-01"]
    assert texts(browser, "#s-over-time tbody tr:first-child td") == ["100.0M", "199.0M", "+99.0M", "+24.0M", "1"]
    assert len(texts(browser, ".plot .line")) == 3  # web-02 on both sides of its gap
    assert len(texts(browser, ".plot .restart")) == 3
    ActionChains(browser.window).move_to_element_with_offset(field, wide // 2 - 12, 0).perform()
    assert text(browser, ".pointed") == "2026-11-05 03:00 UTC: web-02 199.0M, web-01 100.0M"
    choose(browser, "Show", "")
    assert len(texts(browser, ".plot .area")) == 6
    assert browser.complaints() == []


def test_findings_and_times_of_runs(browser: Browser, tmp_path: Path):
    """A finding draws its service by host, though the page has no leaves; the axis has round times."""
    leak = Finding("leak", "gunicorn.service grows", service="gunicorn.service")
    past = replace(over_time("gunicorn.service", "nginx.service"), findings=(leak,))
    browser.open(written(tmp_path / "past.html", past))
    axis = [one for one in texts(browser, "#s-over-time .plot text") if one.startswith("2026-")]
    assert axis == ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"]
    browser.window.find_element(By.CSS_SELECTOR, ".findings a").click()
    assert texts(browser, "#s-over-time tbody th") == ["web-02", "web-01"]
    browser.window.find_element(By.CSS_SELECTOR, ".findings a").click()
    assert texts(browser, "#s-over-time tbody th") == ["gunicorn.service", "nginx.service", "others"]


def test_limits_are_drawn(browser: Browser, fleet: Path):
    """The bar of the leaking service is as full as its share says, and no longer than the limit."""
    browser.open(fleet)
    first = "document.querySelector('.limits tbody tr')"
    assert browser.run(f"return [...{first}.cells].map((cell) => cell.textContent.trim())") == [
        *(LEAKING, "gunicorn.service", "85.7 %", ""),
        *("463.3M", "600.0M", "700.0M"),
    ]
    widths = f"[...{first}.querySelectorAll('rect')].map((one) => one.getBoundingClientRect().width)"
    track, used, held, _ = browser.run(f"return {widths}")
    assert used / track == pytest.approx(0.857, abs=0.01)
    assert held / track == pytest.approx(463.3 / 700, abs=0.01)
    assert texts(browser, ".limits")[1].count("web-") == 6


def test_on_a_phone(browser: Browser, fleet: Path, past: Path):
    """On 360 pixels nothing but tables scrolls sideways, and the boxes and the chart have the width."""
    for path, drawing in ((fleet, ".treemap"), (past, ".field")):
        browser.open(path, width=360, height=740)
        assert browser.run("return document.documentElement.scrollWidth") == 360
        assert 300 < browser.run(f"return document.querySelector('{drawing}').offsetWidth") < 360
        shares = "[...document.querySelectorAll('.limits td')].filter((cell) => cell.textContent.trim().endsWith('%'))"
        assert browser.run(f"return {shares}.every((share) => share.getBoundingClientRect().right <= 360)")
        assert browser.complaints() == []


def test_without_scripts_tables_stand_there(browser: Browser, fleet: Path, past: Path):
    """Kinds with their mappings, the growth of each service, and the limits, which need no script."""
    with browser.without_scripts():
        browser.open(fleet)
        assert texts(browser, "#s-kinds tbody tr:first-child th") == ["heap", "anon", "library"]
        heights = "return [...document.querySelectorAll('.areas tr')].map((row) => row.offsetHeight)"
        assert max(browser.run(heights)) < 40  # one line each
        assert len(texts(browser, ".limit")) == 12
        browser.open(past)
        assert texts(browser, "#s-over-time tbody tr:first-child > *") == [
            "api.service",
            "200.0M",
            "299.0M",
            "+99.0M",
            "2 (1 deploy)",
        ]
        assert texts(browser, "button, select") == []


def test_hostile_names_are_texts(browser: Browser, tmp_path: Path):
    """In boxes, the way to them, the table, the lines and the choices; nothing runs, and nothing is asked for."""
    members = [
        process(n, name, mapping(f"/{name}", start=0x1000 * n, perms="r-xp", Rss=900, Pss=900 - n), arguments=(name,))
        for n, name in enumerate(HOSTILE, 1)
    ]
    map_ = written(
        tmp_path / "map.html", of(snapshot(*(host(f"{name[:300]}{n}", *members) for n, name in enumerate(HOSTILE))))
    )
    browser.open(map_)
    for order in ("host", "kind"):
        choose(browser, "Order", order)
        for _ in range(4):
            browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
            press(browser, Keys.ENTER)
        browser.run("document.querySelector('.map-table').open = true")
        browser.run("state.clear()")
    assert escape(HOSTILE[0])[:40] in " ".join(texts(browser, ".box"))
    past = written(tmp_path / "past.html", over_time(HOSTILE[0], HOSTILE[1]))
    browser.open(past)
    Select(browser.window.find_element(By.CSS_SELECTOR, "#s-over-time select")).select_by_index(1)
    assert texts(browser, "#s-over-time tbody th") == ["web-02", "web-01"]
    assert browser.run("return window.ran") is None
    assert browser.run("return document.querySelectorAll('img, script:not([id])').length") == 1
    assert browser.complaints() == []
    assert browser.requests() == [past.as_uri()]
