r"""The rows of a report, one json object a line.   report ─► [as_jsonl] ─► file, or stdout as hosts finish

    {"host": "web-01", "status": "ok", "pss_kib": 21034, …}
    {"host": "web-02", "status": "ok", "pss_kib": 22506, …}
    {"fleetpmap": {"version", "format"}, "run": …, "coverage": …, "failures": …, "notes": …, "view", "columns", …}

Each line but the last is a row as in json. The last is the json document without its rows; only this line has the key
`fleetpmap`, so a stream without it was cut off.
"""

from __future__ import annotations

from typing import BinaryIO

from fleetpmap.export.json_document import dumps, row_lines, without_rows
from fleetpmap.report.model import Report


def write_jsonl(report: Report, file: BinaryIO) -> None:
    """Write the first table's rows and the last line."""
    write_rows(report, file)
    write_last_line(report, file)


def write_rows(report: Report, file: BinaryIO) -> None:
    """Write the first table's rows: all, or those of the hosts that have answered so far."""
    for lines in row_lines(report.tables[0]):
        file.write("".join(f"{line}\n" for line in lines).encode())


def write_last_line(report: Report, file: BinaryIO) -> None:
    """Write the last line: the document without its rows."""
    file.write(f"{dumps(without_rows(report))}\n".encode())
