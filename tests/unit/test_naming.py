"""naming: what a mapping is called, and what kind it is."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mapper
from fleetpmap.naming import mapping_name, name_mappings, proper_path, steady_path
from fleetpmap.smaps import Coded, SmapsColumns, parse


def columns(*rows, page_sizes=None):
    """Mappings from (process, perms, path) or (process, perms, path, flags); addresses are of no matter here.

    Flags None: the kernel has no VmFlags. `page_sizes`: the mappings' KernelPageSize.
    """
    rows = [(*row, "rd") if len(row) == 3 else row for row in rows]
    zeros = np.zeros(len(rows), np.uint64)

    def coded(slot):
        names = list(dict.fromkeys(row[slot] for row in rows if row[slot] is not None))
        codes = [-1 if row[slot] is None else names.index(row[slot]) for row in rows]
        return Coded(np.array(codes, np.int32), tuple(names))

    return SmapsColumns(
        process=np.array([row[0] for row in rows], np.int32),
        start=zeros,
        end=zeros,
        perms=coded(1),
        offset=zeros,
        device=coded(1),
        inode=zeros,
        path=coded(2),
        fields={} if page_sizes is None else {"KernelPageSize": np.array(page_sizes, np.int64)},
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
        ("/memfd:runc_cloned:/proc/self/exe", True, "/memfd:runc_cloned:/proc/self/exe"),
        ("/dev/zero", True, "/dev/zero"),
        ("/SYSV0000162e", True, "/SYSV0000162e"),
        ("/dev/shm/libjni.so", False, "libjni.so"),
        ("[anon:stack_and_tls:15295]", False, "[anon:stack_and_tls:thread]"),
        ("[anon:stack_and_tls:main]", False, "[anon:stack_and_tls:main]"),
        ("[anon: glibc: pthread stack: 4711]", False, "[anon: glibc: pthread stack: thread]"),
        ("anon_inode:[perf_event]", False, "anon_inode:[perf_event]"),
    ],
)
def test_mapping_name(path, executable, name):
    """Libraries and programs go by their basename, other files by their path, kernel names as they are."""
    assert mapping_name(path, executable=executable) == name


@pytest.mark.parametrize(
    ("path", "code", "steady"),
    [
        ("/tmp/libzstd-jni-1.5.5-51234567890123456789.so", True, "/tmp/libzstd-jni-1.5.5-*.so"),
        ("/tmp/libnetty_tcnative_linux_x86_648822334455667788.so", True, "/tmp/libnetty_tcnative_linux_x86_*.so"),
        ("/tmp/jna-3506402/jna8822334455667788990.tmp", True, "/tmp/jna-*/jna*.tmp"),
        (
            "/tmp/snappy-1.1.8-3f2504e0-4f89-41d3-9a0c-0305e82c3301-libsnappyjava.so",
            True,
            "/tmp/snappy-1.1.8-*-libsnappyjava.so",
        ),
        ("/var/tmp/jansi-2.4.0-1a2b3c4d5e6f7a8b-libjansi.so", True, "/var/tmp/jansi-2.4.0-*-libjansi.so"),
        ("/tmp/onnxruntime-java123456789/libonnxruntime.so", True, "/tmp/onnxruntime-java*/libonnxruntime.so"),
        ("/usr/share/elastic/tmp/lib123456789.so", True, "/usr/share/elastic/tmp/lib*.so"),
        ("/tmp/_MEIx8Zk2f/libpython3.11.so.1.0", True, "/tmp/_MEI*/libpython3.11.so.1.0"),
        ("/tmp/pip-uninstall-abcdefgh/_umath.so", True, "/tmp/pip-uninstall-*/_umath.so"),
        ("/tmp/ffiAbCdEf", True, "/tmp/ffi*"),
        ("/tmp/tmpab12cd_8", False, "/tmp/tmp*"),
        ("/tmp/.mount_AppnamAbC123/usr/lib/libfoo.so.1", True, "/tmp/.mount_*/usr/lib/libfoo.so.1"),
        ("/tmp/hsperfdata_app/4711", False, "/tmp/hsperfdata_app/*"),
        ("/dev/shm/PostgreSQL.1804289383", False, "/dev/shm/PostgreSQL.*"),
        ("/srv/kafka/data/libnetty1234567890123456789.so", True, "/srv/kafka/data/libnetty*.so"),
        ("/srv/db/#1311", False, "/srv/db/#*"),
        ("/home/app/.nfs000000000123abcd00000001", True, "/home/app/.nfs*"),
        # What a person calls a file stays.
        ("/tmp/libQt5Core.so.5", True, "/tmp/libQt5Core.so.5"),
        ("/tmp/x86_64/aarch64/ppc64le/data", False, "/tmp/x86_64/aarch64/ppc64le/data"),
        ("/memfd:MutterCursor", False, "/memfd:MutterCursor"),
        ("/usr/lib/libicudata.so.72.1", True, "/usr/lib/libicudata.so.72.1"),
        ("/var/lib/db/20261129123456/index", False, "/var/lib/db/20261129123456/index"),
        ("/srv/3f2504e0-4f89-41d3-9a0c-0305e82c3301", False, "/srv/3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
    ],
)
def test_steady_path(path, code, steady):
    """`*` stands for what a program made up, so that the same file has one name on all hosts."""
    assert steady_path(path, code=code) == steady


@pytest.mark.parametrize(
    ("path", "proper"),
    [
        ("/usr/lib64/libcrypto.so.1.0.2k;5a384735 (deleted)", "/usr/lib64/libcrypto.so.1.0.2k"),
        ("/usr/sbin/nginx;5a384735 (deleted)", "/usr/sbin/nginx"),
        ("/usr/lib/libssl.so.3.dpkg-new", "/usr/lib/libssl.so.3"),
        ("/usr/lib/libssl.so.3.dpkg-tmp (deleted)", "/usr/lib/libssl.so.3"),
        ("/lib64/libc-2.12.so.#prelink#.Wmgl35 (deleted)", "/lib64/libc-2.12.so"),
        ("/lib64/libc-2.12.so.#prelink# (deleted)", "/lib64/libc-2.12.so"),
        ("/usr/lib/libssl.so.3.rpmnew", "/usr/lib/libssl.so.3"),
        ("/usr/lib/libssl.so.3.pacsave", "/usr/lib/libssl.so.3"),
        ("/usr/lib/libz.so.1.2.3.tmp (deleted)", "/usr/lib/libz.so.1.2.3"),
        ("/usr/lib/libz.so.old (deleted)", "/usr/lib/libz.so"),
        ("/usr/lib/libz.so.1~", "/usr/lib/libz.so.1"),
        ("/var/lib/app/state.tmp (deleted)", "/var/lib/app/state.tmp"),
        ("/usr/lib/libssl.so.1.1;lib", "/usr/lib/libssl.so.1.1;lib"),
        ("", ""),
    ],
)
def test_proper_path(path, proper):
    """A file that was replaced goes by the name that it had."""
    assert proper_path(path) == proper


@pytest.mark.parametrize("piece", ["a1", "/tmp/", ";0", ".so", ".#prelink#"])
@pytest.mark.timed
def test_a_name_takes_linear_time(piece):
    """A path of a megabyte is named in a few seconds of CPU at the most, whatever it repeats."""
    began = time.process_time()
    mapping_name(proper_path(f"/tmp/{piece * (1_000_000 // len(piece))}!"), executable=False)
    assert time.process_time() - began < 4


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
        ("rw-p", "", "rd wr gd ac", "stack"),
        ("rw-p", "[stack:77]", None, "thread-stack"),
        ("rw-p", "[anon:stack_and_tls:15295]", "rd", "thread-stack"),
        ("rw-p", "[anon: glibc: pthread stack: 77]", "rd", "thread-stack"),
        ("rw-p", "[anon: glibc: pthread user stack: 77]", "rd", "thread-stack"),
        ("rw-p", "[anon: glibc: unused stack]", "rd", "named-anon"),
        ("rw-p", "[anon:stack_and_tls:main]", "rd", "named-anon"),
        ("rw-p", "", "rd", "anon"),
        ("rw-p", "/dev/zero", "rd", "anon"),
        ("rw-p", "[anon:dalvik-main space]", "rd", "named-anon"),
        ("r-xp", "/lib/libc.so.6 (deleted)", "rd", "library"),
        ("r--p", "/lib/libicudata.so.72.1", "rd", "library"),
        ("r-xp", "/usr/bin/bash", "rd", "executable"),
        ("r-xp", "/usr/bin/bash (deleted)", "rd", "executable"),
        ("r-xp", "/system/framework/boot.oat", "rd", "executable"),
        ("r--p", "/usr/share/x.mo", "rd", "file"),
        ("r--p", "/opt/x.so/data", "rd", "file"),
        ("r--s", "/SYSVolume", "rd", "file"),
        ("rw-s", "/SYSV0000162e (deleted)", "rd", "shm"),
        ("rw-s", "/dev/shm/ring", "rd", "shm"),
        ("rw-s", "/run/shm/ring", "rd", "shm"),
        ("rw-s", "/dev/ashmem/pool (deleted)", "rd", "shm"),
        ("rw-s", "/memfd:buffer (deleted)", "rd", "shm"),
        ("rwxs", "/memfd:doublemapper (deleted)", "rd", "shm"),
        ("rw-s", "/secretmem (deleted)", "rd", "shm"),
        ("rw-s", "/dev/zero (deleted)", "rd", "shm"),
        ("rw-s", "[anon_shmem:pool]", "rd", "shm"),
        ("rw-p", "/anon_hugepage (deleted)", "rd", "hugetlb"),
        ("rw-s", "/dev/hugepages/db", None, "hugetlb"),
        ("rw-s", "/mnt/huge/db", "rd wr sh ht", "hugetlb"),
        ("rw-s", "/memfd:db (deleted)", "rd wr sh ht", "hugetlb"),
        ("rw-s", "/SYSV00000001 (deleted)", "rd wr sh ht", "hugetlb"),
        ("rw-s", "/dev/dri/card0", "rd", "device"),
        ("r-xs", "/dev/nvidia0", "rd", "device"),
        ("rw-s", "anon_inode:[perf_event]", "rd", "device"),
        ("rw-s", "socket:[4711]", "rd", "device"),
        ("rw-s", "/dmabuf:", "rd", "device"),
        ("rw-s", "/drm mm object (deleted)", "rd", "device"),
        ("rw-s", "/sys/devices/pci0000:00/0000:00:02.0/resource0", "rd wr sh pf io", "device"),
        ("r-xp", "[vdso]", "rd", "special"),
        ("r--p", "[vvar_vclock]", "rd pf io", "special"),
        ("--xp", "[uprobes]", "ex", "special"),
        ("r-xp", "[vectors]", "rd", "special"),
        ("r-xp", "[sigpage]", "rd", "special"),
        ("rw-s", "/[aio] (deleted)", "rd", "special"),
    ],
)
def test_kind(perms, path, flags, kind):
    """Every mapping has one kind, from its name, its permissions and its flags."""
    assert name_mappings(columns((0, perms, path, flags))).kind.texts() == [kind]


def test_huge_pages_of_a_kernel_without_vm_flags():
    """2.6.29 to 3.7: pages larger than the host's smallest are hugetlb's."""
    rows = [(0, "rw-s", "/mnt/huge/db", None), (0, "rw-p", "", None)]
    assert name_mappings(columns(*rows, page_sizes=[2048, 4])).kind.texts() == ["hugetlb", "anon"]


def test_large_base_pages_are_not_huge_pages():
    """Pages of 64 KiB are what every mapping of some arm64 and ppc64 hosts has."""
    rows = [(0, "r--p", "/srv/db", None), (0, "rw-p", "", None)]
    assert name_mappings(columns(*rows, page_sizes=[64, 64])).kind.texts() == ["file", "anon"]


def test_vm_flags_outweigh_the_page_size():
    """A device that maps large pages of its own (DAX) has no `ht`."""
    rows = [(0, "rw-s", "/dev/dax0.0", "rd wr sh"), (0, "rw-p", "", "rd")]
    assert name_mappings(columns(*rows, page_sizes=[2048, 4])).kind.texts() == ["device", "anon"]


def test_no_mappings():
    """Nothing in, nothing out."""
    names = name_mappings(columns())
    assert (len(names.mapping), len(names.kind), len(names.deleted)) == (0, 0, 0)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A real process that has one of each: what it says of each, and its smaps."""
    words = [sys.executable, mapper.__file__, str(tmp_path_factory.mktemp("mapper"))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        answers = json.loads(process.stdout.readline())
        yield answers, parse(Path(f"/proc/{process.pid}/smaps").read_bytes())


@pytest.mark.parametrize(
    ("what", "kind", "name"),
    [
        ("anonymous", "anon", "[anon]"),
        ("shared anonymous", "shm", "/dev/zero"),
        ("private /dev/zero", "anon", "/dev/zero"),
        ("shared /dev/zero", "shm", "/dev/zero"),
        ("named", "named-anon", "[anon:a pool]"),
        ("named shared", "shm", "[anon_shmem:a pool]"),
        ("named stack", "thread-stack", "[anon: glibc: pthread stack: thread]"),
        ("grows down", "stack", "[anon]"),
        ("System V", "shm", "/SYSV00000000"),
        ("memfd", "shm", "/memfd:a/b.so"),
        ("memfd code", "shm", "/memfd:jit"),
        ("memfd secret", "shm", "/secretmem"),
        ("hugetlb", "hugetlb", "/anon_hugepage"),
        ("hugetlb memfd", "hugetlb", "/memfd:huge"),
        ("io_uring", "device", "anon_inode:[io_uring]"),
        ("deleted library", "library", "libgone.so.1"),
    ],
)
def test_a_real_mapping(mapped, what, kind, name):
    """What this kernel prints of a mapping made for the purpose is understood."""
    answers, smaps = mapped
    if isinstance(answers[what], str):
        pytest.skip(reason=f"nothing to name, as the kernel gave no {what}: {answers[what]}")
    # Anonymous memory may have become one mapping with its neighbour.
    row = int(np.flatnonzero((smaps.start <= answers[what]) & (smaps.end > answers[what]))[0])
    names = name_mappings(smaps)
    assert (names.kind.texts()[row], names.mapping.texts()[row]) == (kind, name)


def test_real_files(mapped):
    """POSIX shared memory and a plain file go by their paths, which the test's machine chooses."""
    answers, smaps = mapped
    kinds = name_mappings(smaps).kind.texts()
    starts = smaps.start.tolist()
    assert [kinds[starts.index(answers[what])] for what in ("POSIX", "file")] == ["shm", "file"]


def test_every_process_has_a_heap_a_stack_and_a_program(mapped):
    """The rest of the same process: the interpreter is its executable, libc a library, [vdso] special."""
    names = name_mappings(mapped[1])
    assert {"heap", "stack", "executable", "library", "special"} <= set(names.kind.texts())


def test_a_program_that_is_gone_is_an_executable(tmp_path):
    """A program replaced while it runs keeps its kind and its name."""
    program = shutil.copy(shutil.which("cat"), tmp_path / "cat")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        process.stdin.write(b"ready\n")
        process.stdout.readline()
        Path(program).unlink()
        names = name_mappings(parse(Path(f"/proc/{process.pid}/smaps").read_bytes()))
    kinds = set(zip(names.mapping.texts(), names.kind.texts(), names.deleted.tolist(), strict=True))
    assert ("cat", "executable", True) in kinds
