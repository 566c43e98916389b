"""How a distance from the twin becomes a finding: in multiples of what rounding costs this very array."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from bench.checks.parity import looks_like
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_LIMIT, ROUNDING_MULTIPLE
from bench.judging.verdict import NotApplicable, NotJudged, RestNotJudged
from models.own.observation import Counted, Deviation, OwnObservation

ARRAYS = {"gradient of the signal": "∂L/∂z of", "new": "new"}
"""Words before a name, by kind of array."""
QUANTITIES = {"signal": "output", "output": "of the model", "statistic": "running statistic", "loss": "loss"}
"""Words after a name, by kind of array."""
VALUES = "signal", "output", "loss", "statistic"


def refuse_without_twin(seen: OwnObservation) -> None:
    """Refuse to judge by a twin that there is not."""
    if seen.no_twin:
        raise NotApplicable(f"a float64 twin, and {seen.no_twin}")


def by_rounding(deviations: Iterable[tuple[str, Deviation]]) -> Iterator[Finding]:
    """‖seen − twin‖ in roundings, array by array, each given with its scope.

    What rounding alone moves by a percent of its scale, or by ten units of its format, is not judged, and counted: a real fault would hide
    in it.
    """
    noisy, judged = [], 0
    for scope, each in deviations:
        scale = max(each.size, each.reach)
        if each.rounding > max(ROUNDING_LIMIT, ROUNDING_MULTIPLE * each.unit) * scale > 0 and not each.bad:
            noisy.append((place(each, scope), each.rounding / scale))
            continue
        value, judged = roundings(each), judged + 1
        yield Finding(place(each, scope), value, 0.0, ROUNDING_MULTIPLE, "" if value <= ROUNDING_MULTIPLE else note(each))
    if noisy:
        most, others = max(share for _, share in noisy), f" and {len(noisy) - 1} others" if len(noisy) > 1 else ""
        why = f"rounding alone moves {noisy[0][0]}{others} by {f'up to {most:.0%}' if most < 1 else 'more than all of it'}"
        raise (RestNotJudged if judged else NotJudged)(why)


def roundings(each: Deviation) -> float:
    """The error in units of what rounding costs; NaN where an entry is none."""
    if each.bad:
        return math.nan
    if each.error == 0:
        return 0.0
    return each.error / each.rounding if each.rounding else math.inf


def place(each: Deviation | Counted, scope: str = "") -> Place:
    """Where an array was seen."""
    name = "" if each.kind == "output" and each.name == "output" else each.name
    return Place(QUANTITIES.get(each.kind, ""), "", name, each.step, scope, ARRAYS.get(each.kind, ""))


def counted(each: Counted, note: str) -> Finding:
    """Entries of an array that must be none."""
    return Finding(place(each), each.entries, 0.0, 0.0, note)


def note(each: Deviation) -> str:
    """What an outlier looks like."""
    what = "weight" if each.kind == "new" else "value" if each.kind in VALUES else "gradient"
    scale = max(each.size, each.reach) or 1.0
    return f"{looks_like(each.bad, (each.seen, each.size), each.cosine, what)}; off by {each.error / scale:.2g} of its length"
