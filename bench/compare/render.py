"""A comparison as text for a terminal, as Markdown for a pull request, and as JSON for a program."""

import msgspec

from bench.compare.change import MARKS, SAME, Change, Comparison
from bench.compare.runs import status
from bench.report import text_table, texts
from bench.report.text_table import cut

ROWS = {"text": 60, "markdown": 100}
"""How many changes are shown; a CI step summary takes a megabyte and a pull-request comment 65,536 characters."""
ENTITIES = {
    "&": "&amp;", "<": "&lt;", "|": "\\|", "@": "&#64;", "`": "&#96;", "[": "&#91;",
    "://": "&#58;//", "www.": "www&#46;", "mailto:": "mailto&#58;",
}  # fmt: skip
"""What Markdown would take for more than text, and what to write instead; the first one first."""
NOTE, MARKDOWN_LIMIT = 100, 60_000
"""Characters of a note that are shown, and of the Markdown as a whole."""


def text(comparison: Comparison) -> str:
    """Environment differences, then one block a change, worst first."""
    lines = [f"old  {comparison.old}", f"new  {comparison.new}", "", comparison.headline, ""]
    width = max((len(name) for name, _, _ in comparison.differences), default=0)
    lines += ["environment" if comparison.differences else "environment: the same"]
    lines += [f"  {name:<{width}}  {old} → {new}" for name, old, new in comparison.differences]
    rows, rest = _rows(comparison, ROWS["text"])
    if rows:
        lines += ["", *table(rows)]
    return "\n".join(map(texts.visible, [*lines, "", *rest, *comparison.reasons, *comparison.notes, _quiet(comparison), ""]))


def markdown(comparison: Comparison) -> str:
    """The same as two tables; short enough for a CI step summary and a pull-request comment."""
    lines = [f"### {_cell(comparison.headline)}", "", f"- old: {_cell(comparison.old)}", f"- new: {_cell(comparison.new)}", ""]
    if comparison.differences:
        lines += text_table.markdown([("environment", "old", "new"), *(tuple(map(_cell, row)) for row in comparison.differences)])
    rows, rest = _rows(comparison, ROWS["markdown"])
    if rows:
        lines += ["", "| verdict | backend | network | metric | old → new | interval | note |", "|---|---|---|---|---|---|---|"]
    end = ["", *rest, *(f"- {_cell(line)}" for line in (*comparison.reasons, *comparison.notes, _quiet(comparison))), ""]
    size = sum(map(len, lines + end))
    for number, change in enumerate(rows):
        cells = (
            f"{MARKS[change.verdict]} {change.verdict}", change.backend, change.subject, change.name, _values(change),
            change.interval, cut(change.note, NOTE),
        )  # fmt: skip
        row = "| " + " | ".join(map(_cell, cells)) + " |"
        size += len(row) + 1
        if size > MARKDOWN_LIMIT:
            end.insert(1, f"{len(rows) - number} more rows do not fit here; --format=html shows all.")
            break
        lines.append(row)
    return "\n".join(lines + end)


def as_json(comparison: Comparison) -> str:
    """Everything, with numbers; NaN and infinities, which JSON lacks, as null."""
    content = {
        "kind": "gradgauge comparison",
        "schema": 2,
        "status": status(comparison).name.lower(),
        "headline": comparison.headline,
        "old": comparison.old,
        "new": comparison.new,
        "environment": [{"name": name, "old": old, "new": new} for name, old, new in comparison.differences],
        "changes": comparison.shown,
        "same": comparison.count(SAME),
        "notes": comparison.notes,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def table(rows: list[Change]) -> list[str]:
    """A line a change, columns as wide as what is in them, the note below."""
    grid = [("verdict", "backend", "network", "metric", "old → new", "interval")]
    grid += [(f"{MARKS[c.verdict]} {c.verdict}", c.backend, c.subject, c.name, _values(c), c.interval) for c in rows]
    head, *lines = text_table.lines(grid)
    noted = [[line, *([f"  {cut(change.note, NOTE)}"] if change.note else [])] for line, change in zip(lines, rows, strict=True)]
    return [head, *(line for pair in noted for line in pair)]


def _rows(comparison: Comparison, most: int) -> tuple[list[Change], list[str]]:
    """The changes to show, and a line for those left out."""
    left_out = len(comparison.rows) - most
    return comparison.rows[:most], [f"… {left_out} more, in --format=json or html", ""] if left_out > 0 else []


def _quiet(comparison: Comparison) -> str:
    return f"{comparison.count(SAME)} of {len(comparison.changes)} metrics are the same and not shown."


def _values(change: Change) -> str:
    return "" if change.old == change.new == "—" else f"{change.old} → {change.new}"


def _cell(value: str) -> str:
    """Text from outside as it can stand in a Markdown table: no line ends, no column ends, no HTML, no mentions or links.

    Escape sequences are made visible. Bare addresses, which some renderers make links of, lose what they are known by.
    """
    plain = texts.visible(" ".join(value.split()))
    for sign, code in ENTITIES.items():
        plain = plain.replace(sign, code)
    return plain
