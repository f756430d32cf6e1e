"""smaps text to columns.   wire ─► [smaps] ─► table

In reading order:

    fields            the kernel's fields as a table
    columns           the result: one array per field
    grammar           the mapping line
    reference_parser  one process, line by line: plain and slow; every error comes from here
    text_buffer       a window of the text as bytes and words, and arithmetic on words
    line_codes        repeating ends of lines as codes
    header_parser     all mapping lines of a window at once
    parsed_rows       the mappings of one window
    block_parser      all blocks of a window at once; the odd ones go to reference_parser
    parser            windows, processes, errors: `parse` and `parse_processes`
"""

from fleetpmap.smaps.columns import NULL, Coded, SmapsColumns
from fleetpmap.smaps.parser import parse, parse_processes
from fleetpmap.smaps.reference_parser import signature

__all__ = ["NULL", "Coded", "SmapsColumns", "parse", "parse_processes", "signature"]
