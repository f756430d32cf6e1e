"""A fleet watched.   collector ─► rounds ─► history, growth ─► render, cli

rounds    the same question every few seconds, over connections that stay open
history   what a trend and "since the start" need of each round, and no more
growth    a report with both as columns
line      a round in one line
keys      what a key does to what is shown
window    the part of a report that there is room for
"""

from fleetpmap.watch.growth import with_growth
from fleetpmap.watch.history import History
from fleetpmap.watch.keys import Showing, keys_in, pressed
from fleetpmap.watch.line import round_line
from fleetpmap.watch.rounds import Round, Rounds
from fleetpmap.watch.viewport import Window

__all__ = ["History", "Round", "Rounds", "Showing", "Window", "keys_in", "pressed", "round_line", "with_growth"]
