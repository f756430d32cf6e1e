"""Defaults that an option and the library share.   [defaults] ─► cli.options, collection, processes

The command line needs them for --help, before it imports what asks hosts.
"""

JOBS = 32
"""Hosts asked at once, `--jobs`: more threads only share the same interpreter."""
MAX_RSS = "64G"
"""RSS of a process that is read: `--max-rss`."""
MAX_RSS_SUM = "256G"
"""RSS of all processes that are read on one host: `--max-rss-sum`."""
