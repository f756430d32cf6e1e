"""One module for each view: a pure function Snapshot ─► Report.

No view imports another, except summary and page, which are put together from several (see pyproject.toml).
"""
