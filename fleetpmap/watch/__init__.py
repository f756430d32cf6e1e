"""The same question every few seconds, and the growth since the first round.   collection ─► [watch] ─► cli

rounds         rounds over sessions that stay open
history        the sizes of the last rounds and of the first
growth         a report with two columns more: growth since the start, and trend
standing_out   what stands out in a round, and what of it is new
line           a round in one line
keys           a pressed key applied to the state of the screen
viewport       the lines of a report that fit on the screen
"""

from fleetpmap.watch.growth import with_growth
from fleetpmap.watch.history import History
from fleetpmap.watch.keys import Showing, keys_in, pressed
from fleetpmap.watch.line import round_line
from fleetpmap.watch.rounds import Round, Rounds
from fleetpmap.watch.standing_out import News, StandingOut
from fleetpmap.watch.viewport import Reserved, Viewport

__all__ = [
    "History",
    "News",
    "Reserved",
    "Round",
    "Rounds",
    "Showing",
    "StandingOut",
    "Viewport",
    "keys_in",
    "pressed",
    "round_line",
    "with_growth",
]
