"""What is wrong with a network's gradients, in which layer, by which number, and what would help.

Judged from one forward and backward pass beside what theory predicts of it. Without a framework the pass is the NumPy
reference's on weights drawn from the named initializer, so that a network can be diagnosed before anything is trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from bench.judging.finding import Cause
from bench.judging.tolerance import BAND_Z
from bench.theory.bands import Prediction, predict
from bench.theory.correlation import plain_pair
from bench.theory.meanfield import gains
from bench.theory.remedies import DECADES, Remedy, power_of_ten, remedies
from models.architectures import graph
from models.arrays import Arrays, Labels, Signals, Units
from models.naming import layer_of
from models.nodes import Activate
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.reference.draws import draw_weights, rounded
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec

HEALTHY, UNDERFLOW = "healthy", "underflow"
NOTABLE = 1.0
"""Decades between first and last layer from which a gradient is called vanishing or exploding."""
FLAT, FLAT_SHARE = 0.05, 0.5
"""A unit is saturated where |φ′| is under 5 % of its largest value; a layer is, where half of its values are."""
DEAD_SHARE, DEAD_SD = 0.5, 4.0
"""Deep in a ReLU network all samples look alike, and a unit with symmetric weights is off for all of them half of the time: a
layer is called dead where its share of units that pass no gradient for any sample exceeds ½ by 4 standard deviations √(¼/width)."""
SHATTERED = 0.1
"""Correlation of ∂L/∂z₁ between samples of one class under which gradients count as shattered."""
TOO_LARGE, SMALL_LOGIT = 3.0, 1e-3
"""Times the gradient at zero logits and unit targets from which a loss is called too large."""
STEPS, HALVINGS = 5, 30
"""So many steps on one batch try a learning rate, and so often it is halved at most."""
LOST, KEPT = 0.05, 0.99
"""A layer underflows where it loses 5 % of its gradient's entries to zero; a loss scale is a remedy that keeps 99 % of them."""


@dataclass
class Seen:
    """One pass to diagnose, of a `models.observation.WatchedPass` or a `models.reference.network.Pass`, and its labels.

    `weights` are given where an initializer is to be judged by them.
    """

    pre_activations: Signals
    pre_activation_gradients: Signals
    labels: Labels
    weights: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """One word for the cause, the node and number that show it, the number predicted, and remedies, the most effective first."""

    word: str
    node: str
    value: float
    predicted: float
    sentence: str
    remedies: tuple[Remedy | str, ...] = ()

    @property
    def cause(self) -> Cause:
        """The diagnosis in words, as findings carry it."""
        return Cause(self.word, self.sentence, tuple(map(str, self.remedies)))


def expected(spec: Spec, x: np.ndarray, labels: np.ndarray) -> Seen:
    """The pass of a network drawn from the named initializer, in float64: what a framework's own should look like."""
    return _pass(Reference(spec, draw_weights(spec.in_float64, 0)), x, labels)


def as_rounded(spec: Spec, x: np.ndarray, labels: np.ndarray) -> Seen:
    """The same pass as `expected`, rounded as the spec's precision rounds it: what half precision makes of the network."""
    if spec.format.plain:
        return expected(spec, x, labels)
    return _pass(Reference(spec, draw_weights(spec.in_float64, 0), np.float32, conventions="torch"), x, labels)


def _pass(reference: Reference, x: np.ndarray, labels: np.ndarray) -> Seen:
    with np.errstate(all="ignore"):
        done = reference.run(rounded(reference.spec, x), labels)
    return Seen(done.pre_activations, done.pre_activation_gradients, labels)


def diagnose(spec: Spec, x: np.ndarray, seen: Seen, typical: Seen | None = None) -> list[Diagnosis]:
    """Everything that is wrong, gravest first; one healthy entry if nothing is. `typical` is what theory takes its numbers from."""
    typical = typical or seen
    with np.errstate(all="ignore"):
        if broken := _non_finite(seen):
            return [broken]
        prediction = predict(spec, x)
        lost = list(_underflow(spec, seen, typical))
        found = [*lost, *_loss_scale(spec, seen), *_learning_rate(spec, x, seen.labels), *_units(spec, seen, typical)]
        # What half precision lost says nothing of the depth: there the network is judged by what it would be in float64.
        whole = replace(typical, weights=seen.weights) if lost else seen
        gain = _gain(spec, x, whole, prediction)
        if gain.word != HEALTHY:
            return [*found, gain]
        return [*found, *_shattered(spec, x, whole)] or [gain]


def _non_finite(seen: Seen) -> Diagnosis | None:
    for what, arrays, order in (("z", seen.pre_activations, 1), ("∂L/∂z", seen.pre_activation_gradients, -1)):
        for name in sorted(arrays, key=layer_of)[::order]:
            if bad := int(np.size(arrays[name]) - np.isfinite(arrays[name]).sum()):
                says = f"{bad} entries of {what} in layer {layer_of(name)} are NaN or infinite, the first to be so"
                return Diagnosis("non-finite", name, bad, 0, says)
    return None


def _underflow(spec: Spec, seen: Seen, typical: Seen) -> Iterator[Diagnosis]:
    """Layers whose gradient is zero where float64's is not: smaller than half precision's smallest number, loss scale included.

    Two networks differ in which units are off, so that more zeros alone are no loss: there must be gradients that small, half as many.
    """
    if not spec.format.half:
        return
    floor, scale = spec.format.results.least, spec.first_scale
    usual = {name: np.asarray(d, np.float64) for name, d in typical.pre_activation_gradients.items()}
    lost = {
        name: float((np.asarray(d) == 0).mean()) - float((usual[name] == 0).mean()) for name, d in seen.pre_activation_gradients.items()
    }
    sizes = {name: np.abs(usual[name]) for name, share in lost.items() if share > LOST}
    sizes = {name: size for name, size in sizes.items() if ((size > 0) & (size < floor / scale)).mean() > LOST / 2}
    if not sizes:
        return
    worst = min(sizes, key=lambda name: float(np.mean(sizes[name] ** 2)))
    smallest = float(np.quantile(sizes[worst][sizes[worst] > 0], 1 - KEPT))
    largest = max(float(np.abs(d).max()) for d in usual.values())
    rms = float(np.sqrt(np.mean(sizes[worst] ** 2)))
    says = (
        f"{lost[worst]:.0%} of ∂L/∂z in layer {layer_of(worst)} ({len(sizes)} layers in all) is zero in {spec.format.half} alone: "
        f"float64 has rms {rms:.1e} there, {spec.format.half} nothing under {floor / scale:.1e} at loss scale {scale:g}"
    )
    wanted = 2.0 ** math.ceil(math.log2(floor / smallest))
    if spec.format.scaled and wanted * largest < spec.format.results.largest:
        help_ = f"loss_scale={wanted:g} keeps {KEPT:.0%} of them and takes the largest to {wanted * largest:.2g}"
    else:
        help_ = f"precision=mixed_bfloat16: a loss scale of 2^{math.log2(wanted):.0f} would take the largest to {wanted * largest:.1e}"
    yield Diagnosis(UNDERFLOW, worst, lost[worst], 0.0, says, (help_,))


def _gain(spec: Spec, x: np.ndarray, seen: Seen, prediction: Prediction | None) -> Diagnosis:
    names = [node.name for node in graph(spec).dense]
    norms = {name: float(np.linalg.norm(np.asarray(seen.pre_activation_gradients[name], np.float64))) for name in names}
    first, last = norms[names[0]], norms[names[-1]]
    decades = math.log10(first) - math.log10(last) if first > 0 and last > 0 else -math.inf
    forecast = prediction.backward_total.mean * DECADES if prediction else math.nan
    says = f"‖∂L/∂z₁‖/‖∂L/∂z_L‖ is {power_of_ten(decades) if math.isfinite(decades) else '0'}, predicted {power_of_ten(forecast)}"
    if abs(decades) <= NOTABLE:
        return Diagnosis(HEALTHY, names[0], decades, forecast, says)
    word = "vanishing" if decades < 0 else "exploding"
    if misdrawn := _variance(spec, seen):
        node, ratio = misdrawn
        says += f"; the weights of layer {layer_of(node)} have {ratio:.2f} times the variance that {spec.init} promises"
        return Diagnosis("poor init", node, decades, forecast, f"{word} by weights that are not what they are called: {says}")
    options = remedies(spec, x) if spec.arch.layered else []
    steps = {name: math.log10(norms[name]) - math.log10(norms[above]) for name, above in pairwise(names) if norms[name] and norms[above]}
    worst = (min if decades < 0 else max)(steps, key=lambda name: steps[name]) if steps else names[0]
    says += f"; most of all at layer {layer_of(worst)} ({steps.get(worst, -math.inf):+.2f} decades)"
    if spec.arch.span and spec.arch.branch == "unscaled" and spec.arch.norm == "none" and decades > 0:
        word, says = "unscaled residual", f"exploding, every sum adds a branch as large as its stream: {says}"
    elif any(each.initialization and abs(each.decades[1]) <= NOTABLE for each in options):
        word, says = "poor init", f"{word} by initialization alone: {says}"
    return Diagnosis(word, worst, decades, forecast, says, tuple(options))


def _variance(spec: Spec, seen: Seen) -> tuple[str, float] | None:
    """The dense node whose weights are furthest from the promised variance, and by what factor, if that is beyond sampling error."""
    ratios = {}
    for node in graph(spec).dense:
        if (w := seen.weights.get(node.weight)) is None or not np.any(w):
            continue
        promised = node.start**2 * INITIALIZERS[spec.init].variance(node.fan_drawn, node.fan_out)
        # A sample variance of n normal weights has relative deviation √(2/n).
        beyond = BAND_Z * math.sqrt(2 / (node.fan_drawn * node.fan_out))
        ratio = float(np.mean(np.square(np.asarray(w, np.float64)))) / promised
        if abs(ratio - 1) > beyond:
            ratios[node.name] = ratio
    worst = max(ratios, key=lambda name: abs(math.log(ratios[name])), default="")
    return (worst, ratios[worst]) if worst else None


def _units(spec: Spec, seen: Seen, typical: Seen) -> Iterator[Diagnosis]:
    """Dead and saturated units of activations that stand directly behind a weight layer."""
    names = [joint.left.name for joint in graph(spec).joints if len(joint.between) == 1 and isinstance(joint.between[0], Activate)]
    row = ACTIVATIONS[spec.arch.act]
    if not names or not (row.kinks or row.saturates):
        return
    limit = DEAD_SHARE + DEAD_SD * math.sqrt(0.25 / spec.arch.width)
    dead, others = ({name: float((_slopes(spec, each, name).max(0) == 0).mean()) for name in names} for each in (seen, typical))
    worst = max(names, key=lambda name: dead[name])
    if dead[worst] > limit:
        says = f"{dead[worst]:.0%} of the units in layer {layer_of(worst)} pass no gradient for any sample, predicted {others[worst]:.0%}"
        yield Diagnosis("dead units", worst, dead[worst], others[worst], says, ("act=leaky_relu, whose units cannot die",))
    if row.saturates:
        flat, others = ({name: float((_slopes(spec, each, name) < FLAT).mean()) for name in names} for each in (seen, typical))
        worst = max(names, key=lambda name: flat[name])
        if flat[worst] > FLAT_SHARE:
            says = (
                f"{flat[worst]:.0%} of the values in layer {layer_of(worst)} have |φ′| under {FLAT:.0%} of its maximum, "
                f"predicted {others[worst]:.0%}"
            )
            help_ = "batch normalization before the activation (norm=batch)"
            yield Diagnosis("saturated", worst, flat[worst], others[worst], says, (help_,))


def _slopes(spec: Spec, seen: Seen, name: str) -> Units:
    """|φ′| behind a dense node in units of its largest value (batch × units)."""
    row = ACTIVATIONS[spec.arch.act]
    return np.abs(row.df(np.asarray(seen.pre_activations[name], np.float64))) / row.sup


def small_logit_gradient(spec: Spec) -> float:
    """√B·‖∂L/∂logits‖_F at small logits of either sign and unit targets: √(1 − 1/K) for softmax cross-entropy of K classes."""
    loss, labels = LOSSES[spec.loss], np.zeros(1, np.int64)
    logits = SMALL_LOGIT * (-1.0) ** np.arange(spec.classes)[None]
    return float(np.linalg.norm(loss.df(logits, loss.target(labels, spec.classes, 1.0))))


def _loss_scale(spec: Spec, seen: Seen) -> Iterator[Diagnosis]:
    """‖∂L/∂logits‖ far above what zero logits and unit targets give."""
    last = graph(spec).dense[-1].name
    f, d = (np.asarray(each[last], np.float64) for each in (seen.pre_activations, seen.pre_activation_gradients))
    size = float(np.linalg.norm(d)) * math.sqrt(len(d))
    usual = small_logit_gradient(spec)
    if size <= TOO_LARGE * usual:
        return
    if spec.target_scale > 1:
        loss = LOSSES[spec.loss]
        usual = float(np.linalg.norm(loss.df(f, loss.target(np.asarray(seen.labels), spec.classes, 1.0)))) * math.sqrt(len(f))
        says = f"unit targets give {usual:.3g}: targets are {spec.target_scale:g} times too large"
        help_ = f"target_scale=1 divides it by {size / usual:.2g}"
    else:
        logits = float(np.sqrt(np.mean(np.square(f))))
        says = f"small logits give {usual:.3g}: logits have rms {logits:.3g}"
        help_ = f"last weights divided by {logits:.2g} divide it by about {size / usual:.2g}"
    yield Diagnosis("loss or target scale too large", last, size, usual, f"√B·‖∂L/∂logits‖ is {size:.3g} where {says}", (help_,))


def loss_after(spec: Spec, x: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The reference's loss on one batch before and after `STEPS` steps of the documented optimizer on that batch."""
    weights, rule = draw_weights(spec.in_float64, 0), Rule(spec, "torch")
    losses = []
    with np.errstate(all="ignore"):  # a rate that is too large may leave the range of numbers
        for _ in range(STEPS + 1):
            done = Reference(spec, weights).run(x, labels)
            losses.append(float(done.loss))
            weights = rule.step(weights, done.gradients)
    return losses[0], losses[-1]


def _learning_rate(spec: Spec, x: np.ndarray, labels: Labels) -> Iterator[Diagnosis]:
    """A rate at which the first steps on one batch raise that batch's own loss, and the largest of its halves that does not."""
    before, after = loss_after(spec, x, labels)
    if after <= before:
        return
    for halvings in range(1, HALVINGS):
        slower = spec.but(lr=float(f"{spec.learning_rate / 2**halvings:.1g}"))
        calmed = loss_after(slower, x, labels)[1]
        if calmed < before:
            says = f"{STEPS} steps of lr={spec.learning_rate:g} on one batch take its loss from {before:.3g} to {after:.3g}"
            help_ = f"lr={slower.lr:g} takes it to {calmed:.3g}"
            yield Diagnosis("learning rate too large", graph(spec).dense[-1].name, spec.learning_rate, slower.lr, says, (help_,))
            return


def class_correlation(d: Units, labels: Labels) -> float:
    """Mean cosine between rows of d (samples × units) that share a label."""
    rows = np.asarray(d, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    same = (np.asarray(labels)[:, None] == np.asarray(labels)[None]) & ~np.eye(len(rows), dtype=bool)
    return float((rows @ rows.T)[same].mean()) if same.any() else math.nan


def _shattered(spec: Spec, x: np.ndarray, seen: Seen) -> Iterator[Diagnosis]:
    """Gradients of neighbouring samples that have nothing to do with each other (Balduzzi et al. 2017)."""
    dense = graph(spec).dense
    first, last = (class_correlation(seen.pre_activation_gradients[node.name], seen.labels) for node in (dense[0], dense[-1]))
    if not (last > 2 * SHATTERED and first < SHATTERED):
        return
    forecast = math.nan
    if spec.arch.norm == "none" and not spec.arch.span and spec.arch.mirror != "looks_linear":
        q0, c0 = float(np.mean(np.asarray(x, np.float64) ** 2)), class_correlation(x, seen.labels)
        forecast = last * plain_pair(spec.arch.act, gains(spec), q0, c0).gradients[0]
    elif spec.arch.norm == "batch":
        forecast = -1 / (spec.batch - 1)
    says = f"∂L/∂z₁ of samples of one class has correlation {first:.3f}, ∂L/∂logits {last:.2f}; infinite width predicts {forecast:.3f}"
    help_ = "skip connections over two with branches divided by √blocks, whose gradients keep most of their correlation"
    yield Diagnosis("shattered", dense[0].name, first, forecast, says, () if spec.arch.span else (help_,))
