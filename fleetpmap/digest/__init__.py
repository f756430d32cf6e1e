"""What hosts answered to what it comes to, several hosts at once.   conversation ─► [digest] ─► collector

turns       answers wait, packed, for their turn; one thread at a time unpacks them, in batches of hosts alike
  ▼
batch       a batch's texts, parsed, checked and named in one go, to a HostSnapshot for each host
  ▼
processes   every process that matched, with what became of it
"""

from fleetpmap.digest.turns import Digest, host_snapshot

__all__ = ["Digest", "host_snapshot"]
