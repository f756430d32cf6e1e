"""Destinations of reports: the options refused before any host is asked, and those understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import output_from
from fleetpmap.errors import UsageError
from fleetpmap.report import Letters
from program import fleetpmap


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # the options name files as users do: relative


def _exports(*texts: str, view: View | None = None):
    output = output_from(ShowOptions(view=view, export=list(texts)), ShapeOptions(), OutputOptions())
    return [(export.view, export.format, str(export.path)) for export in output.exports]


def _refused(show=None, shape=None, to=None) -> UsageError:
    with pytest.raises(UsageError) as error:
        output_from(show or ShowOptions(), shape or ShapeOptions(), to or OutputOptions())
    assert error.value.hint
    return error.value


def test_exports_in_the_order_written():
    """Each names its view, and its format by its suffix."""
    assert _exports("hosts=h.csv", "mappings=all.JSON", "processes=p.txt") == [
        (View.hosts, Format.csv, "h.csv"),
        (View.mappings, Format.json, "all.JSON"),
        (View.processes, Format.plain, "p.txt"),
    ]


def test_export_without_a_view_is_of_the_view_shown():
    """FILE alone means --view's, or summary."""
    assert _exports("x.csv", view=View.hosts) == [(View.hosts, Format.csv, "x.csv")]
    assert _exports("x.csv") == [(View.summary, Format.csv, "x.csv")]


def test_a_file_name_may_hold_an_equals_sign():
    """The text before it is a view unless it holds a slash."""
    assert _exports("./day=1.csv") == [(View.summary, Format.csv, "day=1.csv")]


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("day=1.csv", 'there is no view "day"', "./day=1.csv"),
        ("=x.csv", 'there is no view ""', "summary, merged"),
        ("hosts=", "the file is missing", "--export hosts=hosts.csv"),
        ("hosts=x.tsv", "--export x.tsv: its suffix does not name a format", "end the name in .csv, .json"),
        ("hosts=x.xlsx", "--export x.xlsx: its suffix does not name a format", "a spreadsheet opens x.csv"),
        ("hosts=x.prom.gz", "--export x.prom.gz: node_exporter reads no compressed file", "name the file x.prom"),
        ("hosts=none/x.csv", "there is no directory none", "make it first"),
        ("-", "its suffix does not name a format", ".csv"),
    ],
)
def test_an_export_that_cannot_be(text: str, sentence: str, hint: str):
    """One sentence of what, and what to write instead."""
    error = _refused(ShowOptions(export=[text]))
    assert sentence in error.message
    assert hint in error.hint
    assert "--format" not in error.hint


@pytest.mark.parametrize("second", ["hosts=a.csv", "hosts=./a.csv", "hosts=link.csv", "hosts=a.csv.coverage.json"])
def test_two_reports_in_one_file(second: str):
    """However it is called; the coverage beside a csv file is a report too."""
    Path("link.csv").symlink_to("a.csv")
    assert "another report goes there too" in _refused(ShowOptions(export=["a.csv", second])).message


def test_an_export_into_the_main_reports_file():
    """-o and --export are apart too."""
    error = _refused(ShowOptions(export=["a.csv"]), to=OutputOptions(output="a.csv"))
    assert error.message == "-o a.csv: another report goes there too"


def test_by_is_for_an_export_too():
    """The merged view may be the one that is exported."""
    show = ShowOptions(view=View.hosts, by="user", export=["merged=m.csv"])
    assert output_from(show, ShapeOptions(), OutputOptions()).options.by == ("user",)
    assert "--by is for --view merged" in _refused(ShowOptions(view=View.hosts, by="user", export=["h.csv"])).message


@pytest.mark.parametrize(
    "letter",
    [
        *({"extended": True}, {"wide": 1}, {"device": True}, {"bare": True}, {"show_path": True}, {"range": "7f"}),
        {"kernel_names": True},
    ],
)
def test_pmaps_letters_are_for_its_view(letter: dict):
    """Each means --view pmap where no view is named, and goes with no other view and no format for programs."""
    assert output_from(ShowOptions(**letter), ShapeOptions(), OutputOptions()).view is View.pmap
    assert "of --view pmap, not of --view hosts" in _refused(ShowOptions(view=View.hosts, **letter)).message
    for to in (OutputOptions(format=Format.json), OutputOptions(output="x.csv")):
        assert "pmap's own text" in _refused(ShowOptions(**letter), to=to).message


def test_letters_reach_the_view():
    """The view gets the options as typed. A pipe or a file is no terminal; a table is drawn for one."""
    show = ShowOptions(wide=2, bare=True, show_path=True, kernel_names=True, range="7f,80")
    told = output_from(show, ShapeOptions(), OutputOptions(format=Format.plain)).options.letters
    assert told == Letters("widest", True, True, True, 0x7F, 0x80, utf8=told.utf8, terminal=False)
    table = output_from(ShowOptions(view=View.pmap), ShapeOptions(), OutputOptions(format=Format.table))
    assert table.options.letters.terminal


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_output_to_stdout(name: str):
    """It is not opened as a file, which would empty the log that `>> log` goes on with."""
    output = output_from(ShowOptions(), ShapeOptions(), OutputOptions(format=Format.csv, output=name))
    assert (output.file, output.format) == (None, Format.csv)


def test_a_table_in_a_file_is_plain():
    """A table is drawn for a terminal."""
    output = output_from(ShowOptions(), ShapeOptions(), OutputOptions(format=Format.table, output="x"))
    assert output.format is Format.plain


@pytest.mark.parametrize(
    ("format_", "name", "meant"),
    [
        (Format.json, "x.csv", "csv"),
        (Format.csv, "x.JSON", "json"),
        (Format.csv, "x.json.gz", "json"),
        (Format.jsonl, "x.json", "json"),
        (Format.table, "x.parquet", "parquet"),
        (Format.plain, "x.md", "markdown"),
    ],
)
def test_a_format_that_the_name_of_the_file_contradicts(format_: Format, name: str, meant: str):
    """The file would not be what its name says, so it is not written."""
    error = _refused(to=OutputOptions(format=format_, output=name))
    assert error.message == f"--format {format_} and -o {name}: the name of the file means {meant}"


@pytest.mark.parametrize("name", ["x.csv", "x.CSV", "x.txt", "x", "x.log", "/dev/null", "x.csv.gz", "x.gz"])
def test_a_format_that_the_name_of_the_file_does_not_contradict(name: str):
    """The same, any text, or no format at all."""
    assert output_from(ShowOptions(), ShapeOptions(), OutputOptions(format=Format.csv, output=name)).format == "csv"


def test_the_contradiction_is_a_usage_error():
    """One sentence with its hint, exit status 2, and nothing is asked or written."""
    done = fleetpmap("run", "-H", "local", "--all", "--format", "json", "-o", "x.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert not Path("x.csv").exists()


@pytest.mark.parametrize("format_", [Format.csv, Format.json])
def test_human_is_for_eyes(format_: Format):
    """A program wants the number."""
    error = _refused(shape=ShapeOptions(human=True), to=OutputOptions(format=format_))
    assert (error.message, error.hint) == (
        f"--human applies to table and plain only; {format_} holds whole KiB",
        "leave out --human",
    )


@pytest.mark.parametrize(
    ("format_", "shape", "human"),
    [
        (Format.table, ShapeOptions(), True),
        (Format.table, ShapeOptions(human=True), True),
        (Format.table, ShapeOptions(kib=True), False),
        (Format.plain, ShapeOptions(), False),
        (Format.plain, ShapeOptions(human=True), True),
        (Format.plain, ShapeOptions(kib=True), False),
        (Format.csv, ShapeOptions(), False),
        (Format.csv, ShapeOptions(kib=True), False),
        (Format.json, ShapeOptions(), False),
    ],
)
def test_the_unit_of_sizes(format_: Format, shape: ShapeOptions, human: bool):
    """A table is for eyes and all else for programs, unless an option says otherwise."""
    assert output_from(ShowOptions(), shape, OutputOptions(format=format_)).human is human


def test_human_and_kib_exclude_each_other():
    """One sentence, before any host is asked, in each command that has both."""
    for words in (
        ("run", "-H", "local", "--all"),
        ("diff", "a", "b"),
        ("history", "x"),
        ("watch", "--all"),
        ("fields",),
    ):
        done = fleetpmap(*words, "--human", "--kib")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--human and --kib exclude each other" in done.stderr


def test_human_goes_with_an_export():
    """The files of --export are in full precision all the same."""
    output = output_from(ShowOptions(export=["a.csv"]), ShapeOptions(human=True), OutputOptions(format=Format.plain))
    assert output.human


def test_csv_safe_wants_a_csv():
    """Without one it is a mistake: nothing would be safer."""
    assert "nothing is written as csv" in _refused(to=OutputOptions(csv_safe=True, format=Format.json)).message
    assert output_from(ShowOptions(export=["a.csv"]), ShapeOptions(), OutputOptions(csv_safe=True)).csv_safe


@pytest.mark.parametrize(
    ("view", "shape", "sentence"),
    [
        (None, ShapeOptions(columns="mapping,pps"), '--columns: there is no column "pps"'),
        (View.hosts, ShapeOptions(columns="mapping"), '--columns: there is no column "mapping"'),
        (View.hosts, ShapeOptions(sort="colour"), '--sort: there is no column "colour"'),
        (View.mappings, ShapeOptions(columns="host,colour"), '--columns: there is no column "colour"'),
        (None, ShapeOptions(columns=" , "), '--columns: " , " names no column'),
        (View.pmap, ShapeOptions(top=3), "--view pmap is pmap's own text"),
        (View.pmap, ShapeOptions(human=True), "--view pmap is pmap's own text"),
    ],
)
def test_a_shape_that_the_view_cannot_have(view: View | None, shape: ShapeOptions, sentence: str):
    """Columns are known before any host is asked."""
    assert sentence in _refused(ShowOptions(view=view), shape).message


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        (View.mappings, ShapeOptions(columns="host,ksm_kib,rss", sort="pss")),
        (View.merged, ShapeOptions(columns="user,pss", sort="rss_kib", top=3)),
    ],
)
def test_a_shape_that_it_can_have(view: View, shape: ShapeOptions):
    """The kernel's fields and the keys of --by are columns too; a size may go without its unit."""
    output = output_from(ShowOptions(view=view, by="user" if view is View.merged else None), shape, OutputOptions())
    assert output.options.sort == shape.sort
    assert output.options.columns == tuple((shape.columns or "").split(","))


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (("--metric", "rss"), "--metric is for --view compare, not for --view summary", "add --view compare"),
        (("--baseline", "local"), "--baseline is for --view compare, not for --view summary", "add --view compare"),
        (("--file", "libc*"), "--file is for --view stale, not for --view summary", "add --view stale"),
        (("--all-deleted",), "--all-deleted is for --view stale, not for --view summary", "add --view stale"),
    ],
)
def test_an_option_of_one_view_says_which(words: tuple[str, ...], sentence: str, hint: str):
    """The hint says what to add, before any host is asked."""
    done = fleetpmap("run", "-H", "local", "--pid", "1", *words)
    assert (done.returncode, done.stderr) == (2, f"{sentence}\nhint: {hint}\n")
