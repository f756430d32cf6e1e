"""The sentences that go with the totals."""

from __future__ import annotations

from fleetpmap.report import coverage_sentence, fields, mappings, merged
from fleetpmap.report.notes import freed_sentence, notes_on_listed
from fleetpmap.report.shape import Shape
from snapshots import failed, host, mapping, process, sizes, small_fleet, snapshot


def _notes(*hosts):
    return merged(snapshot(*hosts)).notes


def _sentence(*hosts, listed_only=False):
    return coverage_sentence(snapshot(*hosts).coverage, listed_only=listed_only)


def _whole(path="/m"):
    return mapping(path, **sizes(4, 3, 3, 1, 1, 1, 0, 0, 0, 0))


def test_kernel_without_a_field():
    """A note names the host that a total leaves out, and the field that its kernel lacks."""
    no_swap_pss = mapping(
        "/m", **{key: kib for key, kib in sizes(4, 3, 3, 1, 1, 1, 0, 0, 0, 0).items() if key != "SwapPss"}
    )
    notes = _notes(host("new-01", process(1, "x", _whole())), host("old-01", process(1, "x", no_swap_pss)))
    assert notes == ("swap_pss_kib leaves out old-01: its kernel has no SwapPss",)


def test_kernels_that_lack_the_same_fields_are_one_sentence():
    """Hosts are folded, columns and fields listed."""
    old = mapping("/m", Rss=3, Shared_Dirty=1, Private_Clean=1, Private_Dirty=1, Swap=0)
    notes = _notes(
        host("new-01", process(1, "x", _whole())),
        host("old-01", process(1, "x", old)),
        host("old-02", process(1, "x", old)),
    )
    assert notes == (
        "pss_kib, swap_pss_kib and hugetlb_kib leave out old-[01-02]: "
        "their kernels have no Pss, SwapPss, Shared_Hugetlb, Private_Hugetlb",
    )


def test_field_missing_in_some_mappings():
    """A note counts the mappings for which a kernel gives no value."""
    without = {key: kib for key, kib in sizes(4, 3, 3, 1, 1, 1, 0, 0, 0, 0).items() if key != "Pss"}
    notes = _notes(host("odd-01", process(1, "x", _whole(), mapping("/n", **without))))
    assert notes == ("pss_kib leaves out 1 mapping on odd-01: its kernel gave them no Pss",)


def test_what_each_kernel_lacks_is_told_of_that_kernel():
    """A size of two fields, of which one host lacks the one and another the other."""
    parts = {"Shared_Hugetlb": 1, "Private_Hugetlb": 1}
    whole = sizes(4, 3, 3, 1, 1, 1, 0, 0, 0, 0)
    hosts = [
        host(f"lacks-{key[0]}", process(1, "x", mapping("/m", **{k: v for k, v in whole.items() if k != key})))
        for key in parts
    ]
    assert _notes(*hosts) == (
        "hugetlb_kib leaves out lacks-S: its kernel has no Shared_Hugetlb",
        "hugetlb_kib leaves out lacks-P: its kernel has no Private_Hugetlb",
    )


def _fields_fleet():
    old, new = {"Rss": 3, "Pss": 1}, {"Rss": 3, "Pss": 1, "KSM": 0, "THPeligible": 1}
    return snapshot(
        host("new-01", process(1, "x", mapping("/m", **new))),
        host("old-01", process(1, "x", mapping("/m", **old))),
        host("old-02", process(1, "x", mapping("/m", **old))),
    )


def test_columns_of_fields():
    """The view mappings has no sizes: its notes are about the fields that it shows."""
    assert mappings(_fields_fleet()).notes == (
        "ksm_kib and thp_eligible leave out old-[01-02]: their kernels have no such fields",
    )


def test_columns_that_are_not_shown():
    """--columns takes the notes on the other fields away too."""
    assert mappings(_fields_fleet(), Shape(columns=("path", "rss"))).notes == ()
    assert mappings(_fields_fleet(), Shape(columns=("path", "ksm"))).notes == (
        "ksm_kib leaves out old-[01-02]: their kernels have no such field",
    )


def test_a_kernel_that_has_next_to_nothing():
    """WSL1 prints Pss alone: the note names that field, not all it lacks."""
    whole = mapping("/m", **sizes(4, 3, 3, 1, 1, 1, 0, 0, 0, 0))
    fleet = snapshot(host("new-01", process(1, "x", whole)), host("wsl-01", process(1, "x", mapping("/m", Pss=2))))
    assert mappings(fleet).notes == ("all fields but pss_kib leave out wsl-01: its kernel has no others",)


def test_mappings_of_one_host_that_share_no_field():
    """Even this odd case has its note."""
    odd = snapshot(host("odd-01", process(1, "x", mapping("/m", Rss=3), mapping("/n", Pss=2))))
    assert mappings(odd).notes == (
        "rss_kib and pss_kib leave out 1 mapping on odd-01: its kernel gave them no such fields",
    )


def test_processes_that_no_total_holds():
    """Denied, skipped, cut and unsupported processes are named, with the reason where the status is not one."""
    over = "its RSS of 70.0G is over --max-rss 64.0G"
    notes = _notes(
        host("a", process(8, "x", status="denied"), process(9, "x", status="denied")),
        host("b", process(7, "x", status="denied"), process(5, "x", status="skipped", reason=over)),
    )
    assert notes == (
        "the totals leave out 3 denied processes: 8, 9 on a; 7 on b",
        f"the totals leave out 1 skipped process: 5 on b ({over})",
    )


def test_many_processes_are_a_number():
    """A sentence stays a sentence."""
    assert _notes(host("a", *(process(pid, "x", status="denied") for pid in range(1, 9)))) == (
        "the totals leave out 8 denied processes: 1, 2, 3, 4, 5 and 3 more on a",
    )


def test_many_hosts_are_a_node_set():
    """One sentence for a fleet without --sudo."""
    why = "run with --sudo to read it"
    hosts = (host(f"web-{n:02}", process(7, "x", status="denied", reason=why)) for n in range(1, 41))
    assert _notes(*hosts) == (f"the totals leave out 40 denied processes on web-[01-40] ({why})",)


def test_listed_processes_that_a_run_would_leave_out():
    """ps and doctor have no totals; each status has its reason, as in a run."""
    over = "its RSS of 70.0G is over --max-rss 64.0G"
    fleet = snapshot(
        host("a", process(8, "x", status="denied", reason="why not"), process(9, "x", status="zombie")),
        host("b", process(5, "x", status="skipped", reason=over)),
    )
    assert notes_on_listed(fleet) == (
        "run reads only RSS and swap of 1 denied process: 8 on a (why not)",
        f"run leaves out 1 skipped process: 5 on b ({over})",
    )


def test_process_that_ended_is_no_note():
    """A process that ended is not missing from a total; the coverage counts it."""
    assert _notes(host("a", process(1, "x", status="gone"), process(2, "x", status="zombie"))) == ()


def test_coverage_of_a_whole_fleet():
    """All hosts answered, and all processes were read."""
    assert _sentence(host("a", process(1, "x", _whole()))) == "1 of 1 host answered; 1 of 1 process read"


def test_coverage_counts_who_did_not_answer_and_why():
    """Failed hosts and processes that were not read are counted by status."""
    assert coverage_sentence(small_fleet().coverage) == (
        "4 of 7 hosts answered, 1 without a match; 3 did not: 2 timeout, 1 auth; "
        "3 of 5 processes read, 1 denied, 1 gone"
    )


def test_coverage_when_nothing_matched():
    """No process is an answer too."""
    assert _sentence(host("a"), host("b")) == "2 of 2 hosts answered, 2 without a match; no process matched"


def test_coverage_when_nobody_answered():
    """Without an answer the sentence has no processes."""
    assert _sentence(failed("a", "dns", "a: no address")) == "0 of 1 host answered; 1 did not: 1 dns"


def test_coverage_when_nobody_was_asked():
    """`fleetpmap hosts` queries no host, and does not report them as failed."""
    not_asked = (failed(name, "not-asked", "") for name in ("a", "b"))
    assert _sentence(*not_asked) == "2 hosts, none of them asked"
    assert _sentence(failed("a", "not-asked", "")) == "1 host, not asked"


def test_coverage_of_nobody():
    """`fleetpmap fields` has no hosts, and no sentence about them."""
    assert coverage_sentence(fields().coverage) == ""


def test_coverage_of_a_listing():
    """ps reads no smaps: its processes `would be read`."""
    assert _sentence(host("a", process(1, "x"), process(2, "x", status="skipped")), listed_only=True) == (
        "1 of 1 host answered; 1 of 2 processes would be read, 1 skipped"
    )


def test_huge_pages_that_the_kernel_counts_in_no_size():
    """Before 4.4 only the address range is known; without huge pages, or with a newer kernel, there is no note."""
    huge = mapping("/dev/hugepages/db", size=37_748_736, perms="rw-s", Rss=0, Pss=0)
    told = mapping(
        "/dev/hugepages/db", size=37_748_736, perms="rw-s", Rss=0, Pss=0, Shared_Hugetlb=9, Private_Hugetlb=0
    )
    old, new, none = host("db1", process(1, "db", huge)), host("db2", process(1, "db", told)), host("db3")
    notes = [note for note in _notes(old, new, none) if "huge pages" in note]
    assert notes == ["no size but size_kib counts the huge pages on db1, where up to 36.0G of them are mapped"]


def _prefork(workers: int, **more: int):
    """200 MiB that a parent and its workers share, and 300 KiB that each has for itself."""
    processes = workers + 1
    shared = {"Rss": 204_800, "Pss": 204_800 // processes, "Private_Clean": 0, "Private_Dirty": 0}
    own = {"Rss": 300, "Pss": 300, "Private_Clean": 0, "Private_Dirty": 300}
    both = [mapping("[heap]", **shared, **more), mapping("", start=1 << 30, **own, **more)]
    return merged(snapshot(host("a", *(process(pid, "app", *both) for pid in range(1, processes + 1)))))


def test_what_ending_a_group_frees():
    """Workers that share with each other: both bounds, the sum of uss and the sum of pss."""
    report = _prefork(9)
    assert freed_sentence(report) == (
        "uss: what ending one process alone frees; ending all 10 frees up to their pss, 207800 kB"
    )
    assert freed_sentence(report, human_sizes=True).endswith("their pss, 202.9M")
    assert freed_sentence(_prefork(9, Shared_Hugetlb=0, Private_Hugetlb=4)).endswith("207800 kB, and huge pages")


def test_nothing_is_said_where_uss_is_the_answer():
    """One process, or processes that share next to nothing with each other."""
    alone = mapping("", Rss=9000, Pss=9000, Private_Clean=0, Private_Dirty=9000)
    assert freed_sentence(_prefork(0)) == ""
    assert freed_sentence(merged(snapshot(host("a", process(1, "x", alone), process(2, "x", alone))))) == ""
