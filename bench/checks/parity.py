"""Forward and backward pass against the float64 reference, to what rounding this very network costs.

Tolerance. Let e be the rms error of the reference's own float32 passes, each summing in another order. A framework sums
in yet another, so its error is a draw from the same distribution; it may be `ROUNDING_MULTIPLE` times e. A tensor's e counts at least
one rounding of its own, and the median over the network's layers of e relative to the norms of the factors
(`rounding_of_gradients`). In mixed
precision and with TF32 the passes round what the precision rounds, and each layer is judged on what it was fed
(`bench.evidence.evidence.Evidence.passes`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from bench.checks.signals import IMAGE, by_place
from bench.evidence.divergence import overflowing, representable
from bench.evidence.evidence import Evidence
from bench.evidence.reference import rms_error, roundings
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z, ROUNDING_LIMIT, ROUNDING_MULTIPLE
from bench.judging.verdict import NotJudged, RestNotJudged
from models.architectures import graph
from models.arrays import Array, Logits, Signals
from models.backends.registry import info
from models.naming import LAYERS, kind_of, layer_of, node_of, signal_of
from models.parts.losses import LOSSES
from models.reference import kinks
from models.reference.convolution import pixels
from models.reference.network import Pass, Reference
from models.reference.optimizers import Rule


@representable
def forward_parity(evidence: Evidence) -> Iterator[Finding]:
    """Signals, logits and reported loss equal the float64 reference, to rounding.

    ‖z_l − z_l*‖ / ‖z_l*‖ for every weight layer of the drawn network and every time step of a sequence, the loss of every step, and the
    logits in evaluation mode after the last step.
    """
    refuse_clips(evidence)
    for title, seen, exact, rounded in evidence.passes:
        yield from _signals(
            evidence, Place(scope=title), seen.pre_activations, exact.pre_activations, [each.pre_activations for each in rounded]
        )
    for number, (step, true, near) in enumerate(
        zip(evidence.seen.forced_steps, evidence.reference.exact, evidence.reference.rounded, strict=True)
    ):
        loss = true.loss + evidence.penalties[number][0]
        # First order: a loss moves by at most its gradient times the logits' error; storing it rounds once more. Beside it stands what
        # the loss's own operations round, such as 1 less the smallest probability.
        by_logits = float(np.linalg.norm(true.pre_activation_gradients[graph(evidence.spec).dense[-1].name]))
        by_logits *= rms_error(true.logits, [each.logits for each in near])
        moved = evidence.resolution * max(by_logits, rms_error(np.asarray(true.loss), [np.asarray(each.loss) for each in near]))
        allowed = ROUNDING_MULTIPLE * (moved + evidence.unit * abs(loss))
        size = float(abs(loss)) or 1.0
        off = abs(step.loss - loss) / size
        yield Finding(Place("loss", step=number), off, 0.0, float(allowed) / size, f"{step.loss:.7g} for {loss:.7g}")
    last, forced_step = evidence.seen.forced_steps[-1], evidence.reference.forced_steps[-1]
    running, output = last.running or None, graph(evidence.spec).dense[-1].name
    logits = Reference(evidence.spec, last.weights).forward(forced_step.x, running).logits
    others = [each.forward(forced_step.x, running).logits for each in roundings(evidence.spec, last.weights)]
    assert evidence.seen.evaluation is not None, "logits of the last step are watched"
    if not np.isfinite(others).all():
        if any(overflowing(evidence)) or not np.isfinite(_logits_by_the_rule(evidence)).all():
            raise RestNotJudged("the weights after the last step overflow in evaluation, in the reference as well: choose a smaller lr")
        note = "the weights after the last step overflow, and those that the optimizer's rule leads to do not"
        yield Finding(Place(scope="evaluation", node=output), np.nan, 0.0, 0.0, note)
        return
    yield from _signals(
        evidence, Place(scope="evaluation"), {output: evidence.seen.evaluation}, {output: logits}, [{output: each} for each in others]
    )


def _logits_by_the_rule(evidence: Evidence) -> Logits:
    """Rounded logits in evaluation mode with the weights that the optimizer's rule leads to from the reference's own gradients."""
    rule, asked = Rule(evidence.spec, evidence.conventions), evidence.reference
    with np.errstate(all="ignore"):
        for forced_step, exact, (_, extra) in zip(asked.forced_steps, asked.exact, evidence.penalties, strict=True):
            gradients = {key: g + extra.get(key, 0.0) for key, g in exact.gradients.items()}
            weights = rule.step(forced_step.weights, gradients)
        reference = Reference(evidence.spec, weights, np.float32, conventions=evidence.conventions)
        return reference.forward(forced_step.x, evidence.seen.forced_steps[-1].running or None).logits


@representable
def gradient_parity(evidence: Evidence) -> Iterator[Finding]:
    """Each weight gradient equals the float64 reference, to rounding.

    ‖g − g*‖ relative to max(‖g*‖, ‖∂L/∂z_l‖) (`_scale`) for every parameter of every step (raw, before clipping) and for ∂L/∂z_l of
    the first: the second scale serves gradients that cancel, as a bias does before batch normalization. In a recurrent network ∂L/∂z of
    a sequence, time step by time step, is what backpropagation through time hands to the layer below. Where roundings may be left out
    between operations (`Evidence.excess`), a step that is compiled on its own may round others than the pass that is watched, and put
    units on the other side of their kink. What is off no further than two executions lie `_apart` is then undecided.
    """
    evidence.refuse_unwatched()
    refuse_clips(evidence)
    refuse_blurred_clips(evidence)
    for exact, rounded in evidence.steps:
        refuse_kinks(evidence, exact, rounded)
    for title, seen, exact, rounded in evidence.passes:
        yield from _signals(
            evidence,
            Place(scope="" if title == "drawn" else title, array="∂L/∂z"),
            seen.pre_activation_gradients,
            exact.pre_activation_gradients,
            [each.pre_activation_gradients for each in rounded],
        )
    undecided = 0
    for number, (step, (true, near)) in enumerate(zip(evidence.seen.forced_steps, evidence.steps, strict=True)):
        extra = evidence.penalties[number][1]
        allowed = rounding_of_gradients(true, near, evidence.once)
        if set(step.gradients) != set(true.gradients):
            raise AssertionError(f"gradients of {sorted(set(step.gradients) ^ set(true.gradients))} are missing or unknown")
        scales = {key: _scale(true, key) for key in true.gradients}
        refuse_noise(evidence, float(np.max([allowed[key] / scale for key, scale in scales.items() if 0 < scale < np.inf], initial=0.0)))
        for key in step.gradients:
            g = true.gradients[key] + extra.get(key, 0.0)
            error = np.linalg.norm(step.gradients[key] - g)
            scale = max(float(scales[key]), float(np.linalg.norm(extra.get(key, 0.0)))) or 1.0
            limit = (
                ROUNDING_MULTIPLE
                * (allowed[key] + evidence.unit * np.linalg.norm(extra.get(key, 0.0)) / evidence.resolution)
                * evidence.resolution
            )
            if evidence.excess and limit < error <= _apart(evidence, number, key):
                undecided += 1
                continue
            note = "" if error <= limit else signature(step.gradients[key], g)
            yield Finding(Place.of(key, step=number), float(error / scale), 0.0, float(limit / scale), note)
    if undecided:
        raise RestNotJudged(
            f"{undecided} gradients may be off because {evidence.backend} compiles the step on its own, which may round others than the "
            "pass that is watched: judge it with precision=float32"
        )


def _apart(evidence: Evidence, step: int, key: str) -> float:
    """How far gradients of two executions may lie apart that share no rounding: twice what one of them is off from float64.

    Errors that are independent and of one size make √2 of it; the other √2 is for a draw of roundings that is larger than the reference's,
    whose passes are one draw where sums round alike in every order. None of the margin is due by which a bound allows for a single small
    number: these are norms of whole gradients.
    """
    passes = evidence.reference.rounded[step]
    return 2 * rms_error(evidence.reference.exact[step].gradients[key], [each.gradients[key] for each in passes])


def _scale(exact: Pass, key: str) -> float:
    """‖g*‖, or ‖∂L/∂z_l‖ if that is more; of one number that multiplies a whole branch, what its sum would be with signs at random."""
    g, signal = exact.gradients[key], exact.pre_activation_gradients[signal_of(key, exact.pre_activation_gradients)]
    at_random = exact.sizes[key] / signal.size**0.5 if kind_of(key) == "multiplier" else 0.0
    return max(float(np.linalg.norm(g)), float(np.linalg.norm(signal)), at_random)


def rounding_of_gradients(exact: Pass, rounded: list[Pass], once: float = 0.0) -> dict[str, float]:
    """The float32 error to expect of each gradient: its own, one rounding, or what is typical of the network's layers if that is more.

    Typical is the median error relative to ‖∂L/∂z_l‖, whose own error every gradient inherits, or relative to the product of the
    norms of the gradient's factors, by whose rounding it moves (Higham 2002, equation 3.13), whichever expects less here. A bias's
    is at least that of adding sample after sample, and pixel after pixel, as some frameworks do: where δ is the same number for many (a
    hinge), all orders of summing are the same one, and each addition may round the same way.
    """
    errors = {key: rms_error(g, [each.gradients[key] for each in rounded]) for key, g in exact.gradients.items()}
    signals = exact.pre_activation_gradients
    for key in (key for key in errors if key.endswith(".bias") and node_of(key).startswith(LAYERS)):
        d = signals[node_of(key)]
        one_by_one = np.cumsum(pixels(d) if d.ndim == IMAGE else d, axis=0, dtype=np.float32)[-1]
        errors[key] = max(errors[key], float(np.linalg.norm(one_by_one - exact.gradients[key])))
    inherited = {key: float(np.linalg.norm(signals[signal_of(key, signals)])) for key in errors}
    typical = [_typical(errors, sizes) for sizes in (inherited, exact.sizes)]
    least = {key: max(once * float(np.linalg.norm(g)), min(each[key] for each in typical)) for key, g in exact.gradients.items()}
    return {key: max(error, least[key]) for key, error in errors.items()}


def _typical(errors: dict[str, float], sizes: dict[str, float]) -> dict[str, float]:
    """For each parameter its size times the median of error over size, over all parameters of its kind."""
    shares: dict[str, list[float]] = {}
    for key, error in errors.items():
        if sizes[key] > 0:
            shares.setdefault(kind_of(key), []).append(error / sizes[key])
    return {key: float(np.median(shares.get(kind_of(key), [0.0]))) * sizes[key] for key in errors}


def signature(seen: Array, true: Array, what: str = "gradient") -> str:
    """What a wrong gradient looks like: lost, not finite, scaled, flipped, or turned."""
    seen, true = np.asarray(seen, np.float64).ravel(), np.asarray(true, np.float64).ravel()
    lengths = float(np.linalg.norm(seen)), float(np.linalg.norm(true))
    cosine = float(seen @ true) / (lengths[0] * lengths[1] or 1.0)
    return looks_like(int((~np.isfinite(seen)).sum()), lengths, cosine, what)


def looks_like(bad: int, lengths: tuple[float, float], cosine: float, what: str) -> str:
    """The same of numbers: entries that are not finite, lengths of what was seen and of the truth, and the cosine between them."""
    if bad:
        return f"{bad} entries are NaN or infinite"
    if lengths[0] == 0:
        return f"all zero: a {what} lost"
    if lengths[1] == 0:
        return f"a {what} where there is none"
    factor = lengths[0] / lengths[1]
    if abs(cosine) > 1 - 1e-6:
        return f"a {what} scaled by {np.sign(cosine) * factor:.6g} (parallel to the true {what})"
    return f"another direction (cos {cosine:.6f}) and {factor:.4g} times as long"


def _signals(evidence: Evidence, title: Place, seen: Signals, exact: Signals, rounded: list[Signals]) -> Iterator[Finding]:
    if set(seen) != set(exact):
        raise AssertionError(f"{sorted(set(seen) ^ set(exact))} are missing or unknown in {title}")
    found, answers, others = by_place(seen), by_place(exact), [by_place(each) for each in rounded]
    sizes = {place: float(np.linalg.norm(true)) for place, true in answers.items()}
    errors = {place: rms_error(true, [each[place] for each in others]) / (sizes[place] or 1.0) for place, true in answers.items()}
    typical = float(np.median(list(errors.values())))
    refuse_noise(evidence, float(np.max([errors[place] for place, size in sizes.items() if np.isfinite(size)], initial=0.0)))
    for place in sorted(answers, key=lambda each: layer_of(each.node)):
        error = float(np.linalg.norm(found[place] - answers[place])) / (sizes[place] or 1.0)
        allowed = ROUNDING_MULTIPLE * max(errors[place], typical, evidence.once) * evidence.resolution
        note = "" if error <= allowed else signature(found[place], answers[place], "gradient" if title.array else "value")
        yield Finding(replace(title, node=place.node, time=place.time), error, 0.0, allowed, note)


def refuse_noise(evidence: Evidence, rounding: float) -> None:
    """Refuse to judge where rounding alone moves a gradient so far that a real fault would hide in it."""
    # One layer's result is off by a unit of its format: a limit under a few of those would judge nothing in half precision.
    if not rounding * evidence.resolution <= max(ROUNDING_LIMIT, ROUNDING_MULTIPLE * evidence.result_unit):  # NaN is no small rounding
        raise NotJudged(
            f"rounding alone moves this network's numbers by {rounding:.0%} in {evidence.spec.precision}: judge it with precision=float64"
        )


def may_turn(evidence: Evidence, exact: Pass, rounded: list[Pass]) -> bool:
    """Whether rounding alone may put a unit on the other side of its kink."""
    errors = {place: error * evidence.resolution for place, error in kinks.reach(exact, rounded).items()}
    return float(kinks.distances(exact, errors).min()) < BAND_Z


def refuse_kinks(evidence: Evidence, exact: Pass, rounded: list[Pass]) -> None:
    """Refuse to judge gradients where rounding alone may put a unit on the other side of its kink, or a logit lies on the loss's."""
    if evidence.spec.format.plain:
        if may_turn(evidence, exact, rounded):
            raise NotJudged(
                f"in {evidence.spec.precision} some unit of this batch is within rounding of its kink and may have either slope: "
                "judge it with precision=float64"
            )
    elif not np.all(exact.bends.get("loss", 1)):
        raise NotJudged("some logit lies on the loss's kink, as numbers of half precision may, and has either slope: judge it in float32")


def refuse_clips(evidence: Evidence) -> None:
    """Refuse to judge a loss where it is that of clipped probabilities by its documentation, and the framework clips none."""
    clips = LOSSES[evidence.spec.loss].clips
    if clips is None or not info(evidence.backend).unclipped:
        return
    for forced_step, exact in zip(evidence.reference.forced_steps, evidence.reference.exact, strict=True):
        target = Reference(evidence.spec, forced_step.weights).target(forced_step.labels)
        if clips(exact.logits, target).any():
            raise NotJudged(
                f"{evidence.backend} computes {evidence.spec.loss} from logits, and some probability here lies where the documented loss "
                "clips it: judge it on other inputs, or the loss of logits instead"
            )


def refuse_blurred_clips(evidence: Evidence) -> None:
    """Refuse to judge gradients where rounding a probability next to 1 decides whether it is clipped, whose numbers are `unit` apart."""
    blurred = LOSSES[evidence.spec.loss].blurred
    if blurred is None:
        return
    for forced_step, exact in zip(evidence.reference.forced_steps, evidence.reference.exact, strict=True):
        target = Reference(evidence.spec, forced_step.weights).target(forced_step.labels)
        if blurred(exact.logits, target, evidence.unit).any():
            raise NotJudged(
                f"some probability here is as near to where {evidence.spec.loss} clips it as {evidence.spec.precision} rounds next to 1, "
                "and may have either slope: judge it with precision=float64"
            )
