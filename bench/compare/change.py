"""One thing that differs between two runs, and the words for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

WORSE, CHANGED, INCONCLUSIVE, VANISHED, NOT_COMPARABLE, APPEARED, BETTER, SAME = ORDER = (
    "worse", "changed", "inconclusive", "vanished", "not comparable", "appeared", "better", "same",
)  # fmt: skip
"""Verdicts, in the order in which they are shown. `changed` is for what has no better side, a gradient norm over training."""
MARKS = {WORSE: "✗", CHANGED: "≠", INCONCLUSIVE: "?", VANISHED: "−", NOT_COMPARABLE: "·", APPEARED: "+", BETTER: "✓", SAME: "="}


@dataclass
class Change:
    """One metric of one network on one backend, in both runs.

    `old`, `new` and `interval` are text for a reader, `numbers` the same for a program; `note` is why, or what an outlier looks
    like; `size` orders changes of one verdict; `rerun` judges the new side again.
    """

    verdict: str
    backend: str
    network: str
    metric: str
    old: str = "—"
    new: str = "—"
    interval: str = ""
    note: str = ""
    size: float = 0.0
    rerun: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass
class Comparison:
    """Two runs side by side: `differences` of environment as (name, old, new), every change, and what to know of it."""

    old: str
    new: str
    differences: list[tuple[str, str, str]]
    changes: list[Change]
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[Change]:
        """What is not the same, worst first."""
        return sorted((c for c in self.changes if c.verdict != SAME), key=lambda c: (ORDER.index(c.verdict), -c.size))

    @property
    def rows(self) -> list[Change]:
        """What is shown one by one: all but what cannot be compared."""
        return [change for change in self.shown if change.verdict != NOT_COMPARABLE]

    @property
    def reasons(self) -> list[str]:
        """Why things cannot be compared, each reason counted."""
        counted = Counter(change.note for change in self.changes if change.verdict == NOT_COMPARABLE)
        return [f"{count} × not comparable: {reason}" for reason, count in counted.items()]

    def count(self, verdict: str) -> int:
        """How many changes have this verdict."""
        return sum(c.verdict == verdict for c in self.changes)

    @property
    def headline(self) -> str:
        """One sentence: what is worse, framework and metric by name, or that nothing is."""
        compared = sum(c.verdict not in (VANISHED, APPEARED, NOT_COMPARABLE) for c in self.changes)
        if not compared:
            return "Nothing could be compared."
        parts = []
        for verdict in (WORSE, BETTER):
            chosen = [c for c in self.shown if c.verdict == verdict]
            for backend in dict.fromkeys(c.backend for c in chosen):
                own = [c for c in chosen if c.backend == backend]
                metrics = ", ".join(dict.fromkeys(c.metric.partition(",")[0] for c in own))
                parts.append(f"{backend} is {verdict} in {metrics} ({len(own)} of {compared}; most in {own[0].network})")
        return "; ".join(parts) + "." if parts else f"Nothing is worse ({compared} metrics compared)."
