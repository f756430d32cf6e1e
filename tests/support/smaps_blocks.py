"""smaps text and back: the tests' own reader, slow and strict, so that the code under test judges no recording."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Block:
    """One mapping of a smaps file: its header, its fields in order, its flags (None: no such line)."""

    start: int
    end: int
    perms: str
    offset: int
    device: str
    inode: int
    path: str
    fields: dict[str, int] = field(default_factory=dict)
    flags: str | None = None

    def render(self) -> str:
        """The text as the kernel prints it: the path in column 73, numbers right-aligned to column 24."""
        place = f"{self.start:08x}-{self.end:08x} {self.perms} {self.offset:08x} {self.device} {self.inode} "
        lines = [f"{place:<73}{self.path}" if self.path else place]
        for key, value in self.fields.items():
            unit = "" if key in ("THPeligible", "ProtectionKey") else " kB"
            lines.append(f"{key + ':':<16}{value:>8}{unit}")
        if self.flags is not None:
            lines.append(f"VmFlags: {self.flags}")
        return "".join(f"{line}\n" for line in lines)


_HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)")
_FIELD = re.compile(r"(\w+): +(\d+)(?: kB)?")


def parse_blocks(text: str) -> list[Block]:
    """The mappings of one smaps or smaps_rollup file, read slowly and strictly.

    Raises:
        ValueError: a line that is neither a header nor a field, or a field before any header or twice in one block.
    """
    blocks: list[Block] = []
    for line in text.splitlines():
        if header := _HEADER.fullmatch(line):
            start, end, perms, offset, device, inode, path = header.groups()
            blocks.append(Block(int(start, 16), int(end, 16), perms, int(offset, 16), device, int(inode), path))
        elif line.startswith("VmFlags: ") and blocks:
            blocks[-1].flags = line.removeprefix("VmFlags: ")
        elif (pair := _FIELD.fullmatch(line)) and blocks and pair[1] not in blocks[-1].fields:
            blocks[-1].fields[pair[1]] = int(pair[2])
        else:
            raise ValueError(f"not a line of smaps: {line!r}")
    return blocks
