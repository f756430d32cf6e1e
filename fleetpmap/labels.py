"""Labels of a run.   --label KEY=VALUE ─► [labels] ─► snapshot.Run ─► openmetrics, json, parquet

A key has the form of a label's name in Prometheus, and is none of those by which fleetpmap itself tells samples apart.
Source: https://prometheus.io/docs/concepts/data_model/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fleetpmap.errors import UsageError

OWN = ("host", "pid", "name", "status", "kind", "more")
"""Keys that metrics have already."""
_KEY = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Label:
    """One label; its value is any text."""

    key: str
    value: str

    def __post_init__(self) -> None:
        """Check the key, which may come from a file.

        Raises:
            ValueError: it cannot be a key; the message is half a sentence.
        """
        if not _KEY.fullmatch(self.key):
            raise ValueError(f'"{self.key}" cannot be a key: write letters, digits and _, and no digit first')
        if self.key in OWN:
            raise ValueError(f'fleetpmap sets "{self.key}" itself')
        if not self.value:
            raise ValueError("the value is missing, and Prometheus takes an empty one for no label")


def labels_from(texts: Iterable[str]) -> tuple[Label, ...]:
    """Parse the values of --label.

    Raises:
        UsageError: one of them is not KEY=VALUE, or two have the same key.
    """
    labels: dict[str, Label] = {}
    for text in texts:
        key, _, value = text.partition("=")
        try:
            label = Label(key, value)
        except ValueError as error:
            raise UsageError(f"--label {text}: {error}", hint="write --label service=shop") from error
        if key in labels:
            raise UsageError(f"--label {text}: {key} is {labels[key].value} already", hint="leave one of them out")
        labels[key] = label
    return tuple(labels.values())


def together(labels: Iterable[Label], later: Iterable[Label]) -> tuple[Label, ...]:
    """Return all of them; of two with one key the later one."""
    return tuple({label.key: label for label in (*labels, *later)}.values())
