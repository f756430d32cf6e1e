"""The headings of --help.   [panels] ─► which, show, where, over_time, how"""

HOSTS = "Which hosts"
PROCESSES = "Which processes"
SHOW = "What to show"
OUTPUT = "Where it goes"
RUNNING = "How it runs"
