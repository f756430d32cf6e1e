"""plain: aligned text for pipes."""

from __future__ import annotations

import re
import subprocess
import sys

from fleetpmap.render import plain
from fleetpmap.report import Shape, hosts, merged, pmap, processes, ps, summary
from snapshots import host, mapping, process, small_fleet, snapshot


def _one(*mappings):
    return snapshot(host("a", process(1, "x", *mappings)))


def test_summary_is_its_first_table():
    """A pipe gets one table, so that fields keep their places."""
    assert plain(summary(small_fleet())) == plain(merged(small_fleet()))


def test_pmap_is_its_text():
    """A view that is text stays as it is."""
    report = pmap(small_fleet())
    assert plain(report) == report.text


def test_a_space_in_a_name_is_a_space():
    """Columns are two spaces apart, so that a program can still split them."""
    lines = plain(ps(snapshot(host("a", process(1, "Web Content", arguments=("web", "-x")))))).splitlines()
    assert re.split("  +", lines[1])[3:] == ["Web Content", "0", "read", "?", "-", "-", "-", "?", "web -x"]


def test_a_space_that_does_not_show_is_a_code():
    """At the ends of a name, and a second one."""
    lines = plain(ps(snapshot(host("a", process(1, " web  app ", arguments=("web", "-x")))))).splitlines()
    assert re.split("  +", lines[1])[3] == r"\x20web \x20app\x20"


def test_rows_rule_and_total_have_the_fields_of_the_header():
    """awk finds a column at the same place in every line."""
    lines = plain(hosts(snapshot(host("a", process(1, "x", mapping(Rss=3))), host("b")))).splitlines()
    assert [len(line.split()) for line in lines] == [17, 16, 16, 17, 17]


def test_a_total_is_called_so_between_numbers_too():
    """As `--columns pid,name,rss` has it."""
    text = plain(processes(snapshot(host("a", process(7, "x", mapping(Rss=3)))), Shape(columns=("pid", "name", "rss"))))
    assert text.splitlines()[-1].split() == ["-", "total", "3"]


def test_nothing_is_cut():
    """A long path is printed whole."""
    path = "/srv/" + "long/" * 100 + "name"
    assert path in plain(merged(_one(mapping(path))))


def test_long_last_column_makes_no_other_line_longer():
    """The last column is not padded."""
    lines = plain(merged(_one(mapping("/srv/" + "long/" * 100, Pss=1), mapping("/b")))).splitlines()
    assert lines[2].endswith("  /b")


def test_control_characters_of_a_host_do_not_reach_the_pipe():
    """A mapping's name is escaped."""
    assert r"/srv/\x1b[31mred" in plain(merged(_one(mapping("/srv/\x1b[31mred"))))


def test_empty_cell_is_visible():
    """An empty text would shift awk's fields."""
    assert plain(ps(snapshot(host("a", process(1, "", arguments=("x",)))))).splitlines()[1].split()[3] == '""'


def test_table_without_rows_has_header_and_total():
    """Nothing matched: the shape stays."""
    lines = plain(merged(snapshot(host("a")))).splitlines()
    assert lines[0].split()[-1] == "mapping"
    assert lines[2].split() == [*"0000000000000"[:12], "total", "kB"]


def test_row_of_the_rest_has_the_fields_of_the_others():
    """`(N more)`, and a sign for what does not add up."""
    lines = plain(processes(small_fleet(), Shape(top=1, columns=("host", "pid", "status", "pss", "name")))).splitlines()
    assert lines[1].split() == ["web-01", "812", "read", "2610", "nginx"]
    assert re.split("  +", lines[2]) == ["(4 more)", "-", "-", "202", "-"]


def test_row_of_the_rest_in_the_last_column():
    """There it may hold a space, as other texts do."""
    assert plain(merged(small_fleet(), shape=Shape(top=1))).splitlines()[2].endswith("  (2 more)")


def test_human_sizes():
    """A unit on each size, and none in a header: all of them in one way."""
    fleet = snapshot(host("a", process(1, "x", mapping("/m", size=1536, Rss=1024, Pss=700))))
    columns = ("size", "rss", "pss", "swap", "mappings", "mapping")
    assert [line.split() for line in plain(merged(fleet, shape=Shape(columns=columns)), human=True).splitlines()] == [
        ["size", "rss", "pss", "swap", "mappings", "mapping"],
        ["1.5M", "1.0M", "700K", "?", "1", "/m"],
        ["----", "----", "----", "----", "--------", "-------"],
        ["1.5M", "1.0M", "700K", "?", "1", "total"],
    ]


def test_rich_is_not_imported_for_plain():
    """rich is slow to import, and only a terminal needs it."""
    code = "import sys, fleetpmap.render; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_name_is_never_taken_for_a_cell_that_is_not_mapped():
    """A process may call itself `not-mapped`; only a size can be."""
    fleet = snapshot(host("a", process(1, "not-mapped", mapping("/not-mapped", Rss=1))))
    report = processes(fleet, Shape(columns=("name", "rss", "command")))
    assert plain(report).splitlines()[1].split() == ["not-mapped", "1", "not-mapped"]
