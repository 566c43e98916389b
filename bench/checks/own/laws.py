"""The laws that hold for any model, each named as the check of the same law for networks of the matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.checks.own.findings import by_rounding, counted, place, refuse_without_twin, roundings
from bench.evidence.own import OwnEvidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_LIMIT, ROUNDING_MULTIPLE
from bench.judging.verdict import NotApplicable, NotJudged, RestNotJudged
from models.own.observation import Deviation

REWRITTEN = "the forward pass itself writes into {names}, so that a step does not begin where the pass did"


def finite(evidence: OwnEvidence) -> Iterator[Finding]:
    """Loss, outputs, gradients and new weights are finite.

    Counts the entries that are not, array by array. Infinities of outputs and buffers that the float64 twin has as well are masks.
    """
    for each in evidence.seen.finite:
        yield counted(each, "entries are NaN or infinite")
    if evidence.seen.perhaps:
        names = ", ".join(f"{place(each)}: {each.entries:,}" for each in evidence.seen.perhaps)
        raise RestNotJudged(f"infinite entries may be a mask ({names}), which a float64 twin alone tells, and {evidence.seen.no_twin}")


def reproducible(evidence: OwnEvidence) -> Iterator[Finding]:
    """The same pass with the same seeds gives the same bits, where the framework promises it.

    Counts entries of loss, outputs and gradients that differ the second time. Promised are one thread of a CPU, and deterministic
    kernels anywhere.
    """
    if not evidence.repeats:
        raise NotJudged("the same bits every time are promised on one CPU thread, or with --deterministic")
    for each in evidence.seen.repeated:
        yield counted(each, "entries are other bits the second time")


def forward_parity(evidence: OwnEvidence) -> Iterator[Finding]:
    """Loss and the outputs of every layer equal those of the model's float64 twin, to rounding.

    ‖z − z*‖ in multiples of what rounding moves z: the rms distance of six passes of the twin in which each operation's result is off
    by as much as a float32 is. The twin takes the float32 pass's draws, and its side of every kink.
    """
    refuse_without_twin(evidence.seen)
    yield from by_rounding(_all(evidence.seen.forward))
    _say_what_is_wider(evidence)


def gradient_parity(evidence: OwnEvidence) -> Iterator[Finding]:
    """Each gradient equals that of the model's float64 twin, to rounding.

    ‖g − g*‖ in multiples of what rounding moves g, for every named parameter and for the output of every layer.
    """
    refuse_without_twin(evidence.seen)
    if evidence.seen.undecided:
        raise NotJudged(evidence.seen.undecided)
    yield from by_rounding(_all(evidence.seen.gradients))
    _say_what_is_wider(evidence)


def derivative(evidence: OwnEvidence) -> Iterator[Finding]:
    """The float64 twin's gradient is the derivative of its loss, as differences of the loss give it.

    |D − ⟨g, v⟩| / |⟨g, v⟩| as each parameter moves along its own gradient, by central differences at two steps, extrapolated. Allowed is
    ten times what the extrapolation changed. Framework and twin share the formulas of a backward pass, and this law does not.
    """
    refuse_without_twin(evidence.seen)
    if evidence.seen.unsloped:
        raise NotJudged(evidence.seen.unsloped)
    rough = 0
    for slope in evidence.seen.slopes:
        scale = abs(slope.by_gradient)
        allowed = ROUNDING_MULTIPLE * slope.error / scale
        if allowed > ROUNDING_LIMIT:
            rough += 1
            continue
        place, others = Place("along its gradient", parameter=slope.names[0]), len(slope.names) - 1
        note = f"the loss changes by {slope.by_difference:.6g} where the gradient says {slope.by_gradient:.6g}"
        yield Finding(
            place, abs(slope.by_difference - slope.by_gradient) / scale, 0.0, allowed, note, remark=f"and {others} more" * (others > 0)
        )
    if rough:
        which = f"{rough} differences of the loss are" if rough > 1 else "a difference of the loss is"
        why = f"{which} off by more than a percent, as at kinks"
        raise (RestNotJudged if rough < len(evidence.seen.slopes) else NotJudged)(why)
    if evidence.seen.hooked:
        why = f"a hook changes the gradient of {', '.join(evidence.seen.hooked)}"
        raise (RestNotJudged if len(evidence.seen.slopes) > rough else NotJudged)(why)
    if not evidence.seen.slopes:
        raise NotJudged("no parameter has a gradient")


def normalization_state(evidence: OwnEvidence) -> Iterator[Finding]:
    """Running statistics after a step equal those of the model's float64 twin, to rounding."""
    refuse_without_twin(evidence.seen)
    if not evidence.seen.statistics:
        raise NotApplicable("running statistics")
    yield from by_rounding(_all(evidence.seen.statistics))


def update(evidence: OwnEvidence) -> Iterator[Finding]:
    """Each optimizer step equals the optimizer's own rule in float64 on the gradients that were seen, and leaves these as they are.

    ‖w − w*‖ in multiples of what rounding moves w, slots carried from step to step. What is frozen stays, bit for bit.
    """
    if evidence.seen.unstepped:
        raise NotApplicable(f"an optimizer whose steps float64 can repeat, and {evidence.seen.unstepped}")
    if not evidence.seen.updates and not evidence.seen.kept:
        refuse_without_twin(evidence.seen)
        raise NotApplicable("an optimizer")
    for each in evidence.seen.kept:
        yield Finding(place(each), each.entries, 0.0, 0.0, "entries of the gradient were changed by the step", remark="after the step")
    if evidence.seen.no_twin:
        raise RestNotJudged(f"the rule needs a float64 twin, and {evidence.seen.no_twin}")
    yield from _steps(_all(evidence.seen.updates))
    if unknown := _without_size(evidence.seen.updates):
        raise RestNotJudged(unknown)
    if evidence.seen.rewritten:
        raise RestNotJudged(REWRITTEN.format(names=", ".join(evidence.seen.rewritten)))


def evaluation(evidence: OwnEvidence) -> Iterator[Finding]:
    """Evaluation changes nothing in the model, and its outputs equal those of the float64 twin, to rounding.

    Counts entries of parameters, buffers, gradients and modes that are other bits afterwards.
    """
    traces = evidence.seen.traces
    names = ", ".join(filter(None, (each.name for each in traces)))
    # One place, whatever has changed: two runs are joined on it.
    yield Finding(Place("after evaluation"), sum(each.entries for each in traces), 0.0, 0.0, "entries are other bits", remark=names)
    if evidence.seen.no_twin:
        raise RestNotJudged(f"the outputs need a float64 twin, and {evidence.seen.no_twin}")
    if evidence.seen.unevaluated:
        raise RestNotJudged(f"the outputs need the same decisions in float64: {evidence.seen.unevaluated}")
    yield from by_rounding(_all(evidence.seen.evaluation))


def execution(evidence: OwnEvidence) -> Iterator[Finding]:
    """Every variant of execution leads to the float64 twin's loss, gradients and new weights, to rounding.

    Variants are other memory formats, micro-batches whose gradients are averaged, the optimizer's foreach and fused kernels, compiled
    steps, `fit`, and steps under autocast. Each is measured as the usual variant is, those in half precision by its roundings.
    """
    refuse_without_twin(evidence.seen)
    taken = [variant for variant in evidence.seen.variants if variant.deviations]
    if evidence.seen.undecided:
        raise NotJudged(evidence.seen.undecided)
    left_out = [(variant.name, why) for variant in evidence.seen.variants if (why := variant.undecided or variant.failed)]
    undecided = "; ".join(f"{name}: {why}" for name, why in left_out)
    if not taken and undecided:
        raise NotJudged(undecided)
    if not taken:
        absent = "; ".join(f"{variant.name}: {variant.absent}" for variant in evidence.seen.variants)
        raise NotApplicable(f"a variant besides the usual one ({absent})" if absent else "a variant besides the usual one")
    deviations = [pair for variant in taken for pair in _all(variant.deviations, variant.name)]
    yield from _steps([(variant, each) for variant, each in deviations if each.kind == "new"])
    if passes := [(variant, each) for variant, each in deviations if each.kind != "new"]:
        yield from by_rounding(passes)
    if undecided:
        raise RestNotJudged(undecided)
    if unknown := _without_size([each for _, each in deviations if each.kind == "new"]):
        raise RestNotJudged(unknown)
    if evidence.seen.rewritten:
        raise RestNotJudged(REWRITTEN.format(names=", ".join(evidence.seen.rewritten)))


def _say_what_is_wider(evidence: OwnEvidence) -> None:
    """Raise RestNotJudged where the model itself computes in float64, of which there is no more exact twin."""
    if names := evidence.seen.wider:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise RestNotJudged(f"{names[0]}{others} of the model's own are in float64, and are judged to float32's rounding alone")


def _all(deviations: list[Deviation], scope: str = "") -> list[tuple[str, Deviation]]:
    """Deviations, each with its scope."""
    return [(scope, each) for each in deviations]


def _without_size(steps: list[Deviation]) -> str:
    """Why new weights are not judged of which rounding makes no number; nothing where there are none."""
    names = list(dict.fromkeys(each.name for each in steps if math.isinf(each.rounding) and not each.bad))
    return f"rounding alone makes the new {', '.join(names[:3])} no number, as where the rule divides by an ε of 0" if names else ""


def _steps(deviations: list[tuple[str, Deviation]]) -> Iterator[Finding]:
    """New weights in roundings, with the share of the step that they are off."""
    for scope, each in deviations:
        if math.isinf(each.rounding) and not each.bad:
            continue
        note = f"off by {each.error / each.moved:.2g} of its way" if each.moved else "moved although it should not"
        below = "(step below rounding)" if 0 < each.moved <= ROUNDING_MULTIPLE * each.rounding else ""
        yield Finding(place(each, scope), roundings(each), 0.0, ROUNDING_MULTIPLE, note, remark=below)
