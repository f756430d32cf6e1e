"""The same question every few seconds.   collection ─► [watch] ─► cli

rounds         rounds over sessions that stay open
standing_out   what stands out in a round, and what of it is new
line           a round in one line
"""

from fleetpmap.watch.line import round_line
from fleetpmap.watch.rounds import Rounds
from fleetpmap.watch.standing_out import News, StandingOut

__all__ = ["News", "Rounds", "StandingOut", "round_line"]
