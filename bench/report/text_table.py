"""A table as lines of text: columns as wide as what is in them, for a terminal, or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def lines(rows: Sequence[Sequence[str]], widest: int | None = None) -> list[str]:
    """A line a row, two spaces between columns; the first row is the head. A cell beyond `widest` characters is cut with an ellipsis."""
    cells = [[cut(cell, widest) for cell in row] for row in rows]
    widths = [max(map(len, column)) + 2 for column in zip(*cells, strict=True)]
    return ["".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def markdown(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """The same in Markdown; with `numbers`, all columns but the first are flush right."""
    ruler = ["---", *["---:" if numbers else "---"] * (len(rows[0]) - 1)]
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{'|'.join(ruler)}|", *rest]


def cut(text: str, widest: int | None) -> str:
    """At most so many characters, at the end of a word or after a comma where there is one, with an ellipsis for what is left out."""
    if widest is None or len(text) <= widest:
        return text
    kept = text[: max(widest - 1, 0)]
    whole = max(kept.rfind(" "), kept.rfind(",") + 1)
    return f"{kept[:whole] if whole > 0 else kept}…"
