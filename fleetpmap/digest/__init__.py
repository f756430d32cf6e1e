"""What hosts answered to what it comes to, several hosts at once.   conversation ─► [digest] ─► collector

batches     answers are unpacked one by one, and put into batches of hosts alike
  ▼
batch       a batch's texts, parsed, checked and named in one go, to a HostSnapshot for each host
  ▼
processes   every process that matched, with what became of it
"""

from fleetpmap.digest.batches import Keep, digest, host_snapshot

__all__ = ["Keep", "digest", "host_snapshot"]
