"""One thing that differs between two runs, and two runs side by side."""

from collections import Counter
from dataclasses import dataclass, field

from bench.report import texts

WORSE, CHANGED, INCONCLUSIVE, VANISHED, NOT_COMPARABLE, APPEARED, BETTER, SAME = ORDER = (
    "worse", "changed", "inconclusive", "vanished", "not comparable", "appeared", "better", "same",
)  # fmt: skip
"""Verdicts, in the order in which they are shown. `changed` is for what has no better side, a gradient norm over training."""
MARKS = {WORSE: "✗", CHANGED: "≠", INCONCLUSIVE: "?", VANISHED: "−", NOT_COMPARABLE: "·", APPEARED: "+", BETTER: "✓", SAME: "="}
UNCOMPARED = (VANISHED, NOT_COMPARABLE, APPEARED)
"""Verdicts on what only one run has, or neither can be held against."""
NAMED = 4
"""How many metrics a headline names of a backend."""


@dataclass
class Change:
    """One metric of one network or relation on one backend, in both runs.

    `where` is the place or the timing mode. `old`, `new` and `interval` are text for a reader, `numbers` the same for a program. `note` is
    why, or what an outlier looks like. `size` orders changes of one verdict. `rerun` judges the new side again.
    """

    verdict: str
    backend: str
    subject: str
    metric: str
    where: str = ""
    old: str = "—"
    new: str = "—"
    interval: str = ""
    note: str = ""
    size: float = 0.0
    rerun: str = ""
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`gradient_parity, step 0 layer  3 weight`, `step time, eager`, `accuracy`."""
        return f"{self.metric}, {self.where}" if self.where else self.metric


@dataclass
class Comparison:
    """Two runs side by side: `differences` of environment as (name, old, new), every change, and what to know of it.

    `failed` says whether the new run ended with an exit status of its own.
    """

    old: str
    new: str
    differences: list[tuple[str, str, str]]
    changes: list[Change]
    notes: list[str] = field(default_factory=list)
    failed: bool = False

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

    @property
    def compared(self) -> int:
        """How many metrics both runs have."""
        return sum(c.verdict not in UNCOMPARED for c in self.changes)

    def count(self, verdict: str) -> int:
        """How many changes have this verdict."""
        return sum(c.verdict == verdict for c in self.changes)

    @property
    def headline(self) -> str:
        """What is worse, framework and metric by name, what is no longer judged, or that nothing is."""
        parts = [self._named(verdict, f"is {verdict} in", f" of {self.compared}") for verdict in (WORSE, BETTER)]
        missing = self._named(VANISHED, "no longer has", "")
        if not any(parts):
            none = "Nothing is worse" if not missing else "Nothing that both runs judged is worse"
            parts = [f"{none} ({texts.counted(self.compared, 'metric')} compared)" if self.compared else "Nothing could be compared"]
        failed = "the new run failed" if missing and self.failed else ""
        return "; ".join(filter(None, (*parts, missing, failed))) + "."

    def _named(self, verdict: str, phrase: str, of: str) -> str:
        """`keras is worse in update (3 of 40; most in depth=4)` for every backend that has such changes."""
        chosen = [c for c in self.shown if c.verdict == verdict]
        parts = []
        for backend in dict.fromkeys(c.backend for c in chosen):
            own = [c for c in chosen if c.backend == backend]
            metrics = list(dict.fromkeys(c.metric for c in own))
            more = f" and {len(metrics) - NAMED} more" if len(metrics) > NAMED else ""
            most = Counter(c.subject for c in own).most_common(1)[0][0] if verdict == VANISHED else own[0].subject
            parts.append(f"{backend} {phrase} {', '.join(metrics[:NAMED])}{more} ({len(own)}{of}; most in {most})")
        return "; ".join(parts)
