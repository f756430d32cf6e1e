"""terminal: tables as wide as the terminal, with the sentences that explain them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fleetpmap import render
from fleetpmap.render import plain
from fleetpmap.render.column_layout import UNLIMITED, LaidOutColumn, fit
from fleetpmap.report import Shape, compare, hosts, mappings, merged, pmap, processes, ps, stale, summary
from snapshots import expected, failed, host, mapping, process, sizes, small_fleet, snapshot, unreadable


def _shown(report, width=140, *, human=False, color=False, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(
        file=file, width=width, force_terminal=color, color_system="standard" if color else None, no_color=False
    )
    console.print(render.table(report, human=human))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def _one(*mappings):
    return snapshot(host("a", process(1, "x", *mappings)))


@pytest.mark.parametrize("width", [80, 140])
def test_summary(width):
    """Both tables, the coverage and the notes, at the widths that people have."""
    text = _shown(summary(small_fleet()), width)
    assert text == expected(f"summary_{width}.txt", text)
    assert max(map(len, text.splitlines())) <= width


def test_processes_human():
    """--human: sizes with a unit each."""
    text = _shown(processes(small_fleet()), human=True)
    assert text == expected("processes_human.txt", text)


@pytest.mark.parametrize("width", range(30, 150, 15))
def test_no_line_is_longer_than_the_terminal(width):
    """At any width: columns are left out and texts folded."""
    assert max(map(len, _shown(processes(small_fleet()), width).splitlines())) <= width


def test_columns_left_out_are_named():
    """A sentence names the columns left out, the least important first."""
    text = _shown(merged(_one(mapping("/m", **sizes(9, 8, 7, 6, 5, 4, 3, 2, 1, 1)))), 72)
    assert "no room for mappings, swap_pss, paths: widen the terminal" in text


def test_columns_of_which_nothing_is_known_are_named():
    """They have no room at any width; --columns shows them all the same."""
    fleet = snapshot(host("a", unreadable(7, "db", 500), unreadable(8, "db", 300)))
    text = _shown(hosts(fleet), 200)
    assert text.startswith("host      status   processes  absent   rss\n")
    (sentence,) = [line for line in text.splitlines() if line.startswith("not known of any row, so not shown:")]
    assert sentence.endswith(
        ": mappings, size, pss, uss, dirty, swap_pss, hugetlb, mem_total, mem_available, ram_share"
    )
    assert "?" not in text
    assert _shown(hosts(fleet, Shape(columns=("host", "pss")))).startswith("host      pss\na           ?\n")
    assert "absent  size  rss" in _shown(hosts(snapshot(host("a", process(1, "x", status="denied")))))


def _laid(numeric: bool = False, **columns: list[str]) -> list[LaidOutColumn]:
    return [LaidOutColumn.natural(name, name, cells, "", numeric=numeric) for name, cells in columns.items()]


def _fitting(columns: list[LaidOutColumn], width: int) -> list[str]:
    (band,), _ = fit(columns, width)
    return [column.name for column in band]


def test_processes_of_one_name_are_told_apart_by_their_commands():
    """As those of PostgreSQL: bars and the service of all give way to the command, if that is enough."""
    columns = _laid(pid=["13", "16"], name=["postgres"] * 2, share=["90.0% ##########", "10.0% #"])
    columns += _laid(service=["postgresql@15-main.service"] * 2, command=["postgres: checkpointer", "postgres: wal"])
    assert _fitting(columns, 100) == ["pid", "name", "share", "service", "command"]
    assert _fitting(columns, 65) == ["pid", "name", "share", "command"]
    assert _fitting(columns, 40) == ["pid", "name", "command"]
    assert _fitting(columns, 35) == ["pid", "name", "share"]


def test_columns_without_a_value_give_way_first():
    """`-` is no limit, and no container."""
    columns = _laid(host=["web-01", "web-02"], container=["-", "-"], user=["root", "app"])
    columns += _laid(numeric=True, limit_share=["-", "-"], dirty_kib=["7M", "9M"])
    assert _fitting(columns, 30) == ["host", "user", "dirty_kib"]


def test_mappings_keep_their_sizes():
    """On 80 columns the view that a finding refers to has the sizes of each mapping, in place of long texts."""
    text = _shown(mappings(_one(mapping("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", Rss=12345, Pss=6789))), 80)
    assert text.splitlines()[0].split() == ["host", "pid", "name", "start", "perms", "mapping", "rss", "pss"]


def test_long_path_folds_in_the_middle():
    """The end of a path tells more than its middle; numbers stay whole."""
    text = _shown(merged(_one(mapping("/var/cache/a/very/long/path/of/a/file.cache", Rss=1234567, Pss=1234567))), 60)
    assert "1234567  1234567  /var/cac…/of/a/file.cache\n" in text


def test_wide_characters_count_twice():
    """A fold is measured in terminal cells."""
    text = _shown(merged(_one(mapping("/srv/" + "日本" * 20, Rss=7, Pss=3), mapping("/b"))), 40)
    assert "  /srv/日本…日本日本日本日本日本\n" in text


def test_upper_bound_is_marked_and_explained():
    """A total that counts shared pages more than once is marked."""
    fleet = snapshot(host("a", process(1, "x", mapping("/m", Rss=71)), process(2, "x", mapping("/m", Rss=82))))
    text = _shown(merged(fleet))
    assert "≤153" in text
    assert "≤: at most; a page that processes share is counted once for each of them\n" in text


def test_sum_is_not_marked():
    """The sizes of one process add up."""
    assert "≤" not in _shown(merged(_one(mapping("/m", Rss=71))))


def test_error_stands_in_place_of_the_numbers():
    """A failed host's row ends in its error; a long one is cut at its end."""
    text = _shown(
        hosts(snapshot(host("web-01"), failed("web-03", "auth", "web-03: cannot log in as ops " + "x" * 99))), 60
    )
    assert "\nweb-03    auth      cannot log in as ops xxxxxxxxxxxxxxxxxx…\n" in text


def test_table_without_rows_is_not_shown():
    """The coverage reports that nothing matched."""
    assert _shown(merged(snapshot(host("a")))) == "1 of 1 host answered, 1 without a match; no process matched\n"


def test_listing_says_would_be_read():
    """ps read nothing."""
    assert "1 of 1 process would be read\n" in _shown(ps(_one()))


def test_pmap_is_its_text_and_never_cut():
    """As it is, on a narrow console of ours too."""
    report = pmap(_one(mapping("/usr/lib/" + "x" * 90, size=8)))
    file = io.StringIO()
    Console(file=file, width=40, soft_wrap=True).print(render.table(report))
    assert file.getvalue() == report.text


def test_markup_and_controls_of_a_host_are_only_text():
    """[bold], :smile: and an escape sequence are shown as they are written."""
    text = _shown(merged(_one(mapping("[anon:[bold]x :smile: \x1b[2J]"))))
    assert r"[anon:[bold]x :smile: \x1b[2J]" in text


def test_status_has_a_colour():
    """Green for a good host, red for a failed one; colour is not the only sign."""
    text = _shown(hosts(small_fleet()), color=True)
    assert "\x1b[32mok      \x1b[0m" in text
    assert "\x1b[1;31mauth    \x1b[0m" in text


def test_console_of_a_pipe_folds_nothing(capsys, monkeypatch):
    """Without a terminal the table is as wide as it has to be, and has no colour."""
    for variable in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    path = "/srv/" + "long/" * 100 + "name"
    render.console().print(render.table(merged(_one(mapping(path)))))
    printed = capsys.readouterr().out
    assert path in printed
    assert "\x1b" not in printed


def test_console_color_always(capsys):
    """--color always holds in a pipe."""
    render.console("always").print(render.table(merged(_one(mapping()))))
    assert "\x1b[1m" in capsys.readouterr().out


def test_command_line_of_a_megabyte_folds():
    """A process name has no bound; the width of the terminal has."""
    text = _shown(processes(snapshot(host("a", process(1, "x", arguments=("x" * 2**20, "end"))))), 120)
    assert text.splitlines()[1].endswith("xxx end")
    assert len(text.splitlines()[1]) == 120


def test_failures_are_folded_with_what_to_do():
    """The failed hosts follow the coverage, once for each reason."""
    text = _shown(hosts(small_fleet()))
    assert (
        'web-03: cannot log in as "ops"\n  hint: run `ssh web-03 true`\n'
        "web-[04-05]: no answer in 10 s\n  hint: is it up?\n"
    ) in text


def test_command_of_a_hint_stays_on_one_line():
    """It is there to be copied."""
    hint = "check the address, then run `ssh ops@web-01 true` by hand"
    assert "\n    `ssh ops@web-01 true` by hand\n" in _shown(hosts(snapshot(failed("a", "auth", "no", hint=hint))), 50)


def test_long_host_set_wraps():
    """Names that do not fold go over several lines."""
    names = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel")
    text = _shown(summary(snapshot(*(failed(name, "timeout", "no answer") for name in names))), 30)
    assert "\nalder, birch, cedar, dogwood,\n  elm, fir, ginkgo, hazel: no\n  answer\n" in text


def test_share_stands_beside_its_size():
    """A percentage of the total and a bar beside the largest row."""
    one = _one(mapping("/a", Pss=600, Rss=600), mapping("/b", Pss=300, Rss=300), mapping("/c", Pss=100, Rss=100))
    lines = _shown(merged(one, shape=Shape(top=2)), 50).splitlines()
    assert lines[:4] == [
        "processes   rss   pss   share             mapping",
        "        1   600   600   60.0% ██████████  /a",
        "        1   300   300   30.0% █████       /b",
        "        1   100   100   10.0%             (1 more)",
    ]


def test_chosen_columns_are_all_that_is_shown():
    """No bar is added; the error is a column like any other."""
    lines = _shown(hosts(small_fleet(), Shape(columns=("error", "host", "pss")))).splitlines()
    assert lines[0] == "error                   host     pss"
    assert lines[5] == 'cannot log in as "ops"  web-03     ?'


def test_row_of_the_rest_is_blank_where_nothing_adds_up():
    """No question mark for a pid of several processes."""
    lines = _shown(processes(small_fleet(), Shape(top=1, columns=("host", "pid", "pss", "status")))).splitlines()
    assert lines[2] == "(4 more)        202"


def test_where_the_rest_is():
    """A summary names the options that show all rows, unless the user gave --top."""
    wide = _one(*(mapping(f"/data/{number}", Pss=number) for number in range(30)))
    assert "(N more): all of them with --top 0\n" in _shown(summary(wide))
    assert "all of them" not in _shown(summary(wide, shape=Shape(top=5)))


def test_terminal_that_is_not_utf8():
    """Bars, rules and folds in ASCII, a host's own characters as codes: nothing that the terminal cannot print."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/srv/é", Rss=82, Pss=80), mapping("/b/" + "long/" * 9, Rss=45, Pss=45))),
        host("b", process(1, "x", mapping("/srv/é", Rss=9, Pss=5))),
    )
    lines = _shown(summary(fleet), 60, encoding="ascii").splitlines()
    assert "##########" in lines[1]
    assert lines[1].endswith(r"  /srv/\xe9")
    assert "~" in lines[2]
    assert set(lines[3]) == {"-"}
    assert any("  up to 136  " in line for line in lines)
    assert "up to: at most; a page that processes share" in "\n".join(lines)
    assert "<" not in "".join(lines)


def test_text_on_a_terminal_that_is_not_utf8():
    """pmap's own text has a question mark for what cannot be printed."""
    report = pmap(snapshot(host("a", process(1, "x", arguments=("café",)))))
    assert _shown(report, encoding="ascii").startswith("1:   caf?\n")


def test_no_color_has_no_colour(monkeypatch):
    """NO_COLOR is honoured; bold and dim stay."""
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, width=100, force_terminal=True, color_system="standard").print(
        render.table(hosts(small_fleet()))
    )
    assert "\x1b[1m" in file.getvalue()
    assert "\x1b[32m" not in file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_huge_pages_are_on_the_first_screen(width):
    """The column stays, the mapping comes first and is not in `(N more)`, and the share names its size."""
    libs = [mapping(f"/usr/lib/lib{n}.so", start=n << 20, Rss=9000 - n, Pss=9000 - n, **_huge(0)) for n in range(30)]
    huge = mapping("/anon_hugepage (deleted)", start=1 << 40, Rss=0, Pss=0, perms="rw-s", **_huge(37_748_736))
    fleet = snapshot(*(host(name, process(1, "postgres", *libs, huge)) for name in ("db1", "db2")))
    lines = _shown(summary(fleet), width).splitlines()
    assert {"hugetlb", "of"} <= {*lines[0].split()}
    assert "75497472" in lines[1].split()
    assert lines[1].endswith("/anon_hugepage")
    assert lines[21].endswith("  (11 more)")
    assert "hugetlb: huge pages, which no other column counts" in "\n".join(lines)


def test_huge_pages_of_a_host_and_of_a_process():
    """The column stays in these tables too, before columns that count other things twice."""
    huge = mapping("/mnt/huge/db (deleted)", Rss=0, Pss=0, perms="rw-s", **_huge(2048))
    fleet = snapshot(*(host(name, process(1, "postgres", huge, user="postgres")) for name in ("db1", "db2")))
    for view in (hosts, processes):
        assert "hugetlb" in _shown(view(fleet), 60).splitlines()[0].split()


def _huge(kib: int) -> dict[str, int]:
    return {"Shared_Hugetlb": kib, "Private_Hugetlb": 0}


def test_a_very_long_text_makes_no_other_line_longer():
    """In a pipe as on a terminal: a name, a user or a path of 120 KB is on its own line, and whole in the pipe."""
    long = "A" * 120_000
    fleet = snapshot(
        host("a", *(process(pid, "app", mapping("/x", Pss=1)) for pid in range(200))),
        host("b", process(1, long, mapping(f"/srv/{long}.db", Pss=1), user=long)),
        host(long[:200], process(2, "x", mapping("/x", Pss=1))),
    )
    for view in (merged, hosts, processes, mappings, compare, ps, stale):
        report = view(fleet)
        texts = [plain(report), _shown(report, UNLIMITED), _shown(report, 80)]
        assert max(sum(len(line) > 1000 for line in text.splitlines()) for text in texts) <= 2
        assert max(map(len, texts)) < 500_000
    assert long in plain(processes(fleet))
