"""One module for each view: a pure function Snapshot ─► Report."""
