"""Tables that a study measures row by row: each row is kept as it is done, in the place of an older one."""

from __future__ import annotations

import csv
from pathlib import Path


def read(path: Path) -> list[dict[str, str]]:
    """The table as it was measured."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def keep(path: Path, names: list[str], row: list[str], order: list[tuple[str, ...]]) -> None:
    """Put a row into the table; its first columns are its key, and keys stand in `order`."""
    width = len(order[0])
    kept = {tuple(list(each.values())[:width]): list(each.values()) for each in (read(path) if path.exists() else [])}
    kept[tuple(row[:width])] = row
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *(kept[key] for key in order if key in kept)])
