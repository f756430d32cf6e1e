"""The raw files of a run, kept and read again.   collector ─► [capture] ─► Snapshot

    layout      which files there are, what they are called, and how a host's name becomes a directory's
    manifest    what the files do not say: who failed and why, who was denied, when; and every file's checksum
      ▼
    writer      a host's answer into files, as soon as it has answered: a directory, or one archive
      ▼
    stored      a directory or an archive into the files of one host after another; follows no link, writes nothing
      ▼
    reader      those files through the parsers of a live run: the same Snapshot
    found       the same for trees without a manifest: a user's own copy of /proc, or what smemcap wrote

A capture is laid out as tests/fake_proc is, so it is a `proc_root` too: a user's capture is a fixture as it stands.
"""

from fleetpmap.capture.loader import load
from fleetpmap.capture.writer import CaptureWriter

__all__ = ["CaptureWriter", "load"]
