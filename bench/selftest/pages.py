"""The pages for people: every README.md of the tree, and how to contribute."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("models", "fixtures", "bench", "baselines")
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
PAGES = [
    ROOT / "README.md",
    CONTRIBUTING,
    *sorted(path for name in FOLDERS for path in (ROOT / name).rglob("README.md")),
]


def read(page: Path) -> str:
    """Its text."""
    return page.read_text(encoding="utf-8")
