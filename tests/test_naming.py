"""naming: what a mapping is called, and what kind it is."""

import numpy as np
import pytest

from fleetpmap.naming import mapping_name, name_mappings
from fleetpmap.smaps import Coded, SmapsColumns


def columns(*rows):
    """Mappings from (process, perms, path) or (process, perms, path, flags); addresses are of no matter here."""
    rows = [(*row, "rd") if len(row) == 3 else row for row in rows]
    zeros = np.zeros(len(rows), np.uint64)

    def coded(slot):
        names = list(dict.fromkeys(row[slot] for row in rows))
        return Coded(np.array([names.index(row[slot]) for row in rows], np.int32), tuple(names))

    return SmapsColumns(
        process=np.array([row[0] for row in rows], np.int32),
        start=zeros,
        end=zeros,
        perms=coded(1),
        offset=zeros,
        device=coded(1),
        inode=zeros,
        path=coded(2),
        fields={},
        flags=coded(3),
    )


@pytest.mark.parametrize(
    ("path", "executable", "name"),
    [
        ("", False, "[anon]"),
        ("[heap]", False, "[heap]"),
        ("[stack:1234]", False, "[stack:thread]"),
        ("[anon:glibc: malloc arena]", False, "[anon:glibc: malloc arena]"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", False, "libc.so.6"),
        ("/lib/libc-2.31.so", False, "libc-2.31.so"),
        ("/usr/bin/python3.11", True, "python3.11"),
        ("/usr/lib/locale/locale-archive", False, "/usr/lib/locale/locale-archive"),
        ("/run/app/web.sock", False, "/run/app/web.sock"),
        ("/dev/zero", False, "/dev/zero"),
        ("/memfd:my cache", False, "/memfd:my cache"),
        ("anon_inode:[perf_event]", False, "anon_inode:[perf_event]"),
    ],
)
def test_mapping_name(path, executable, name):
    """Libraries and programs go by their basename, other files by their path, kernel names as they are."""
    assert mapping_name(path, executable=executable) == name


def test_a_program_is_known_by_its_executable_part():
    """All parts of a file are named alike when one of them is mapped executable in that process."""
    names = name_mappings(
        columns((0, "r--p", "/usr/bin/bash"), (0, "r-xp", "/usr/bin/bash"), (0, "rw-p", "/usr/bin/bash"))
    )
    assert names.mapping.texts() == ["bash", "bash", "bash"]


def test_executable_in_one_process_only():
    """A program that another process merely reads keeps its full path there."""
    names = name_mappings(columns((0, "r-xp", "/opt/tool"), (1, "r--p", "/opt/tool")))
    assert names.mapping.texts() == ["tool", "/opt/tool"]


def test_deleted_is_a_mark_and_not_a_name():
    """A mapping of an unlinked file keeps its name and is flagged deleted."""
    names = name_mappings(columns((0, "r-xp", "/usr/lib/libssl.so.3 (deleted)"), (1, "r-xp", "/usr/lib/libssl.so.3")))
    assert names.mapping.texts() == ["libssl.so.3", "libssl.so.3"]
    assert names.deleted.tolist() == [True, False]


@pytest.mark.parametrize(
    ("perms", "path", "flags", "kind"),
    [
        ("rw-p", "[heap]", "rd", "heap"),
        ("rw-p", "[stack]", "rd", "stack"),
        ("rw-p", "[stack:77]", "rd", "thread-stack"),
        ("rw-p", "", "rd", "anon"),
        ("rw-p", "[anon:dalvik-main space]", "rd", "named-anon"),
        ("r-xp", "/lib/libc.so.6 (deleted)", "rd", "library"),
        ("r-xp", "/usr/bin/bash", "rd", "executable"),
        ("r--p", "/usr/share/x.mo", "rd", "file"),
        ("rw-s", "/SYSV0000162e (deleted)", "rd", "shm"),
        ("rw-s", "/dev/shm/ring", "rd", "shm"),
        ("rw-s", "/memfd:buffer (deleted)", "rd", "shm"),
        ("rw-s", "/dev/zero (deleted)", "rd", "shm"),
        ("rw-s", "[anon_shmem:pool]", "rd", "shm"),
        ("rw-p", "/anon_hugepage (deleted)", "rd", "hugetlb"),
        ("rw-s", "/mnt/huge/db", "rd wr sh ht", "hugetlb"),
        ("rw-s", "/dev/dri/card0", "rd", "device"),
        ("r-xp", "[vdso]", "rd", "special"),
        ("r--p", "[vvar_vclock]", "rd", "special"),
    ],
)
def test_kind(perms, path, flags, kind):
    """Every mapping has one kind, from its name, its permissions and its flags."""
    assert name_mappings(columns((0, perms, path, flags))).kind.texts() == [kind]


def test_no_mappings():
    """Nothing in, nothing out."""
    names = name_mappings(columns())
    assert (len(names.mapping), len(names.kind), len(names.deleted)) == (0, 0, 0)
