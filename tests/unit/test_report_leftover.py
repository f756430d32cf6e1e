"""leftover: memory that a cgroup is charged for, and that its processes do not map."""

from __future__ import annotations

import pytest

from charged import cgroup, of, with_memory
from fleetpmap.report import services
from snapshots import host, mapping, process, snapshot

MIB = 1024
PATH = "/system.slice/shop.service"
HEAP = mapping("[heap]", Rss=200 * MIB, Pss=200 * MIB, Anonymous=200 * MIB)


def notes_of(*mappings_, below=(), **figures):
    """The notes on one process in one cgroup with these figures, in MiB but for counts and the path of a limit."""
    counts = ("oom", "oom_kills", "processes", "limit_path", "unlimited")
    kib = {name: value if name in counts or value is None else value * MIB for name, value in figures.items()}
    one = of("shop.service", process(7, "app", *mappings_), cgroup=PATH)
    return told_of(with_memory(host("web-07", one, *below), cgroup(PATH, **kib)))


def told_of(*hosts_):
    """The notes of this kind on these hosts."""
    return tuple(note for note in services(snapshot(*hosts_)).notes if " charged" in note)


def test_page_cache_and_kernel_are_named():
    """The charge, what the process has of it, and the rest by its parts, largest first as they stand."""
    assert notes_of(HEAP, current=1000, anon_kib=200, file_kib=700, shmem_kib=0, kernel_kib=100) == (
        "shop.service on web-07: 1000.0M charged, 200.0M in its process; 700.0M page cache, 100.0M kernel",
    )


def test_page_cache_that_the_process_maps_counts_once():
    """50 MiB of the cache are mapped, so they are in the PSS."""
    file = mapping("/usr/bin/app", perms="r-xp", Rss=50 * MIB, Pss=50 * MIB, Anonymous=0)
    assert notes_of(HEAP, file, current=500, anon_kib=200, file_kib=300, shmem_kib=0, kernel_kib=0) == (
        "shop.service on web-07: 500.0M charged, 250.0M in its process; 250.0M page cache",
    )


def test_private_copies_of_a_file_are_anonymous():
    """The written part of a mapping of a file is not page cache: a fifth of this one is copied."""
    data = mapping("/usr/bin/app", Rss=100 * MIB, Pss=50 * MIB, Anonymous=20 * MIB)
    assert notes_of(HEAP, data, current=500, anon_kib=210, file_kib=290, shmem_kib=0, kernel_kib=0) == (
        "shop.service on web-07: 500.0M charged, 250.0M in its process; 250.0M page cache",
    )


def test_shared_memory_that_no_process_maps():
    """A segment of 300 MiB, a third of it mapped."""
    segment = mapping("/dev/shm/cache", perms="rw-s", Rss=100 * MIB, Pss=100 * MIB, Anonymous=0)
    assert notes_of(segment, current=320, anon_kib=0, file_kib=310, shmem_kib=300, kernel_kib=10) == (
        "shop.service on web-07: 320.0M charged, 100.0M in its process; 10.0M page cache, 200.0M shared memory that no "
        "process maps, 10.0M kernel",
    )


def test_what_is_not_known_is_named():
    """The parts need not add up to the charge."""
    assert notes_of(HEAP, current=900, anon_kib=200, file_kib=400, shmem_kib=0, kernel_kib=None) == (
        "shop.service on web-07: 900.0M charged, 200.0M in its process; 400.0M page cache, 300.0M not known",
    )


def test_parts_that_are_more_than_the_charge_are_not_cut_to_fit():
    """Pages of files may be charged to another cgroup: nothing is negative, and nothing is said to be unknown."""
    file = mapping("/usr/lib/libx.so", perms="r-xp", Rss=90 * MIB, Pss=90 * MIB, Anonymous=0)
    assert notes_of(HEAP, file, current=400, anon_kib=200, file_kib=80, shmem_kib=0, kernel_kib=120) == (
        "shop.service on web-07: 400.0M charged, 290.0M in its process; 120.0M kernel",
    )


def test_processes_that_were_not_matched_are_counted():
    """Their anonymous memory is no mystery."""
    assert notes_of(HEAP, current=800, anon_kib=700, file_kib=100, shmem_kib=0, kernel_kib=0, processes=5) == (
        "shop.service on web-07: 800.0M charged, 200.0M in its processes (1 of 5 read); 100.0M page cache, 500.0M "
        "anonymous memory of other processes",
    )


def test_processes_of_another_service_below_count_as_mapped():
    """A child cgroup's charge is in its parent's, and so is the memory of its processes."""
    below = of("worker.service", process(8, "worker", HEAP), cgroup=f"{PATH}/worker.service")
    assert notes_of(HEAP, below=[below], current=430, anon_kib=400, file_kib=30, shmem_kib=0, kernel_kib=0) == ()


@pytest.mark.parametrize(("current", "is_told"), [(263, False), (264, True)])
def test_a_small_rest_is_not_told(current, is_told):
    """From 64 MiB on."""
    notes = notes_of(HEAP, current=current, anon_kib=200, file_kib=current - 200, shmem_kib=0, kernel_kib=0)
    assert bool(notes) == is_told


def test_a_small_share_is_not_told():
    """And from a tenth of the charge on: 64 MiB of 704 are less."""
    large = mapping("[heap]", Rss=640 * MIB, Pss=640 * MIB, Anonymous=640 * MIB)
    assert notes_of(large, current=704, anon_kib=640, file_kib=64, shmem_kib=0, kernel_kib=0) == ()


def test_limit_and_kills_are_told():
    """The limit with its holder, if that is another cgroup; a kill is worth a sentence of its own."""
    assert notes_of(HEAP, current=210, anon_kib=200, limit=2048, limit_path="/shop.slice", oom=2, oom_kills=1) == (
        "shop.service on web-07: 210.0M charged, 200.0M in its process; limit 2.0G (10.3%), of shop.slice; 1 oom kill",
    )
    assert notes_of(HEAP, current=300, limit=400, kernel_kib=100)[0].endswith("100.0M kernel; limit 400.0M (75.0%)")


def test_the_kinds_are_unknown_of_rollups():
    """Then the rest is told apart only as far as the kernel tells it."""
    total = mapping("[totals]", Rss=200 * MIB, Pss=200 * MIB)
    assert notes_of(total, current=500, anon_kib=200, file_kib=250, shmem_kib=0, kernel_kib=50) == (
        "shop.service on web-07: 500.0M charged, 200.0M in its process; 50.0M kernel, 250.0M not known",
    )


def test_nothing_is_told_without_pss():
    """An old kernel's RSS may count memory twice, so nothing can be taken from the charge."""
    assert notes_of(mapping("[heap]", Rss=MIB), current=900) == ()


def test_programs_of_a_session_are_told_of_together():
    """They share a cgroup, so there is one sentence, which names the cgroup."""
    path = "/user.slice/user-1000.slice/session-3.scope"
    two = [of(name, process(pid, name, HEAP), cgroup=path) for pid, name in ((1, "bash"), (2, "vim"))]
    one = with_memory(host("a", *two), cgroup(path, current=600 * MIB, file_kib=200 * MIB, shmem_kib=0))
    assert told_of(one) == ("session-3.scope on a: 600.0M charged, 400.0M in its processes; 200.0M page cache",)


def test_the_largest_come_first_and_the_rest_is_counted():
    """Five sentences, and one for the others."""
    hosts_ = [
        with_memory(
            host(f"h{number}", of("s", process(1, "x", HEAP), cgroup="/s")),
            cgroup("/s", current=(300 + number) * MIB, file_kib=(100 + number) * MIB, shmem_kib=0),
        )
        for number in range(1, 8)
    ]
    notes = told_of(*hosts_)
    assert [note.partition(":")[0] for note in notes[:5]] == [f"s on h{number}" for number in (7, 6, 5, 4, 3)]
    assert notes[5] == "2 more services are charged much memory that no process maps: cgroup_current less pss"
