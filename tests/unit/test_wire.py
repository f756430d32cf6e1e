"""The wire format, without a host: streams written out here, whole, in pieces, cut and forged."""

from __future__ import annotations

import gzip
import tarfile
import time
import tracemalloc
import zlib
from collections.abc import Mapping

import pytest

from fleetpmap.errors import ProtocolError, RemoteError
from fleetpmap.probe import Script
from fleetpmap.wire import Capabilities, Decoder, Limits, ListedProcess, ProcessReading, Reading, Resident
from fleetpmap.wire.section_readers import locate_texts, parse_times

NONCE = "00112233445566778899aabbccddeeff"
SCRIPT = Script(command="sh -s", stdin=b"", nonce=NONCE, proc_root="/proc")

BEGIN = (
    f"{NONCE} begin 1 uid=1000 kernel=6.1.0-13-amd64 page_size=4096 boot_id=0f-1e pid_namespace=4026531836"
    " reader=gnu compression=gzip probe_pid=77\n"
).encode()

LIST = b"""\
NONCE stat
12/stat:12 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 25 0 0 184
7/stat:7 (my (odd) x) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184
31/stat:31 (gone) Z 7 31 5 0 -1 4194308 0 0 0 0 0 0 0 0 20 0 1 0 4713 0 0 184
NONCE cmdline
7/cmdline:odd\x007/cmdline:\x007/cmdline:a\nb\xff\x00NONCE uid
12/status:Uid:\t0\t0\t0\t0
7/status:Uid:\t1000\t1001\t1000\t1000
31/status:Uid:\t1001\t1001\t1001\t1001
NONCE passwd
root:x:0:0:root:/:/bin/sh
app:x:1001:1001::/srv/app:/bin/sh
daemon:x:1:1::/:/bin/false
NONCE end
""".replace(b"NONCE", NONCE.encode())

READ = b"""\
NONCE smaps
==> /dev/null <==

==> 7/smaps <==
00400000-00401000 r-xp 00000000 08:01 9  /bin/odd
Rss:  4 kB

==> 12/smaps <==

==> 8/smaps <==
00600000-00602000 rw-p 00000000 00:00 0
Rss:  8 kB
NONCE access
7 ok
12 ok
8 ok
31 gone
NONCE uid
7/status:Uid:\t1000\t1001\t1000\t1000
12/status:Uid:\t0\t0\t0\t0
8/status:Uid:\t0\t0\t0\t0
NONCE facts
7/stat:7 (odd) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184
\x0012/stat:12 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 25 0 0 184
\x008/stat:8 (new) R 1 8 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4712 4096000 22 184
\x007/cmdline:odd\x007/cmdline:\x008/cmdline:a\nb\xff\x00NONCE passwd
app:x:1001:1001::/srv/app:/bin/sh
NONCE end
""".replace(b"NONCE", NONCE.encode())

OVER = f"{NONCE} over\n".encode()
TEXT_7 = b"00400000-00401000 r-xp 00000000 08:01 9  /bin/odd\nRss:  4 kB\n"
TEXT_8 = b"00600000-00602000 rw-p 00000000 00:00 0\nRss:  8 kB\n"


def phase(name: str, body: bytes, packing: str = "plain") -> bytes:
    return f"{NONCE} {name} {packing}\n".encode() + packed(body, packing) + OVER


def packed(body: bytes, packing: str) -> bytes:
    return gzip.compress(body, 1) if packing == "gzip" else body


def expecting_both(packing: str, limits: Limits | None = None) -> Decoder:
    """Return the decoder of a host with this packing, after a request for both phases in one."""
    decoder = Decoder(SCRIPT, host="web-03", limits=limits or Limits())
    decoder.feed(BEGIN.replace(b"compression=gzip", f"compression={packing}".encode()))
    decoder.expect_both()
    return decoder


def stream(packing: str, *, listing: bytes = LIST, reading: bytes = READ) -> bytes:
    """A whole answer."""
    phases = phase("list", listing, packing) + phase("read", reading, packing)
    return b"Welcome to web-03\n" + BEGIN + phases + f"{NONCE} bye\n".encode()


def decode(data: bytes) -> Decoder:
    decoder = Decoder(SCRIPT, host="web-03")
    decoder.feed(data)
    return decoder


def read_after(read: bytes, *, begin: bytes = BEGIN) -> Reading:
    """The Reading of phase two after the usual phase one."""
    decoder = decode(begin + phase("list", LIST) + phase("read", read.replace(b"NONCE", NONCE.encode())))
    return unpacked(decoder)


def unpacked(decoder: Decoder) -> Reading:
    assert decoder.reading is not None
    return decoder.reading.unpack()


def understood(decoder: Decoder) -> tuple[list[ListedProcess], Reading]:
    assert decoder.listing is not None
    return list(decoder.listing.processes), unpacked(decoder)


def reading_of(stat: str, text: bytes = TEXT_7, *, verdict: str = "ok", begin: bytes = BEGIN) -> str:
    """Return the status of process 7 with this second stat, text and verdict."""
    read = (
        b"NONCE smaps\n==> /dev/null <==\n\n==> 7/smaps <==\n" + text + f"NONCE access\n7 {verdict}\n".encode()
    ) + f"NONCE facts\n{stat and stat + chr(0)}NONCE end\n".encode()
    reading = read_after(read, begin=begin)
    assert reading.smaps == (text if reading.processes[0].status == "read" else b"")
    return reading.processes[0].status


SAME = "7/stat:7 (odd) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184\n"


def test_capabilities_are_what_the_begin_frame_says() -> None:
    """Each word of the begin frame is one attribute."""
    listing = decode(stream("gzip")).listing
    assert listing is not None
    assert listing.capabilities == Capabilities(
        uid=1000,
        kernel="6.1.0-13-amd64",
        page_size=4096,
        boot_id="0f-1e",
        pid_namespace="4026531836",
        reader="gnu",
        compression="gzip",
        probe_pid=77,
    )


def test_what_a_host_does_not_say_is_empty_or_none() -> None:
    """A recorded tree has no boot, no namespace and no process of ours; without gzip the compression is none."""
    listing = decode(
        f"{NONCE} begin 1 uid=0 kernel=2.6.32 page_size=65536 boot_id= pid_namespace= reader=busybox"
        f" compression=plain probe_pid=\n".encode()
        + phase("list", LIST)
    ).listing
    assert listing is not None
    assert listing.capabilities == Capabilities(0, "2.6.32", 65536, "", "", "busybox", "none", None)
    assert listing.processes[0].rss_kib == 33 * 64


def test_listing_has_every_process_by_pid() -> None:
    """Sorted by number, with name, times, memory in KiB, arguments and owner; bytes that are not UTF-8 survive."""
    listing = decode(stream("plain")).listing
    assert listing is not None
    assert listing.processes == (
        ListedProcess(7, "my (odd) x", "S", 1, 5, 4711, 132, ("odd", "", "a\nb\udcff"), False, 1001),
        ListedProcess(12, "kworker/0:1", "I", 2, 0, 25, 0, (), True, 0),
        ListedProcess(31, "gone", "Z", 7, 5, 4713, 0, (), False, 1001),
    )
    assert listing.users == {0: "root", 1001: "app"}


def test_reading_has_the_texts_gapless_in_the_order_asked() -> None:
    """tail's headers are cut away, and every pid asked for has its place and its status."""
    decoder = decode(stream("plain"))
    assert unpacked(decoder) == Reading(
        TEXT_7 + TEXT_8,
        (
            ProcessReading(7, "read", 0, 61, 1001, address_space=8192000, arguments=("odd", "")),
            ProcessReading(12, "kernel", 61, 61, 0, arguments=()),
            ProcessReading(8, "read", 61, 112, 0, address_space=4096000, arguments=("a\nb\udcff",)),
            ProcessReading(31, "gone", 112, 112, None),
        ),
        {1001: "app"},
    )
    decoder.eof()


def test_a_reading_says_where_the_stack_begins() -> None:
    """startstack, the 28th field of the stat that follows the reading; a stat that ends before it says nothing."""
    tail = b" 18446744073709551615 4321280 7148169 140737136604432 0 0\n"
    reading = read_after(READ.replace(b"8192000 33 184\n", b"8192000 33" + tail))
    assert [process.start_stack for process in reading.processes] == [140737136604432, None, None, None]


def test_gzip_and_plain_give_the_same() -> None:
    """Packing is not part of the answer."""
    packed, plain = decode(stream("gzip")), decode(stream("plain"))
    assert packed.listing == plain.listing
    assert unpacked(packed) == unpacked(plain)


@pytest.mark.parametrize("packing", ["gzip", "plain"])
@pytest.mark.parametrize("size", [1, 2, 3, 33, 1000])
def test_pieces_of_any_size_give_the_same(packing: str, size: int) -> None:
    """A frame may be cut by the network anywhere."""
    data = stream(packing)
    whole, pieces = decode(data), Decoder(SCRIPT, host="web-03")
    for at in range(0, len(data), size):
        pieces.feed(data[at : at + size])
    pieces.eof()
    assert (pieces.listing, unpacked(pieces), pieces.noise) == (whole.listing, unpacked(whole), whole.noise)


@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_a_stream_cut_anywhere_is_an_error_that_says_how_much_came(packing: str) -> None:
    """At every byte: either the whole reading or none, and never a quiet end."""
    data = stream(packing)
    whole = unpacked(decode(data))
    for stop in range(len(data)):
        decoder = decode(data[:stop])
        assert decoder.reading is None or unpacked(decoder) == whole
        with pytest.raises(ProtocolError, match=f"after {stop:,} bytes") as caught:
            decoder.eof()
        assert caught.value.host == "web-03"


@pytest.mark.parametrize(
    ("stop", "stage", "message"),
    [
        (10, "exec", "the probe did not start: the output ended after 10 bytes without a word of it"),
        (400, "list", "the output was cut while listing processes, after 400 bytes"),
        (1400, "read", "the output was cut while reading smaps, after 1,400 bytes"),
    ],
)
def test_a_cut_names_the_phase(stop: int, stage: str, message: str) -> None:
    """The error names the work of the host and the bytes received."""
    with pytest.raises(ProtocolError) as caught:
        decode(stream("plain")[:stop]).eof()
    assert (caught.value.stage, caught.value.message) == (stage, message)


def test_a_body_without_its_end_is_an_error_though_gzip_ended_well() -> None:
    """A reader killed on the host closes gzip properly; only the end frame tells that all is there."""
    with pytest.raises(ProtocolError, match="stopped in the middle of reading smaps"):
        unpacked(decode(stream("gzip", reading=READ[:-40])))


@pytest.mark.parametrize("packing", ["gzip", "plain"])
@pytest.mark.parametrize("size", [1, 7, 5000])
def test_both_phases_in_one_give_what_they_give_apart(packing: str, size: int) -> None:
    """As in a later round that expects the same processes; the texts stay packed until they are used."""
    apart = decode(stream(packing))
    decoder = expecting_both(packing)
    data = packed(LIST + READ, packing) + OVER + f"{NONCE} bye\n".encode()
    for at in range(0, len(data), size):
        decoder.feed(data[at : at + size])
    decoder.eof()
    assert understood(decoder) == understood(apart)


@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_both_phases_cut_anywhere_are_an_error(packing: str) -> None:
    """At every byte: all of both, or none."""
    data = packed(LIST + READ, packing) + OVER
    for stop in range(len(data)):
        decoder = expecting_both(packing)
        came = len(BEGIN) - len("gzip") + len(packing) + stop
        decoder.feed(data[:stop])
        assert decoder.listing is None
        assert decoder.reading is None
        with pytest.raises(ProtocolError, match=f"was cut while listing processes, after {came:,} bytes"):
            decoder.eof()


@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_texts_behind_a_list_may_be_long(packing: str) -> None:
    """More than is unpacked at a time; the limit on a list is not one on them."""
    more = b"00700000-00701000 r-xp 00000000 08:01 9\nRss:        4 kB\n" * 50_000
    decoder = expecting_both(packing, Limits(listing=1 << 20, expansion=1000))
    decoder.feed(packed(LIST + READ.replace(TEXT_8, TEXT_8 + more), packing) + OVER)
    assert unpacked(decoder).smaps == TEXT_7 + TEXT_8 + more


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (LIST, "stopped in the middle of reading smaps"),
        (LIST[:-40], "stopped in the middle of listing processes"),
        (LIST + READ[:-40], "stopped in the middle of reading smaps"),
        (LIST + READ + READ, "something follows the end of reading smaps"),
    ],
)
@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_both_phases_that_are_not_two_bodies(packing: str, body: bytes, message: str) -> None:
    """Each has its end frame, and behind the second is nothing."""
    decoder = expecting_both(packing)

    def take() -> None:
        decoder.feed(packed(body, packing) + OVER)
        unpacked(decoder)

    with pytest.raises(ProtocolError, match=message):
        take()


def test_what_came_before_both_phases_is_noise() -> None:
    """Even if it looks like the beginning of a frame."""
    decoder = decode(BEGIN.replace(b"compression=gzip", b"compression=none") + NONCE.encode()[:20])
    decoder.expect_both()
    decoder.feed(LIST + READ + OVER)
    assert understood(decoder)[0] == understood(decode(stream("plain")))[0]
    assert decoder.noise == NONCE.encode()[:20]


def test_a_section_that_is_void_is_as_if_it_had_not_come() -> None:
    """A section of a command that failed is void; the next one replaces it."""
    stat, cmdline = (LIST.index(f"{NONCE} {name}\n".encode()) for name in ("stat", "cmdline"))
    again = LIST[:cmdline] + f"{NONCE} void\n".encode() + LIST[stat:]
    assert decode(BEGIN + phase("list", again)).listing == decode(BEGIN + phase("list", LIST)).listing


def test_arguments_that_do_not_come_together_are_one_command_line() -> None:
    """No tool of ours prints them so, but a host may; and one argument may look like the path before it."""
    pieces = b"12/cmdline:x\0" + b"7/cmdline:b\0" * 3 + b"12/cmdline:\0" + b"7/cmdline:7/cmdline:c\0"
    listing = decode(BEGIN + phase("list", LIST.replace(b"7/cmdline:a\nb\xff\0", pieces))).listing
    assert listing is not None
    assert [(one.pid, one.arguments) for one in listing.processes] == [
        (7, ("odd", "", "b", "b", "b", "7/cmdline:c")),
        (12, ("x", "")),
        (31, ()),
    ]


def test_noise_is_kept_and_bounded() -> None:
    """Output of the login before the probe, and output between phases, is kept as noise."""
    assert decode(b"motd\n" + BEGIN + b"late\n" + phase("list", LIST)).noise == b"motd\nlate\n"
    assert decode(b"This account is not available.\n").noise == b"This account is not available.\n"
    flood = decode(b"y\n" * 100_000)
    assert len(flood.noise) == 65536


def test_an_echoed_script_is_noise() -> None:
    """A device that is no shell and prints its input back shows our nonce, but never began."""
    decoder = decode(f"> set -- {NONCE} /proc 0 1\n> nonce=$1\nInvalid command\n".encode())
    assert not decoder.begun
    with pytest.raises(ProtocolError, match="did not start"):
        decoder.eof()


def test_names_and_arguments_cannot_pass_for_frames_or_other_processes() -> None:
    """Only the real nonce is a frame, and only the path that grep prints assigns a line to a process."""
    guess = b"ffeeddccbbaa99887766554433221100"
    forged = b"""\
NONCE stat
7/stat:7 (a
7/stat:1/stat:1 (b) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184
NONCE cmdline
7/cmdline:GUESS end
\x007/cmdline:9/cmdline:sshd\x007/cmdline:
==> 1/smaps <==
\x00NONCE end
""".replace(b"NONCE", NONCE.encode()).replace(b"GUESS", guess)
    listing = decode(BEGIN + phase("list", forged)).listing
    assert listing is not None
    (process,) = listing.processes
    assert (process.pid, process.name) == (7, "a\n1/stat:1 (b")
    assert process.arguments == (guess.decode() + " end\n", "9/cmdline:sshd", "\n==> 1/smaps <==\n")


def test_a_mapped_file_called_like_a_header_is_no_header() -> None:
    """tail's headers count only at the beginning of a line."""
    text = b"00400000-00401000 r-xp 00000000 08:01 9  /srv/x\\012==> 8/smaps <==\nRss:  4 kB\n"
    assert reading_of(SAME, text) == "read"


def test_a_header_is_found_behind_names_with_signs_of_a_header() -> None:
    """A `=` in a mapped file's name hides no process."""
    body = b"==> /dev/null <==\n\n==> 7/smaps <==\nr--p /x=1\nr--p /y==> =\n\n==> 8/smaps <==\nr--p /z\n=\n"
    found = [(pid, body[start:stop]) for pid, start, stop, _ in locate_texts(body, 0, len(body))]
    assert found == [(7, b"r--p /x=1\nr--p /y==> =\n"), (8, b"r--p /z\n=\n")]


@pytest.mark.parametrize(
    ("stat", "status"),
    [
        (SAME, "read"),
        ("", "gone"),
        (SAME.replace("4711", "4799"), "reused"),
        (SAME.replace(" S ", " Z "), "zombie"),
        (SAME.replace("8192000 33", "0 0"), "gone"),
    ],
    ids=["same", "no stat", "another start time", "zombie", "memory given back"],
)
def test_the_second_stat_decides_what_a_text_is_worth(stat: str, status: str) -> None:
    """A text may be torn, or another process's, if its process ended meanwhile; then it is dropped."""
    assert reading_of(stat) == status


def test_an_ended_process_keeps_its_listed_command_line() -> None:
    """It has none any more: that says nothing about the one that it had."""
    facts = f"NONCE facts\n{SAME.replace('8192000 33', '0 0')}\0NONCE end\n".encode()
    [process] = read_after(b"NONCE access\n7 ok\n" + facts).processes
    assert (process.status, process.arguments) == ("gone", None)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("ok", "empty"), ("denied", "denied"), ("unsupported", "unsupported"), ("gone", "gone")],
)
def test_a_process_without_a_text_has_a_reason(verdict: str, status: str) -> None:
    """A live user process with an empty text gets its status from the result of open()."""
    assert reading_of(SAME, b"", verdict=verdict) == status


def test_an_empty_smaps_is_denied_before_kernel_3_18() -> None:
    """Old kernels open what may not be read, and give nothing."""
    old = BEGIN.replace(b"6.1.0-13-amd64", b"3.10.0-1160.el7.x86_64")
    assert reading_of(SAME, b"", begin=old) == "denied"


def listed_with_access(access: str, kernel: str = "6.1.0-13-amd64") -> Mapping[int, str]:
    """Return the statuses of a listing with this section."""
    section = f"{NONCE} access\n{access}{NONCE} end\n".encode()
    begin = BEGIN.replace(b"6.1.0-13-amd64", kernel.encode())
    listing = decode(begin + phase("list", LIST.replace(f"{NONCE} end\n".encode(), section))).listing
    assert listing is not None
    return listing.access


def test_a_listed_process_has_the_status_that_a_reading_gives() -> None:
    """Where its smaps cannot be opened; one that has ended since is not denied."""
    access = "7 denied\n31 gone\n8 unsupported\n"
    assert listed_with_access(access) == {7: "denied", 31: "gone", 8: "unsupported"}


def test_others_are_denied_before_kernel_3_18() -> None:
    """Old kernels open what may not be read, so the owner decides; one that has ended is not denied even there."""
    assert listed_with_access("31 gone\n", "3.10.0-1160") == {7: "denied", 12: "denied", 31: "gone"}


def test_a_status_that_no_probe_prints_is_an_error() -> None:
    """A report has statuses of its own only."""
    with pytest.raises(ProtocolError, match="'fine' is no reason why an smaps cannot be opened"):
        listed_with_access("7 fine\n")


def test_the_login_has_a_name() -> None:
    """It is for the line of sudoers."""
    listing = decode(BEGIN.replace(b"=77\n", b"=77 user=ops\n") + phase("list", LIST)).listing
    assert listing is not None
    assert listing.capabilities.user == "ops"


ACCOUNTS = (
    "7/status:Name:\todd\nVmRSS:\t  132 kB\n\x007/cgroup:0::/a.service\n\x007/oom_score_adj:5\n\0"
    "../sys/fs/cgroup/a.service/memory.current:4096\n\0../sys/fs/cgroup/a.service/memory.max:max\n\0"
)


@pytest.mark.parametrize(
    ("stat", "status", "known"),
    [(SAME, "read", True), (SAME.replace(" 4711 ", " 4712 "), "reused", False), ("", "gone", False)],
    ids=["read", "reused", "gone"],
)
def test_what_another_process_has_is_not_taken_for_this_ones(stat: str, status: str, known: bool) -> None:
    """Sizes, cgroups and score of a pid that was given away are those of the other process."""
    facts = f"NONCE facts\n{stat and stat + chr(0)}{ACCOUNTS}".encode()
    read = b"NONCE smaps\n==> /dev/null <==\n\n==> 7/smaps <==\n%bNONCE access\n7 ok\n" % TEXT_7
    read += b"NONCE uid\n7/status:Uid:\t5\t6\t7\t8\n"
    reading = read_after(read + facts + b"NONCE end\n")
    [process] = reading.processes
    assert process.status == status
    assert (process.uid, process.name) == (None if status == "reused" else 6, "odd" if known else None)
    found = (process.memory_cgroup, process.cgroups, process.oom_score_adj, process.resident)
    whole = ("/a.service", ("/a.service",), 5, Resident(132))
    assert found == (whole if known else (None,) * 4)
    assert [(group.path, group.current_kib) for group in reading.cgroups] == ([("/a.service", 4)] if known else [])
    [became] = reading.reused({7}).processes
    assert (became.status, became.memory_cgroup, became.resident) == ("reused", None, None)


@pytest.mark.parametrize(
    ("word", "ago"), [("uptime=100.25", 100.25), ("uptime=", None), ("uptime=x", None), ("uptime=999999999999.0", None)]
)
def test_when_the_host_started(word: str, ago: float | None) -> None:
    """By its uptime and this machine's clock; an uptime from before there were such hosts is none."""
    before = time.time()
    listing = decode(BEGIN.replace(b"probe_pid=77", f"probe_pid=77 {word}".encode()) + phase("list", LIST)).listing
    assert listing is not None
    booted = listing.capabilities.booted
    assert (booted is None) == (ago is None)
    assert booted is None or ago is None or before - ago - 0.01 <= booted <= time.time() - ago + 0.01


def test_a_second_reading_takes_the_place_of_the_first() -> None:
    """One listing, then as many readings as asked for."""
    nothing = f"{NONCE} end\n".encode()
    decoder = decode(BEGIN + phase("list", LIST) + phase("read", READ) + phase("read", nothing))
    assert unpacked(decoder) == Reading(b"", (), {})


def test_the_smaps_text_is_held_once() -> None:
    """Four megabytes of smaps take less than half as much again on the way to one buffer."""
    text = b"00400000-00401000 r-xp 00000000 08:01 9\nRss:        4 kB\n" * 75_000
    read = b"NONCE smaps\n==> /dev/null <==\n\n==> 7/smaps <==\n" + text
    read = (read + b"NONCE access\n7 ok\nNONCE facts\n" + SAME.encode() + b"\0NONCE end\n").replace(
        b"NONCE", NONCE.encode()
    )
    packed = phase("read", read, "gzip")
    decoder = decode(BEGIN + phase("list", LIST))
    del read
    tracemalloc.start()
    try:
        decoder.feed(packed)
        reading = unpacked(decoder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reading.smaps == text
    assert peak < 1.5 * len(text) + 4 * 2**20  # and pieces of a megabyte in flight


def test_a_bomb_is_an_error_before_it_is_in_memory() -> None:
    """The limit counts what comes out of gzip."""
    decoder = Decoder(SCRIPT, host="web-03", limits=Limits(host=5_000_000, listing=5_000_000))
    with pytest.raises(ProtocolError, match="more than 5,000,000 bytes while listing"):
        decoder.feed(BEGIN + phase("list", b"\0" * 50_000_000, "gzip"))


def test_gzip_that_grows_too_much_is_a_bomb_whatever_the_limit() -> None:
    """A thousandth of what it unpacks to, it is refused when 16 MiB are out, and takes at most some 40 MiB here."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(128)) + packer.flush()
    decoder = decode(BEGIN + phase("list", LIST) + f"{NONCE} read gzip\n".encode())
    tracemalloc.start()
    try:
        decoder.feed(bomb + OVER)
        with pytest.raises(ProtocolError, match="unpacks to more than 200 times its size"):
            unpacked(decoder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20


@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_a_process_over_its_limit_is_cut_and_the_others_are_whole(packing: str) -> None:
    """Its text is dropped; the next one's place follows."""
    decoder = Decoder(SCRIPT, host="web-03", limits=Limits(process=60))
    decoder.feed(stream(packing))
    reading = unpacked(decoder)
    assert reading.smaps == TEXT_8
    assert reading.processes[0] == ProcessReading(7, "cut", 0, 0, 1001, address_space=8192000, arguments=("odd", ""))
    assert reading.processes[2] == ProcessReading(8, "read", 0, 51, 0, address_space=4096000, arguments=("a\nb\udcff",))


def test_endless_noise_is_an_error() -> None:
    """Output without a first frame is refused before the time is up."""
    decoder = Decoder(SCRIPT, host="web-03", limits=Limits(noise=1_000_000))
    for _ in range(15):
        decoder.feed(b"\xff" * 65536)
    with pytest.raises(ProtocolError, match="more than 1,000,000 bytes outside the probe's frames"):
        decoder.feed(b"\xff" * 65536)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (b"NONCE stat\n" + b"\n" * (1 << 19) + b"\n", "more than 524,288 records of stat"),
        (b"NONCE x\n" * ((1 << 14) + 1), "more than 16,384 frames"),
        (
            b"NONCE stat\n" + b"".join(b"%d/stat:1 (a) S\n" % pid for pid in range((1 << 16) + 1)),
            "more than 65,536 processes",
        ),
    ],
    ids=["records", "frames", "processes"],
)
def test_what_would_take_too_much_memory_is_an_error(section: bytes, message: str) -> None:
    """A few bytes there may not become many objects here."""
    with pytest.raises(ProtocolError, match=message):
        decode(BEGIN + phase("list", section.replace(b"NONCE", NONCE.encode()) + f"{NONCE} end\n".encode()))


def test_cgroups_are_the_paths_of_every_hierarchy_once() -> None:
    """Lines of v1 and v2; a path may hold colons."""
    listed = LIST.replace(
        f"{NONCE} end\n".encode(),
        f"{NONCE} cgroup\n7/cgroup:9:name=systemd:/a:b\n7/cgroup:8:pids:/a:b\n7/cgroup:0::/\n{NONCE} end\n".encode(),
    )
    listing = decode(BEGIN + phase("list", listed)).listing
    assert listing is not None
    assert [process.cgroups for process in listing.processes] == [("/a:b", "/"), None, None]


def link(path: str, target: str, kind: tarfile._TarFormat = tarfile.GNU_FORMAT) -> bytes:
    """An archive with one symbolic link, as tar writes it."""
    member = tarfile.TarInfo(path)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member.tobuf(kind, "utf-8", "surrogateescape") + bytes(1024)


def listed_with(exe: bytes) -> bytes:
    end = f"{NONCE} end\n".encode()
    return BEGIN + phase("list", LIST.replace(end, f"{NONCE} exe\n".encode() + exe + end))


@pytest.mark.parametrize(
    "target",
    ["/usr/bin/odd", "/srv/a\n12/exe\n/b (deleted)", "/" + "long/" * 800, "/srv/\udcff"],
    ids=["plain", "newlines", "long", "not UTF-8"],
)
def test_exe_is_where_the_link_points(target: str) -> None:
    """Any target is read back, as the first or the second link of an archive."""
    listing = decode(listed_with(link("7/exe", target) + link("31/exe", "/bin/other"))).listing
    assert listing is not None
    assert [process.exe for process in listing.processes] == [target, None, "/bin/other"]


@pytest.mark.parametrize(
    "archive",
    [
        link("7/exe", "/x" * 200, tarfile.PAX_FORMAT),
        link("7/cwd", "/x"),
        link("7/exe", "/x")[:300],
        b"x" * 1024,
    ],
    ids=["another format", "another link", "cut", "no archive"],
)
def test_links_that_tar_cannot_have_archived_are_an_error(archive: bytes) -> None:
    """The archive is what the probe asked for, or nothing."""
    with pytest.raises(ProtocolError, match="link"):
        decode(listed_with(archive))


@pytest.mark.parametrize(
    ("reason", "message"),
    [("tools", "needs grep (with -a, -z, -H, -s) and tail there"), ("proc_root", "no processes in /proc")],
)
def test_a_probe_that_cannot_run_says_why(reason: str, message: str) -> None:
    """The host answers, but lacks something: its fault, not the wire's."""
    with pytest.raises(RemoteError) as caught:
        decode((BEGIN if reason == "tools" else b"") + f"{NONCE} fail {reason}\n".encode())
    assert (caught.value.message, bool(caught.value.hint)) == (message, True)


STAT_7 = SAME.encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BEGIN.replace(b"begin 1", b"begin 2"), 'does not know the frame "begin 2'),
        (BEGIN.replace(b" uid=1000", b""), "the first frame lacks uid"),
        (BEGIN.replace(b"page_size=4096", b"page_size="), "b'' is not a number"),
        (BEGIN + f"{NONCE} dance\n".encode(), 'does not know the frame "dance"'),
        (BEGIN + NONCE.encode() + b" " + b"x" * 2000, "line has no end"),
        (BEGIN + phase("list", f"{NONCE} ".encode() + b"x" * 2000), "line has no end"),
        (BEGIN + f"{NONCE} list gzip\nplain text".encode() + OVER, "is not gzip"),
        (BEGIN.replace(b"page_size=4096", b"page_size=0"), "a page size of 0"),
        (BEGIN.replace(b"uid=1000", b"uid=-1"), "b'-1' is not a number"),
        (BEGIN + BEGIN, "it began twice"),
        (BEGIN + phase("read", READ), "smaps came before the list"),
        (BEGIN + phase("list", LIST) + phase("list", LIST), "a second list of processes"),
        (BEGIN + phase("both", LIST + READ), 'does not know the frame "both plain"'),
        (BEGIN + phase("list", LIST.replace(b" 8192000 33 184", b"")), "7/stat is not a stat line"),
        (BEGIN + phase("list", LIST.replace(b"8192000", b"x")), "7/stat is not a stat line"),
        (BEGIN + phase("list", LIST.replace(b"7/stat", b"7/stat:x\n" * 500_000 + b"7/stat", 1)), "7/stat is not a"),
        (BEGIN + phase("list", LIST.replace(b" 33 184", b" -33 184")), "7/stat is not a stat line"),
        (BEGIN + phase("list", LIST.replace(b" 33 184", b" " + b"9" * 5000 + b" 184")), "7/stat is not a stat line"),
        (BEGIN + phase("list", LIST.replace(b"7/stat", b"9" * 5000 + b"/stat")), "does not begin with a pid"),
        (BEGIN + phase("list", LIST.replace(b"7/cmdline:odd", b"odd")), "is not a line of cmdline"),
        (BEGIN + phase("list", LIST.replace(b"7/cmdline:odd", b"x/cmdline:odd")), "does not begin with a pid"),
        (BEGIN + phase("list", LIST.replace(b"\xff\0", b"\xff")), "a record of cmdline is not closed"),
        (BEGIN + phase("list", LIST.replace(b"\t1000\t1001\t", b"\t")), "7/status has no Uid line"),
        (stream("plain", reading=READ.replace(b"==> /dev/null <==\n\n", b"x\n")), "without tail's first header"),
        (stream("plain", reading=READ.replace(b"==> 8/", b"==> 7/")), "smaps of process 7 came twice"),
        (stream("plain", reading=READ.replace(b"8 ok\n", b"")), "do not follow the order"),
        (stream("plain", reading=READ.replace(b"7 ok\n12 ok\n", b"12 ok\n7 ok\n")), "do not follow the order"),
    ],
)
def test_what_is_not_the_wire_format_is_an_error(data: bytes, message: str) -> None:
    """A stream that the probe cannot have sent is never half accepted; unused processes are not parsed."""
    with pytest.raises(ProtocolError, match=message):
        understood(decode(data))


def test_lines_of_a_rollup_that_are_no_sizes_are_left_out() -> None:
    """The header is a mapping's; a number that no kernel prints is dropped."""
    lines = (b"55e0-7ffd ---p 00000000 00:00 0 [rollup]", b"Rss:  12 kB", b"Mood: good", b"Pss: " + b"9" * 19 + b" kB")
    rollup = b"7/smaps_rollup:" + b"\n".join(lines) + b"\n\0"
    reading = read_after(READ.replace(b"7/cmdline:odd", rollup + b"7/cmdline:odd"))
    assert [one.rollup for one in reading.processes if one.pid == 7] == [{"Rss": 12}]


@pytest.mark.parametrize(
    ("section", "seconds", "alone"),
    [
        (b"1234.50 1236.25\n", 1.75, {}),
        (b"10.00 10.01\n10.01 11.00 7\n11.00 11.02 8\n", 1.02, {7: 0.99, 8: 0.02}),
        (b"", None, {}),
        (b"1234.50 \n", None, {}),
        (b"-1.00 2.00\n", None, {}),
        (b"9.00 8.00\n", 0.0, {}),
    ],
)
def test_times_of_the_groups(section: bytes, seconds: float | None, alone: dict[int, float]):
    """The uptime at its end less that at its begin; unknown where the host does not say, or not in that form."""
    assert parse_times(section) == (seconds, alone)


def test_a_host_asked_again_lists_anew():
    """After begin_again() another list is no mistake; of two equal stat lines the second is as good as the first."""
    decoder = Decoder(SCRIPT, host="box")
    decoder.feed(BEGIN + phase("list", LIST) + phase("read", READ))
    before = decoder.listing
    decoder.begin_again()
    assert decoder.listing is None
    decoder.feed(phase("list", LIST.replace(b"4711 8192000 33", b"4711 8192000 35")))
    assert before is not None
    assert decoder.listing is not None
    assert [one.rss_kib for one in before.processes] == [132, 0, 0]
    assert [one.rss_kib for one in decoder.listing.processes] == [140, 0, 0]


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_smaps_beyond_the_hosts_room_are_cut_and_the_rest_is_read(packing: str) -> None:
    """The first text is whole, the one that does not fit is cut, and what follows the texts is all there."""
    decoder = Decoder(SCRIPT, host="web-03", limits=Limits(text=100_000))
    decoder.feed(stream(packing, reading=READ.replace(TEXT_8, TEXT_8 * 60_000)))
    reading = unpacked(decoder)
    assert [(one.pid, one.status) for one in reading.processes] == [
        (7, "read"),
        (12, "kernel"),
        (8, "cut"),
        (31, "gone"),
    ]
    assert reading.smaps == TEXT_7
    assert reading.processes[2].arguments == ("a\nb\udcff",)


def test_a_long_answer_waits_in_a_file() -> None:
    """Two megabytes stay in memory; the answer is the same."""
    block = TEXT_7 * 200_000
    decoder = decode(BEGIN + phase("list", LIST))
    tracemalloc.start()
    try:
        decoder.feed(f"{NONCE} read plain\n{NONCE} smaps\n==> /dev/null <==\n\n==> 7/smaps <==\n".encode())
        for _ in range(16):
            decoder.feed(block[: 1 << 20])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 << 20
