"""The parser's two paths, held together: what the fast one gives is what the general one gives."""

from __future__ import annotations

import numpy as np

from fleetpmap.errors import SmapsError
from fleetpmap.smaps import NULL, SmapsColumns, parse_processes
from fleetpmap.smaps.reference_parser import Block, read_process

Row = tuple[object, ...]
"""Everything known of one mapping: process, start, end, perms, offset, device, inode, path, flags, fields in order."""


def rows_of(columns: SmapsColumns) -> list[Row]:
    """One tuple per mapping: everything the columns say of it, its fields in order."""
    fields = {key: column.tolist() for key, column in columns.fields.items()}
    return [
        (*row, {key: column[slot] for key, column in fields.items() if column[slot] != NULL})
        for slot, row in enumerate(
            zip(
                columns.process.tolist(),
                columns.start.tolist(),
                columns.end.tolist(),
                columns.perms.texts(),
                columns.offset.tolist(),
                columns.device.texts(),
                columns.inode.tolist(),
                columns.path.texts(),
                columns.flags.texts(),
                strict=True,
            )
        )
    ]


def row_of(process: int, block: Block) -> Row:
    """The same of a block as the general path reads it."""
    header = block.header
    return (
        process,
        header.start,
        header.end,
        header.perms,
        header.offset,
        header.place.device,
        header.place.inode,
        header.place.path,
        block.flags,
        block.numbers,
    )


def spans_of(texts: list[bytes]) -> list[tuple[int, int]]:
    """Where each text stands when they follow each other."""
    stops = np.cumsum([len(text) for text in texts]).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True)) if texts else []


def assert_both_paths_agree(texts: list[bytes]) -> None:
    """The columns, errors, order of keys and names are what the general path gives, process by process."""
    columns, errors = parse_processes(b"".join(texts), spans_of(texts))
    expected: list[Row] = []
    expected_errors: dict[int, tuple[str, int]] = {}
    keys: dict[str, None] = {}
    for process, text in enumerate(texts):
        try:
            blocks = read_process(text)
        except SmapsError as error:
            expected_errors[process] = (error.message, error.offset)
            continue
        expected += [row_of(process, block) for block in blocks]
        keys |= {key: None for block in blocks for key in block.numbers}
    assert rows_of(columns) == expected
    assert {process: (error.message, error.offset) for process, error in errors.items()} == expected_errors
    assert list(columns.fields) == list(keys)
    for coded in (columns.perms, columns.device, columns.path, columns.flags):
        assert list(coded.names) == list(dict.fromkeys(text for text in coded.texts() if text is not None))
