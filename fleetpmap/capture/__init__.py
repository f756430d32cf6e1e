"""Raw files of a run, written and loaded again.   collector ─► [capture] ─► Snapshot

    tree        the files of a capture: their names, and the directory of each host
    manifest    facts that the files do not hold: failed hosts, denied processes, times; and each file's checksum
      ▼
    writer      writes each host's reply as soon as it arrives, into a directory or one archive
      ▼
    stored      reads a directory or an archive, host by host; follows no link, writes nothing
      ▼
    loader      passes those files through the parsers of a live run: the same Snapshot
    foreign     the same for trees without a manifest: a user's copy of /proc, or an archive of smemcap

A capture has the layout of tests/fake_proc, so it can be a `proc_root`: a user's capture is a test fixture as it is.
"""

from fleetpmap.capture.loader import load
from fleetpmap.capture.writer import CaptureWriter

__all__ = ["CaptureWriter", "load"]
