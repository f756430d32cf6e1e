"""pmap: the text that pmap itself prints. test_pmap_parity holds it to the real one."""

from __future__ import annotations

import pytest

from fleetpmap.report import Letters, pmap
from snapshots import expected, host, mapping, process, snapshot


def _report(*mappings, letters: Letters | None = None, **how):
    return pmap(snapshot(host("a", process(1, "x", *mappings, **how))), letters)


def _names(*mappings, letters: Letters | None = None, **how):
    return _report(*mappings, letters=letters, **how).tables[0].column("mapping").cells()


def _line(letters: Letters | None = None, *, local: bool = False, **how):
    return pmap(snapshot(host("a", process(1, "bash", **how), local=local)), letters).text.splitlines()[0]


def _bash():
    fields = {"Pss": 851, "Shared_Clean": 0, "KernelPageSize": 4, "Swap": 7, "THPeligible": 0}
    return process(
        4242,
        "bash",
        mapping(
            "/usr/bin/bash",
            **{"start": 0x400000, "size": 904, "perms": "r-xp", "offset": 0x2F000, "device": "fe:01", "inode": 1311},
            **{"flags": "rd ex mr mw me", "Size": 904, "Rss": 851, "Shared_Dirty": 0, "Private_Dirty": 0, **fields},
        ),
        mapping(
            "[heap]",
            **{"start": 0x1F7C000, "size": 1420, "flags": "rd wr mr mw me ac"},
            **{"Size": 1420, "Rss": 1397, "Shared_Dirty": 13, "Private_Dirty": 1359, **fields, "Pss": 1391},
        ),
        mapping(
            "/dev/shm/a b",
            **{"start": 0x7F5D5D5C4000, "size": 132, "perms": "rw-s", "device": "00:1a", "inode": 77, "flags": "rd wr"},
            **{"Size": 132, "Rss": 28, "Shared_Dirty": 0, "Private_Dirty": 27, **fields, "Pss": 28},
        ),
        mapping(
            "[stack]",
            **{"start": 0x7FFD5D5C4000, "size": 136, "flags": "rd wr mr mw me gd ac"},
            **{"Size": 136, "Rss": 30, "Shared_Dirty": 0, "Private_Dirty": 29, **fields, "Pss": 30},
        ),
        arguments=("bash", "--login"),
        start_stack=0x7FFD5D5E2A10,
    )


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("pmap.txt", Letters()),
        ("pmap_x.txt", Letters("extended")),
        ("pmap_d.txt", Letters("device")),
        ("pmap_wide.txt", Letters("wide")),
        ("pmap_widest.txt", Letters("widest")),
        ("pmap_q_p.txt", Letters(quiet=True, show_path=True)),
        ("pmap_widest_q_p.txt", Letters("widest", quiet=True, show_path=True)),
        ("pmap_k.txt", Letters(kernel_names=True)),
    ],
)
def test_text(name: str, letters: Letters):
    """One block as pmap prints it with these letters."""
    text = pmap(snapshot(host("local", _bash())), letters).text
    assert text == expected(name, text)


def test_several_hosts_are_told_apart():
    """Before each block stands its host, also when only one host has a block."""
    text = pmap(snapshot(host("web-01", _bash()), host("web-02"))).text
    assert text.startswith("==> web-01 <==\n4242:   bash --login\n0000000000400000 ")


@pytest.mark.parametrize("status", ["denied", "gone", "skipped", "cut"])
def test_unread_process_is_its_first_line(status: str):
    """As in pmap if the maps cannot be read; a total of 0 would be wrong, since it is unknown."""
    assert pmap(snapshot(host("a", process(7, "x", status=status))), Letters("extended")).text == "7:   x\n"


def test_kernel_thread_and_zombie_have_empty_maps():
    """Every user's pmap can open them: they are empty, and the total is 0."""
    thread = process(2, "kthreadd", arguments=(), status="kernel")
    zombie = process(9, "sh", arguments=(), status="zombie")
    assert pmap(snapshot(host("a", thread, zombie))).text == (
        "2:   [kthreadd]\n total                0K\n9:   [sh] <defunct>\n total                0K\n"
    )


def test_nothing_mapped_is_nothing_in_wide():
    """pmap -X of a kernel thread is its first line."""
    assert pmap(snapshot(host("a", process(2, "k", status="kernel"))), Letters("wide")).text == "2:   k\n"


def test_unknown_number_is_a_question_mark():
    """A kernel that gives no Private_Dirty has no Dirty: not 0."""
    text = _report(mapping("/f", size=8, Rss=5), letters=Letters("extended")).text
    assert "      8       5       ? rw--- f\n" in text
    assert text.endswith("total kB               8       5       ?\n")


def test_wide_has_the_fields_of_its_own_host_in_their_order():
    """Each kernel prints others, and in another order."""
    old = process(1, "x", mapping("/f", Size=4, Rss=3, Swap=2))
    new = process(2, "x", mapping("/f", Swap=5, Size=4, Pss=6, Rss=3))
    headers = pmap(snapshot(host("old", old), host("new", new)), Letters("wide")).text.splitlines()[2::6]
    assert [header.split()[5:-1] for header in headers] == [["Size", "Rss", "Swap"], ["Swap", "Size", "Pss", "Rss"]]


def test_wide_shows_a_field_that_only_some_mappings_have():
    """Its total is the sum of those."""
    report = _report(
        mapping("/f", Size=4, HugePFNMap=64), mapping("/g", start=0x20000, Size=8), letters=Letters("wide")
    )
    assert [line.split()[5:7] for line in report.text.splitlines()[2:4]] == [["4", "64"], ["8", "?"]]
    assert report.text.splitlines()[-1].split() == ["12", "64", "KB"]


def test_wide_totals_are_each_process_s():
    """pmap 4.0.2 instead adds up, and widens, from one process to the next."""
    processes = (process(pid, "x", mapping("/f", Size=size)) for pid, size in ((1, 70000), (2, 4)))
    totals = [line for line in pmap(snapshot(host("a", *processes)), Letters("wide")).text.splitlines() if "KB" in line]
    assert [total.split()[0] for total in totals] == ["70000", "4"]
    assert len(totals[0]) == len(totals[1]) + 1


@pytest.mark.parametrize(
    ("low", "high", "shown", "size", "rss"),
    [
        (0x1FFFF, 0x1FFFF, ["1"], 64, 1),
        (0x10000, 0x10000, ["1"], 64, 1),
        (0x10001, 0x20000, ["1", "2"], 128, 3),
        (0x20000, 0x1FFFF, [], 0, 0),
    ],
)
def test_range_takes_what_reaches_into_it(low: int, high: int, shown: list[str], size: int, rss: int):
    """By its first byte or its last; the totals are those of what is shown, in every format."""
    three = [
        mapping(f"/{n}", start=n << 16, size=64, Size=64, Rss=n, Shared_Dirty=0, Private_Dirty=n) for n in (0, 1, 2)
    ]
    report = _report(*three, letters=Letters("extended", low=low, high=high))
    assert report.tables[0].column("mapping").cells() == shown
    assert report.text.endswith(f"total kB         {size:7} {rss:7} {rss:7}\n")
    wide = _report(*three, letters=Letters("wide", low=low, high=high)).text.splitlines()
    assert [line.split()[-1] for line in wide[2:-2]] == shown
    assert wide[-1].split() == [str(size), str(rss), "KB"]


def test_name_is_what_follows_the_last_slash():
    """Deleted or not; a path that ends in a slash is a slash."""
    assert _names(mapping("/usr/lib/a.so (deleted)"), mapping("/odd/")) == ["a.so (deleted)", "/"]


def test_name_with_its_path():
    """-p: from the first slash on, wherever it is."""
    paths = ("/usr/lib/a.so (deleted)", "/odd/", "[anon:a/b]")
    assert _names(*map(mapping, paths), letters=Letters(show_path=True)) == [*paths[:2], "/b]"]


def test_name_without_a_slash_is_anon():
    """The kernel's own name is not printed."""
    assert _names(mapping("[heap]"), mapping(""), mapping("[stack]")) == ["  [ anon ]"] * 3


def test_kernel_names():
    """-k: from the bracket on, if the name ends with one."""
    paths = ("[heap]", "", "[anon:a b]", "anon_inode:[eventpoll]", "anon_inode:kvm-vcpu:0", "[anon:a/b]")
    assert _names(*map(mapping, paths), letters=Letters(kernel_names=True)) == [
        *("[heap]", "  [ anon ]", "[anon:a b]", "[eventpoll]", "  [ anon ]", "b]")
    ]


@pytest.mark.parametrize(
    ("start_stack", "name"),
    [
        (0x10000, "  [ stack ]"),
        (0x11000, "  [ stack ]"),
        (0x11001, "  [ anon ]"),
        (0xFFFF, "  [ anon ]"),
        (0, "  [ anon ]"),
        (None, "  [ anon ]"),
    ],
)
def test_stack_is_where_the_process_began_it(start_stack: int | None, name: str):
    """From the mapping's first address to the one behind it, as pmap asks; not where the kernel calls it so."""
    assert _names(mapping("[stack]", start=0x10000, size=4), start_stack=start_stack) == [name]


def test_stack_is_not_a_name_for_a_file():
    """A file that a stack lies in keeps its name."""
    assert _names(mapping("/f", start=0x10000), start_stack=0x10000) == ["f"]


def test_system_v_segment_is_its_shmid():
    """The inode of a segment is its shmid, in hex; pmap does not recognise a segment of huge pages."""
    first = mapping("/SYSV00000000 (deleted)", inode=32769)
    second = mapping("/SYSV00000000 (deleted)", inode=32770)
    huge = mapping("/SYSV00000001 (deleted)", inode=32771, flags="rd wr sh mr mw me ms de ht")
    assert _names(first, second, huge) == ["  [ shmid=0x8001 ]", "  [ shmid=0x8002 ]", "SYSV00000001 (deleted)"]


def test_what_pmap_takes_for_something_else_has_its_own_name():
    """A memfd called like a segment, and a path that is longer than pmap's buffer."""
    memfd = mapping("/memfd:a/SYSV00000000 (deleted)", device="00:01", inode=5)
    assert _names(memfd, mapping("/d/" + "n" * 4000)) == ["SYSV00000000 (deleted)", "n" * 4000]


def test_name_shows_a_question_mark_for_each_byte_outside_ascii():
    """Two for é, one for a byte that is not UTF-8, one for a control character."""
    assert _names(mapping("/srv/é\udcff\x1b.so")) == ["????.so"]


def test_wide_name_is_cut_where_pmap_s_buffer_ends():
    """127 bytes of the path, before its last part is taken."""
    text = _report(mapping(f"/{'d' * 120}/abcdefghij", Size=4), letters=Letters("wide")).text
    assert text.splitlines()[2].endswith(" 4 abcde")


@pytest.mark.parametrize(
    ("local", "terminal", "shown"),
    [(True, False, "é\x1b\u202e\udcff"), (True, True, "é?????"), (False, False, "é?????")],
)
def test_wide_name_from_elsewhere_cannot_act_on_a_terminal(local: bool, terminal: bool, shown: str):
    """pmap -X prints what the path holds: only what this machine's own goes into a file or a pipe is that."""
    one = host("a", process(1, "x", mapping("/é\x1b\u202e\udcff", Size=4)), local=local)
    text = pmap(snapshot(one), Letters("wide", terminal=terminal)).text
    assert text.splitlines()[2].endswith(f" 4 {shown}")


def test_mode_has_five_characters():
    """A private mapping shows a dash where a shared one shows s."""
    assert _report(mapping(perms="rw-s"), mapping(perms="r-xp")).tables[0].column("mode").cells() == ["rw-s-", "r-x--"]


@pytest.mark.parametrize(
    ("argument", "utf8", "other"),
    [
        ("a\x1b[2Jb\x7f", "a?[2Jb?", "a.[2Jb."),
        ("two\nlines", "two lines", "two lines"),
        ("café €", "café €", "caf?? ???"),
        ("é\x01\udcffé\x01", "é???" + "?.", "??.???."),
        ("cut \udce2\udc82", "cut ??", "cut ??"),
        ("x" * 131_072, "x" * 131_069, "x" * 131_069),
    ],
)
def test_command_line(argument: str, utf8: str, other: str):
    """UTF-8 stays in a UTF-8 locale up to the first byte that is not; 128 KiB of it, less one, are shown."""
    assert _line(arguments=("x", argument)) == f"1:   x {utf8}"
    assert _line(Letters(utf8=False), arguments=("x", argument)) == f"1:   x {other}"


@pytest.mark.parametrize("argument", ["\x9b", "\u202e", "\u061c", "\udcc3\x1b"])
def test_command_line_from_elsewhere_cannot_act_on_a_terminal(argument: str):
    """C1 controls, bidi marks, and what pmap takes for a letter because of the byte before it."""
    shown = "?" * len(argument.encode("utf-8", "surrogateescape"))
    assert _line(arguments=(argument,)) == f"1:   {shown}"
    assert _line(Letters(terminal=True), arguments=(argument,), local=True) == f"1:   {shown}"
    assert _line(arguments=(argument,), local=True) == f"1:   {argument}"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [(("a", "", "b ", "", ""), "a  b "), (("", ""), "?"), ((), "[bash]"), (("nginx: worker", ""), "nginx: worker")],
)
def test_command_line_ends_with_its_last_argument(arguments: tuple[str, ...], shown: str):
    """Empty arguments at the end may be leftover NULs; a command line without any other argument is `?`."""
    assert _line(arguments=arguments) == f"1:   {shown}"


def test_rows_are_the_columns_of_the_text():
    """The table has pmap's columns, with the host and the pid before them."""
    names = [column.name for column in pmap(snapshot(host("a", _bash())), Letters("extended")).tables[0].columns]
    assert names == ["host", "pid", "address", "size_kib", "rss_kib", "dirty_kib", "mode", "mapping"]


def test_total_of_no_mapping_is_zero():
    """-A may leave none of what was read."""
    table = pmap(snapshot(host("a", _bash())), Letters(low=1, high=2)).tables[0]
    assert (len(table), table.column("size_kib").total) == (0, 0)
