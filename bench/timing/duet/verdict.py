"""What a duet says of one metric of one case, and of all together."""

from dataclasses import dataclass, field

from bench.exit_status import Status
from bench.timing.duet.statistics import FASTER, OPEN, SAME, SLOWER, Estimate

NOTHING, ENVIRONMENT = "nothing measured", "environment error"
STATUS = {
    SLOWER: Status.WORSE,
    ENVIRONMENT: Status.ENVIRONMENT,
    OPEN: Status.INCONCLUSIVE,
    NOTHING: Status.NOTHING,
    FASTER: Status.FASTER,
    SAME: Status.SAME,
}
"""Every verdict's exit status, the most serious first: a run ends with its most serious one."""
MARKS = {SLOWER: "✗", ENVIRONMENT: "!", OPEN: "?", NOTHING: "−", FASTER: "✓", SAME: "="}


@dataclass
class Judged:
    """One metric of one case: the verdict, B ÷ A, what each side measured (in `unit`), and why where it is not plain."""

    case: str
    metric: str
    verdict: str
    estimate: Estimate | None = None
    margin: float = 0.0
    unit: str = ""
    a: float = 0.0
    b: float = 0.0
    reason: str = ""
    log_ratios: list[float] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The verdict in the word that fits this metric: memory is not slower but larger."""
        return {SLOWER: "larger", FASTER: "smaller"}.get(self.verdict, self.verdict) if self.unit == "MB" else self.verdict

    @property
    def description(self) -> str:
        """`slower: × 1.052 (1.041 … 1.063), margin 1.5 %, 8 restarts`."""
        if self.estimate is None:
            return f"{self.word}: {self.reason}"
        ratio, low, high = self.estimate.ratio
        text = f"{self.word}: × {ratio:.3f} ({low:.3f} … {high:.3f}), margin {100 * self.margin:.1f} %, {self.estimate.restarts} restarts"
        return f"{text}; {self.reason}" if self.reason else text


def overall(judged: list[Judged]) -> str:
    """The most serious verdict of a run; nothing measured where there is none."""
    return next((verdict for verdict in STATUS if any(each.verdict == verdict for each in judged)), NOTHING)
