"""The library as one call, and its results in notebooks.   arguments ─► [library] ─► Snapshot ─► data frames, html

one_call     `fleetpmap.run`: hosts and processes by name to a Snapshot
conversion   Snapshot, Report and Table as dictionaries and data frames
fragment     the same as a piece of html
"""
