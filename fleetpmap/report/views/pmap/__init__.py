"""pmap's own text, process by process.   snapshot ─► [pmap] ─► Report

Byte for byte the output of pmap of procps-ng 4.0.2 on a 64-bit machine; docs/pmap.md lists the differences, and why.

    process_blocks   the view: a block of text for each process, and the rows for csv and json
    command_line     the first line of a block
    mapping_names    the Mapping column
    formats          the rows of one process: bare, -x, -d, -X and -XX
"""

from __future__ import annotations

from fleetpmap.report.views.pmap.process_blocks import from_options, pmap

__all__ = ["from_options", "pmap"]
