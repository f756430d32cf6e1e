"""markdown: what a reader of it (markdown-it, with GitHub's tables) makes of a report."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fleetpmap.escape import escape
from fleetpmap.export import EXPORTERS
from fleetpmap.report import Letters, Shape, compare, hosts, merged, pmap, processes, ps, stale, summary
from snapshots import expected, failed, host, mapping, process, sizes, small_fleet, snapshot

READER = MarkdownIt("commonmark").enable("table")
FORGED = "a|b\n\n# <script>x</script> `code` **bold** @somebody [link](http://example.org) www.example.org ~x~ $y$ &lt;"


def _markdown(report):
    file = io.BytesIO()
    EXPORTERS["markdown"].write(report, file)
    return file.getvalue().decode("utf-8")


def _tables(text):
    """Every table: rows of cells as a reader shows them."""
    tables, tokens = [], READER.parse(text)
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and token.level == 4:
            tables[-1][-1].append("".join(child.content for child in token.children))
    return tables


def _named(text):
    """The name that a reader sees of a process of this name."""
    report = processes(snapshot(host("a", process(1, text, arguments=()))), Shape(columns=("name",)))
    return _tables(_markdown(report))[0][1][0]


@pytest.mark.parametrize("view", [summary, hosts, processes, stale], ids=lambda view: view.__name__)
def test_whole_document(view):
    """Tables, findings, coverage, failures, notes and the command."""
    text = _markdown(view(small_fleet()))
    assert text == expected(f"{view.__name__}.md", text)


def test_a_reader_sees_the_same_cells():
    """Names as they are, ? for unknown, totals at the end."""
    (rows,) = _tables(_markdown(merged(small_fleet(), shape=Shape(columns=("mapping", "rss", "pss")))))
    assert rows == [
        ["mapping", "rss_kib", "pss_kib"],
        ["[heap]", "2511", "2503"],
        ["libc.so.6", "3064", "220"],
        ["[anon]", "97", "89"],
        ["total", "≤5672", "2812"],
    ]


def test_numbers_stand_on_the_right():
    """Sizes and counts, and nothing else."""
    rule = _markdown(hosts(small_fleet(), Shape(columns=("host", "pss", "processes", "error")))).splitlines()[1]
    assert rule == "| --- | ---: | ---: | --- |"


def test_what_top_leaves_out_is_a_row():
    """A column that does not add up is empty there: nothing is unknown."""
    (rows,) = _tables(_markdown(processes(small_fleet(), Shape(top=2, columns=("host", "pid", "mappings")))))
    assert rows[-2:] == [["(3 more)", "", "1"], ["total", "", "5"]]


def test_compare_tells_not_mapped_from_unknown():
    """- is a mapping that the host does not have, ? an unknown one."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/x.so", **sizes(8, 7, 6, 5, 4, 3, 2, 1, 0, 0)))),
        host("b", process(2, "x", mapping("/y.so", **sizes(16, 15, 14, 13, 12, 11, 9, 8, 0, 0)))),
        failed("c", "timeout", "c: no answer"),
    )
    columns = Shape(columns=("mapping", "a", "b", "c"))
    (rows,) = _tables(_markdown(compare(fleet, shape=columns)))
    assert rows[1:4] == [["processes", "1", "1", "?"], ["y.so", "-", "14", "?"], ["x.so", "6", "-", "?"]]
    (rows,) = _tables(_markdown(compare(fleet, baseline="a", shape=columns)))
    assert rows[1:4] == [["processes", "1", "1", "?"], ["y.so", "-", "+14", "?"], ["x.so", "6", "-6", "?"]]


def test_pmap_is_a_block_that_its_content_cannot_close():
    """The fence is longer than every run of backticks in it, and a byte that is not UTF-8 is escaped."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/a`````.so", perms="r-xp"), arguments=("```", "\udcff", "\n```\n# head")))
    )
    report = pmap(fleet, Letters(kernel_names=True, show_path=True))
    (block,) = [token for token in READER.parse(_markdown(report)) if token.type == "fence"]
    assert block.content.splitlines()[-1] == " total                4K"
    assert "# head" in block.content.splitlines()[0]
    assert [token.type for token in READER.parse(_markdown(report))][:2] == ["fence", "paragraph_open"]


@pytest.mark.parametrize(
    "text",
    [
        *("`", "``", "a`b", "`a`", " ", "  a  ", " a", "a ", "|", "a|b|c", "\\", "a\\", "*a*", "_a_", "[a](b)", "@a"),
        *("<b>", "&amp;", "&#124;", "~~a~~", "$a$", "http://example.org", ":smile:", "#1", "---", "\u202e", "\n", ""),
    ],
)
def test_a_name_is_only_a_name(text):
    """A reader takes any name for code, and shows the same text as every format."""
    assert _named(text) == escape(text)


def test_a_bar_after_a_backslash():
    """Readers do not agree on it, so it is escaped as a control character would be."""
    assert _named("a\\|b") == r"a\\\x7cb"


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(alphabet="`|\\ a*[x", max_size=9))
def test_any_name_is_one_cell(text):
    """No name adds a cell or a row, or ends its code."""
    assert _named(text).replace(r"\\\x7c", r"\|") == escape(text)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(alphabet="`|\\ *a<_.1)(-#[]:\n", max_size=12))
def test_any_reason_is_one_sentence(text):
    """In its cell and in the list, of words and code, with nothing lost."""
    tokens = READER.parse(_markdown(hosts(snapshot(failed("c", "auth", f"c: {text}x")), Shape(columns=("error",)))))
    inlines = [token for token in tokens if token.type == "inline"]
    assert [token.type for token in tokens].count("list_item_open") == 1
    cell, item = (inlines[slot] for slot in (1, 3))
    for one in (cell, item):
        assert {child.type for child in one.children} <= {"text", "code_inline"}
        shown = "".join(child.content for child in one.children).replace(r"\\\x7c", r"\|")
        assert "".join(escape(text).replace("`", "").split()) in "".join(shown.replace("`", "").split())


def test_nothing_of_a_host_is_markup():
    """In tables and sentences: no heading, HTML, link or emphasis but our own comes from a hostile host."""
    stale_one = mapping(f"/usr/lib/{FORGED}.so (deleted)", perms="r-xp", inode=7, **sizes(4, 4, 4, 0, 0, 4, 0, 0, 0, 0))
    fleet = snapshot(
        host("a", process(1, FORGED, stale_one)),
        host("b", process(3, FORGED, status="denied", reason=FORGED)),
        failed("c", "auth", f"c: {FORGED}", hint=f"run `x {FORGED}`"),
        failed("d", "auth", "d: 1. - + > # not a list"),
    )
    for view in (summary, processes, stale, lambda one: compare(one)):
        tokens = READER.parse(_markdown(view(fleet)))
        kinds = {child.type for token in tokens for child in token.children or ()}
        assert kinds <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
        assert {token.type for token in tokens} <= {
            *("table_open", "thead_open", "tr_open", "th_open", "inline", "th_close", "tr_close", "thead_close"),
            *("tbody_open", "td_open", "td_close", "tbody_close", "table_close", "paragraph_open", "paragraph_close"),
            *("bullet_list_open", "list_item_open", "list_item_close", "bullet_list_close"),
        }
        plain = "".join(child.content for token in tokens for child in token.children or () if child.type == "text")
        assert "@" not in plain
        assert "www." not in plain


def test_a_reason_is_a_sentence_in_its_cell():
    """Our words as words, and a host's own as code."""
    fleet = snapshot(failed("c", "auth", "c: cannot log in: a|b said **no**"))
    text = _markdown(hosts(fleet, Shape(columns=("host", "error"))))
    assert text.splitlines()[2] == r"| `c` | cannot log in: `a\|b` said `**no**` |"
    assert _tables(text)[0][1] == ["c", "cannot log in: a|b said **no**"]


def test_failures_and_notes_are_lists():
    """The failures with their hints, then the notes on the totals."""
    tokens = READER.parse(_markdown(merged(small_fleet())))
    items = [tokens[slot + 2].content for slot, token in enumerate(tokens) if token.type == "list_item_open"]
    assert items[0] == 'web-03: cannot log in as `"ops"` (hint: run `ssh web-03 true`)'
    assert items[1] == "`web-[04-05]`: no answer in 10 s (hint: is it up?)"


@pytest.mark.parametrize("view", ["ps", "doctor"])
def test_who_would_be_read(view):
    """The coverage of a listing has `would be read`."""
    assert "3 of 5 processes would be read" in _markdown(replace(ps(small_fleet()), view=view))


def test_a_snapshot_without_a_command():
    """A snapshot made by the library has none; the time is printed all the same."""
    fleet = snapshot(host("a"))
    text = _markdown(hosts(replace(fleet, run=replace(fleet.run, command=""))))
    assert text.splitlines()[-1] == "2026-03-14 15:09:26 +0000"


def test_total_of_differences_has_its_sign():
    """As each of them has."""
    fleet = snapshot(
        *(host(name, process(1, "x", mapping("/x", Rss=kib, Pss=kib))) for name, kib in (("a", 8), ("b", 9)))
    )
    (rows,) = _tables(_markdown(compare(fleet, baseline="a")))
    assert rows[-1][:3] == ["total", "8", "+1"]
