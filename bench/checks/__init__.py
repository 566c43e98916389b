"""The laws, one function each. To add one: write the generator, add its row here, plant a fault that only it catches."""

from __future__ import annotations

from bench.checks.activation import activation, is_activation_case
from bench.checks.clipping import clipping
from bench.checks.derivative import derivative, has_derivative
from bench.checks.evaluation import evaluation
from bench.checks.finite import finite
from bench.checks.gain import backward_gain, signal_gain
from bench.checks.initializer import initializer, is_initializer_case
from bench.checks.invariants import gradient_bound, has_bound, homogeneity, is_homogeneous, norm_orthogonality, sum_rules
from bench.checks.loss_scale import loss_scale
from bench.checks.normalization import normalization_state
from bench.checks.parity import forward_parity, gradient_parity
from bench.checks.precision import precision, rounding
from bench.checks.reproducible import reproducible
from bench.checks.symmetries import has_symmetry, symmetry
from bench.checks.training import training
from bench.checks.underflow import underflow
from bench.checks.update import update
from bench.judging.check import Check
from bench.theory import why_not
from models.spec import Spec


def centred(spec: Spec) -> bool:
    """Whether a network's signals are theory's: not on unfriendly inputs, which are judged step by step."""
    return spec.input == "centred"


OF_TRAINING = ("evaluation", "training")
"""Checks of free runs; the others need single steps only."""
THEORY, REFERENCE, ITSELF, BASELINE = "theory", "reference", "itself", "baseline"

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(finite, ITSELF),
        Check(reproducible, ITSELF),
        Check(signal_gain, THEORY, lambda spec, backend: centred(spec) and not why_not(spec.on(backend))),
        Check(backward_gain, THEORY, lambda spec, backend: centred(spec) and not why_not(spec.on(backend))),
        Check(initializer, THEORY, lambda spec, backend: centred(spec) and is_initializer_case(spec)),
        Check(activation, REFERENCE, lambda spec, backend: is_activation_case(spec)),
        Check(forward_parity, REFERENCE),
        Check(gradient_parity, REFERENCE),
        Check(clipping, ITSELF, lambda spec, backend: spec.clip != "none"),
        Check(update, REFERENCE),
        Check(normalization_state, REFERENCE, lambda spec, backend: spec.norm == "batch"),
        Check(sum_rules, ITSELF, lambda spec, backend: spec.above_floor),
        Check(homogeneity, ITSELF, lambda spec, backend: spec.above_floor and is_homogeneous(spec)),
        Check(norm_orthogonality, ITSELF, lambda spec, backend: spec.above_floor and spec.norm != "none" and not spec.span),
        Check(gradient_bound, ITSELF, has_bound),
        Check(symmetry, ITSELF, has_symmetry),
        Check(derivative, ITSELF, has_derivative),
        Check(evaluation, REFERENCE, lambda spec, backend: spec.trained and spec.format.plain),
        Check(precision, ITSELF),
        Check(rounding, REFERENCE, lambda spec, backend: bool(spec.format.half)),
        Check(underflow, REFERENCE, lambda spec, backend: bool(spec.format.half)),
        Check(loss_scale, ITSELF, lambda spec, backend: spec.format.scaled),
        Check(training, BASELINE, lambda spec, backend: spec.trained),
    )
}
