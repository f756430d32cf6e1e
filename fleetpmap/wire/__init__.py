"""Bytes to replies.   transport ─► [wire] ─► processes, smaps

    frames      the stream: noise, frames, gzip members; a cut is an error that says how much came
      ▼
    sections    one section's bytes to plain values: grep's and tail's output
    links       the same for tar's: where a symbolic link points
      ▼
    replies     sections to a Listing or a Reading; decides each process's status
      ▼
    model       the types that leave the room

Knows framing, not smaps. The grammar stands at the top of probe/probe.sh, which prints it.
"""

from fleetpmap.wire.frames import DECODED_LIMIT, PROCESS_LIMIT, Decoder, Limits
from fleetpmap.wire.model import (
    Capabilities,
    ListedProcess,
    Listing,
    PackedReading,
    ProcessReading,
    Reading,
    ReadStatus,
)
from fleetpmap.wire.replies import join_readings

__all__ = [
    "DECODED_LIMIT",
    "PROCESS_LIMIT",
    "Capabilities",
    "Decoder",
    "Limits",
    "ListedProcess",
    "Listing",
    "PackedReading",
    "ProcessReading",
    "ReadStatus",
    "Reading",
    "join_readings",
]
