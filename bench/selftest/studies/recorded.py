"""What a study prints, and keeps beside its code where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench import files


def tell(lines: Iterable[str], record: Path | None) -> None:
    """Print the lines and, with a path, replace what was recorded there. Raises bench.files.WriteError."""
    text = "\n".join(lines)
    print(text)
    if record:
        files.write(record, f"{text}\n")
