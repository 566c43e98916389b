"""The laws of a network that both frameworks hold with the same weights, each named as the check of the same law for other networks."""

from __future__ import annotations

from collections.abc import Iterator, Set

from bench.checks.own.findings import by_rounding, note, place, roundings
from bench.evidence.aligned import NAMES, OTHER, OWN, TWINS, AlignedEvidence, Compared
from bench.evidence.parting import Parting
from bench.judging.check import Check, Need
from bench.judging.finding import Finding
from bench.judging.tolerance import CARRIED_MULTIPLE
from bench.judging.verdict import NotApplicable, RestNotJudged

REFERENCE = "reference"


def forward_parity(evidence: AlignedEvidence) -> Iterator[Finding]:
    """Loss and layer outputs are the other framework's in float64, and both float64 twins' in float32, to rounding.

    ‖z − z*‖ in multiples of what rounding moves z, the larger of what both twins measure. Where the twins part and NumPy's layer tells
    whose fault that is, the other one is judged by its own twin alone.
    """
    yield from _judged(evidence, evidence.forward, "forward")


def gradient_parity(evidence: AlignedEvidence) -> Iterator[Finding]:
    """Each gradient is the other framework's in float64, and both float64 twins' in float32, to rounding.

    As `forward_parity`, for every parameter and at the output of every layer. A difference of the loss tells who is wrong.
    """
    yield from _judged(evidence, evidence.backward, "backward")


def normalization_state(evidence: AlignedEvidence) -> Iterator[Finding]:
    """Running statistics after a step are the other framework's in float64, and both float64 twins' in float32, to rounding."""
    if not evidence.statistics:
        raise NotApplicable("running statistics")
    yield from _judged(evidence, evidence.statistics, "forward")


def _judged(evidence: AlignedEvidence, compared: list[Compared], way: str) -> Iterator[Finding]:
    parting = evidence.parted.get("forward") or evidence.parted.get(way)
    against = against_whom(evidence, parting, way)
    for each in compared:
        if TWINS in against and each.against == TWINS:
            value = roundings(each.deviation)
            said = "" if value <= CARRIED_MULTIPLE else note(each.deviation)
            yield Finding(place(each.deviation, "float64"), value, 0.0, CARRIED_MULTIPLE, said)
    scope = {OWN: "", OTHER: f"by {evidence.other}'s twin"}
    yield from by_rounding((scope[each.against], each.deviation) for each in compared if each.against in against - {TWINS})
    if parting is not None and TWINS not in against:
        raise RestNotJudged(why_not(parting, way))


def against_whom(evidence: AlignedEvidence, parting: Parting | None, way: str) -> Set[str]:
    """What one side is judged by: all, unless the twins part by the other's fault, or earlier than what is judged."""
    if parting is None:
        return frozenset({OWN, OTHER, TWINS})
    if parting.way != way or (parting.whose and parting.whose != evidence.backend):
        return frozenset({OWN})
    return frozenset({OWN, TWINS})


def why_not(parting: Parting, way: str) -> str:
    """Why a side is not compared with the other."""
    if parting.way != way:
        return f"in float64 the outputs part already {parting.where}"
    return f"in float64 the two part {parting.where}, and that is {NAMES[parting.whose]}'s: {parting.because}"


ALIGNED_CHECKS: dict[str, Check[AlignedEvidence]] = {
    check.name: check
    for check in (
        Check(forward_parity, REFERENCE, frozenset({Need.STEPS, Need.REFERENCE})),
        Check(gradient_parity, REFERENCE, frozenset({Need.STEPS, Need.REFERENCE})),
        Check(normalization_state, REFERENCE, frozenset({Need.STEPS, Need.REFERENCE})),
    )
}
