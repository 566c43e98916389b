"""How large a difference must be to matter: as asked for, as this machine can resolve it, or as each metric has it.

An A/A duet cannot find a difference, so whatever its restarts differ by is the machine. The margin that such restarts can resolve
with N of them is what two one-sided tests need to say `same` in 95 of 100 duets: (t₀.₉₅ + z₀.₉₇₅) · s / √N with N − 1 degrees of
freedom, where s is the standard deviation of restarts' log-ratios. No margin is smaller than its metric's own.
"""

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from scipy import stats

from bench import files
from bench.report.record import RecordError
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.statistics import BETA, FINEST
from models.spec import SpecError

FILE = "calibration.json"
Margins = Callable[[str, str], float]
"""The margin of a case's metric."""


class Spread(msgspec.Struct):
    """Standard deviation of an A/A case's log-ratios over so many restarts."""

    case: str
    metric: str
    deviation: float
    restarts: int


class Calibration(msgspec.Struct):
    """What A/A duets have shown on one machine."""

    machine: str
    when: str
    spreads: list[Spread]

    def margin(self, case: str, metric: str, restarts: int) -> float:
        """The least margin this machine resolves in so many restarts; a case that was never calibrated gets the metric's widest."""
        own = [s for s in self.spreads if s.metric == metric and s.case == case] or [s for s in self.spreads if s.metric == metric]
        return max([METRICS[metric].margin, *(resolvable(s.deviation, restarts) for s in own)])


def resolvable(deviation: float, restarts: int) -> float:
    """The margin within which A/A duets of so many restarts are called the same in 95 of 100."""
    needed = float(stats.t.ppf(1 - BETA, restarts - 1) + stats.norm.ppf(1 - BETA / 2))
    return math.expm1(needed * deviation / math.sqrt(restarts))


def spread(case: str, metric: str, log_ratios: list[float]) -> Spread:
    """What an A/A case has shown."""
    return Spread(case, metric, max(float(np.std(log_ratios, ddof=1)), FINEST), len(log_ratios))


def read(folder: Path, machine: str) -> Calibration | None:
    """This machine's calibration, if there is one. Raises RecordError for a file that is none."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (*files.NO_JSON, OSError) as error:
        raise RecordError(f"{path} is no calibration ({error}): run tox -e aa again.") from None
    return found if found.machine == machine else None


def write(folder: Path, calibration: Calibration) -> None:
    """Keep it. Raises WriteError where the folder refuses."""
    files.write(files.folder(folder) / FILE, msgspec.json.format(msgspec.json.encode(calibration), indent=1).decode())


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
