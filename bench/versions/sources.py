"""Which state of the suite a kept result belongs to: a digest of the files it depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "conftest.py",
    "models/**/*.py",
    "fixtures/**/*.py",
    "bench/**/*.py",
    "baselines/*.json",
)
"""What a run's result depends on besides its options; another state of these files is another result."""


def digest(words: object, patterns: tuple[str, ...] = SOURCES) -> str:
    """Ten hexadecimal digits that name `words` and the contents of the files that match `patterns`."""
    made = hashlib.sha256(repr(words).encode())
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            made.update(path.read_bytes())
    return made.hexdigest()[:10]
