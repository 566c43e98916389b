"""How large a difference must be to matter: as asked for, as this machine can resolve it, or as each metric has it."""

from __future__ import annotations

from collections.abc import Callable

from bench.timing.duet.calibration import Calibration
from bench.timing.duet.metrics import METRICS
from models.spec import SpecError

Margins = Callable[[str, str], float]
"""The margin of a case's metric."""


def margins_of(given: list[str], known: Calibration | None, restarts: int) -> Margins:
    """Margins as asked for, else as this machine's calibration has them, else each metric's own. Raises SpecError."""
    asked: dict[str, float] = {}
    for text in given:
        name, equals, share = text.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not equals or not value > 0 or name.rpartition(".")[2] not in METRICS:
            raise SpecError(f"--margin {text} is not METRIC=SHARE or CASE.METRIC=SHARE: write step=0.03; metrics are {', '.join(METRICS)}.")
        asked[name] = value

    def margin(case: str, metric: str) -> float:
        general = known.margin(case, metric, restarts) if known else METRICS[metric].margin
        return asked.get(f"{case}.{metric}", asked.get(metric, general))

    return margin
