"""A screen to walk through the memory of a fleet.   Source ─► [explore] ─► the terminal

Without Textual, from a snapshot to text:

source      what the command hands over: look, save, doctor, write, and the first list
places      where one is in the walk, and what is below a row
narrowing   the part of a snapshot that was entered
listing     the report of a place, and its order
differences the difference of a list from that of a marked snapshot
trends      the sizes of the last rounds as signs, on the scale of what counts as a change
vma_trends  the same of the VMAs of the process that is open
course      the rounds so far, and what the last one is compared with
shown       snapshot, mark, order, filter, chosen rows, and the way back
sheet       the lines of a table, made as they are drawn
sentences   the line above the list, and the lines below it
timeline    the runs of a directory, and the line that shows where in time one is

With Textual, from the panes to the program:

lines       a pane of text
grid        the table with its cursor
findings    the pane with what stands out
keyline     the last line, with the keys
prompt      the line in which a filter or the name of a file is typed
palette     the commands by name
dialogs     texts over the table
threads     work that no key waits for
asking      the hosts, asked on a key or every interval
searching   the search for what stands out
time_pane   the runs of a directory, loaded when they are wanted
keys        what each key does
panes       the screen with all panes, and what stands in them
writing     the file of what is shown
comparing   the rows that are chosen, side by side
filtering   the filter of the list
diagnosing  the steps to a host, tried one by one
signals     the ways to end, and ^Z
app         the actions of the keys, and what threads bring
"""
