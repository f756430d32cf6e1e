"""A screen to walk through the memory of a fleet.   Source ─► [explore] ─► the terminal

narrowing   the part of a snapshot that was entered
places      where one is in the walk, and what is below a row
listing     the report of a place, and its difference from a marked snapshot
sheet       the lines of a table, made as they are drawn
shown       snapshot, mark, order, filter, and the way back
sentences   the line above the list, and the lines below it
grid        the table with its cursor
dialogs     texts over the table
source      the functions that the command hands over: look, doctor, write
app         the keys and the panes

Only `grid`, `dialogs` and `app` import Textual, which the extra [explore] installs.
"""
