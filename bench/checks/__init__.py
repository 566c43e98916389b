"""The laws, one function each. To add one: write the generator, add its row here, plant a fault that only it catches."""

from __future__ import annotations

from bench.checks.activation import activation
from bench.checks.clipping import clipping
from bench.checks.convolution import convolution_start, image_gain
from bench.checks.derivative import derivative, has_derivative
from bench.checks.evaluation import evaluation
from bench.checks.finite import finite
from bench.checks.gain import backward_gain, signal_gain
from bench.checks.gradient_bound import gradient_bound, has_bound
from bench.checks.initializer import initializer
from bench.checks.invariants import homogeneity, is_homogeneous, is_normalized, norm_orthogonality, sum_rules
from bench.checks.loss_scale import loss_scale
from bench.checks.normalization import normalization_state
from bench.checks.parity import forward_parity, gradient_parity
from bench.checks.precision import precision, rounding
from bench.checks.recurrence import is_simple, recurrent_start, time_gain, time_scales
from bench.checks.reproducible import reproducible
from bench.checks.symmetries import has_symmetry, symmetry
from bench.checks.training import training
from bench.checks.underflow import underflow
from bench.checks.update import update
from bench.evidence.collect import available
from bench.evidence.evidence import Evidence
from bench.judging.check import Check, Condition, Need
from models.architectures import graph
from models.nodes import Conv, Recurrent
from models.spec import Spec

THEORY, REFERENCE, ITSELF, BASELINE = "theory", "reference", "itself", "baseline"
STEPS = frozenset({Need.STEPS, Need.REFERENCE})
RESOLVED = STEPS | {Need.RESOLVED}
TRAINED = frozenset({Need.TRAININGS, Need.HELD_OUT})
HALF = Condition("half precision", lambda spec: bool(spec.format.half))
PLAIN = Condition("float32 or float64 throughout", lambda spec: spec.format.plain)
CLIPPED = Condition("gradient clipping", lambda spec: spec.clip != "none")
RUNNING = Condition("batch normalization", lambda spec: spec.arch.norm == "batch")
HOMOGENEOUS = Condition("positively homogeneous layers that follow each other or have no biases", is_homogeneous)
RECURRENT = Condition("recurrent layers", lambda spec: bool(graph(spec).of(Recurrent)))
CONVOLUTIONAL = Condition("convolutions", lambda spec: bool(graph(spec).of(Conv)))
SIMPLE = Condition("recurrent layers of simple cells", is_simple)
NORMALIZED = Condition("a normalization of dense layers without skips", is_normalized)
BOUNDED = Condition("cross-entropy, branches of zero, or layers that follow each other without normalization", has_bound)
TRANSFORMED = Condition("a symmetry of the network", has_symmetry)
DIFFERENTIATED = Condition("depth 8, or layers of another kind in float64, where derivatives are compared", has_derivative)

CHECKS: dict[str, Check[Evidence]] = {
    check.name: check
    for check in (
        Check(finite, ITSELF, STEPS | {Need.NATIVE}, also={Need.TRAININGS}),
        Check(reproducible, ITSELF, STEPS),
        Check(signal_gain, THEORY, {Need.NATIVE, Need.THEORY}),
        Check(backward_gain, THEORY, {Need.NATIVE, Need.THEORY}),
        Check(initializer, THEORY, {Need.DRAWS}),
        Check(convolution_start, THEORY, {Need.NATIVE}, CONVOLUTIONAL),
        Check(image_gain, THEORY, STEPS | {Need.NATIVE}, CONVOLUTIONAL),
        Check(recurrent_start, THEORY, {Need.NATIVE}, RECURRENT),
        Check(time_scales, THEORY, STEPS | {Need.NATIVE}, RECURRENT),
        Check(time_gain, THEORY, STEPS | {Need.NATIVE}, SIMPLE),
        Check(activation, REFERENCE, {Need.CURVES}),
        Check(forward_parity, REFERENCE, STEPS),
        Check(gradient_parity, REFERENCE, STEPS),
        Check(clipping, ITSELF, STEPS, CLIPPED),
        Check(update, REFERENCE, STEPS),
        Check(normalization_state, REFERENCE, STEPS, RUNNING),
        Check(sum_rules, ITSELF, RESOLVED),
        Check(homogeneity, ITSELF, RESOLVED, HOMOGENEOUS),
        Check(norm_orthogonality, ITSELF, RESOLVED, NORMALIZED),
        Check(gradient_bound, ITSELF, STEPS | {Need.NATIVE}, BOUNDED),
        Check(symmetry, ITSELF, {Need.RELATIONS, Need.REFERENCE}, TRANSFORMED),
        Check(derivative, ITSELF, {Need.RELATIONS, Need.REFERENCE}, DIFFERENTIATED),
        Check(evaluation, REFERENCE, TRAINED, PLAIN),
        Check(precision, ITSELF, STEPS),
        Check(rounding, REFERENCE, STEPS, HALF),
        Check(underflow, REFERENCE, STEPS | {Need.NATIVE}, HALF),
        Check(loss_scale, ITSELF, {Need.SCALED, Need.REFERENCE}),
        Check(training, BASELINE, TRAINED | {Need.BASELINE}),
    )
}


def missing(check: Check[Evidence], spec: Spec, backend: str) -> str:
    """What the check needs and this network on this backend does not have, in words; nothing where it applies."""
    return check.missing(spec.on(backend), available(spec, backend))


def applies(check: Check[Evidence], spec: Spec, backend: str) -> bool:
    """Whether the check speaks of this network on this backend."""
    return not missing(check, spec, backend)
