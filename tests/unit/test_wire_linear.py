"""The wire format's reading time: sections that repeat the beginning of a record without its end, a megabyte each."""

from __future__ import annotations

import contextlib
import time

import pytest

from fleetpmap.errors import ProtocolError
from fleetpmap.wire import Decoder
from test_wire import BEGIN, LIST, NONCE, READ, SCRIPT, phase

SIZE = 1 << 20
WITHIN_S = 5.0
"""CPU seconds, of which 0.3 are used; the quadratic expressions took 9 to 40 for a section of this length."""

LISTED = [
    ("stat", b"1/stat:1 ("),
    ("stat", b"1/stat:1 (a)"),
    ("stat", b"1/stat:\n"),
    ("stat", b"1/stat:1 (" + b" " * 60 + b"\n"),
    ("cmdline", b"1/cmdline:"),
    ("cmdline", b"11/cmdline:\x00"),
    ("cmdline", b"1/cmdline:a"),
    ("uid", b"1/status:"),
    ("uid", b"1/status:Uid:\t"),
    ("passwd", b"a:"),
    ("passwd", b"a:b:0:\n"),
    ("cgroup", b"1/cgroup:"),
    ("cgroup", b"1/cgroup:0::/"),
    ("memory", b"MemTotal: "),
    ("memory", b"some avg10=1.00 avg60=1"),
    ("names", b'a:"Name":"'),
    ("names", b"ab" * 32),
    ("names", b'/containers.json:"id":"'),
    ("exe", b"\x00"),
    ("exe", b"1/exe"),
]
READINGS = [
    ("smaps", b"==> "),
    ("smaps", b"\n==> "),
    ("smaps", b"\n==> 1"),
    ("smaps", b"\n="),
    ("access", b"7"),
    ("access", b"7 ok\n"),
    ("uid", b"7/status:"),
    ("facts", b"7/stat:"),
    ("facts", b"7/cmdline:\x00"),
    ("facts", b"7/smaps_rollup:a"),
    ("facts", b"7/smaps_rollup:" + b"a: 1 kB\n" * 100 + b"\x00"),
    ("facts", b"7/status:"),
    ("facts", b"7/status:" + b"VmRSS:\t 1 kB\n" * 100 + b"\x00"),
    ("facts", b"7/status:VmRSS:" + b" " * 1000 + b"\x00"),
    ("facts", b"7/cgroup:0::/a"),
    ("facts", b"7/cgroup:" + b"0::/a\n" * 100 + b"\x00"),
    ("facts", b"../sys/fs/cgroup/a"),
    ("facts", b"../sys/fs/cgroup" + b"/a" * 30 + b"/memory.max:1\x00"),
    ("facts", b"../sys/fs/cgroup/a/memory.stat:" + b"anon 1\n" * 100 + b"\x00"),
    ("names", b'a:"Name":"'),
    ("time", b"1.0 "),
    ("time", b"1.0 2.0\n"),
]


def took_s(data: bytes) -> float:
    """Return the CPU seconds of decoding it, with or without an error."""
    began = time.thread_time()
    with contextlib.suppress(ProtocolError):
        decoder = Decoder(SCRIPT, host="web-03")
        decoder.feed(data)
        if decoder.reading is not None:
            decoder.reading.unpack()
    return time.thread_time() - began


def ended_with(body: bytes, name: str, text: bytes) -> bytes:
    """A phase's body with one more section."""
    end = f"{NONCE} end\n".encode()
    return body.removesuffix(end) + f"{NONCE} {name}\n".encode() + text * (SIZE // len(text)) + end


@pytest.mark.parametrize("number", range(len(LISTED)))
@pytest.mark.timed
def test_a_section_of_the_list_is_read_in_linear_time(number: int) -> None:
    """Any repeated part."""
    assert took_s(BEGIN + phase("list", ended_with(LIST, *LISTED[number]))) < WITHIN_S


@pytest.mark.parametrize("number", range(len(READINGS)))
@pytest.mark.timed
def test_a_section_of_the_reading_is_read_in_linear_time(number: int) -> None:
    """Any repeated part."""
    assert took_s(BEGIN + phase("list", LIST) + phase("read", ended_with(READ, *READINGS[number]))) < WITHIN_S


@pytest.mark.parametrize(
    "text",
    [
        NONCE.encode() + b" begin ",
        NONCE.encode() + b" bye\n",
        BEGIN,
        phase("list", LIST) + phase("read", b""),
        BEGIN + phase("list", LIST) + phase("read", b"") * 20_000,
        b"\n",
        NONCE.encode()[:-1],
    ],
    ids=["begins", "byes", "begun", "phases", "readings", "lines", "almost"],
)
@pytest.mark.timed
def test_what_lies_between_phases_is_read_in_linear_time(text: bytes) -> None:
    """Noise, frames, and phases that were not requested."""
    assert took_s(text * (SIZE // len(text) + 1)) < WITHIN_S


def test_a_piece_of_one_byte_costs_no_more_than_its_byte() -> None:
    """A host may send a list byte by byte."""
    data = BEGIN + phase("list", ended_with(LIST, "passwd", b"root:x:0:0\n"), "gzip")
    decoder = Decoder(SCRIPT, host="web-03")
    began = time.thread_time()
    for at in range(len(data)):
        decoder.feed(data[at : at + 1])
    assert decoder.listing is not None
    assert time.thread_time() - began < WITHIN_S
