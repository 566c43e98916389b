"""One network under another name: hidden units in another order, inputs turned, samples shuffled, halved, repeated or negated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Changed, Residuals, altered, equal, in_float64, stream
from models.architectures import graph
from models.arrays import Arrays, Indices
from models.naming import kind_of, layer_of, node_of
from models.observation import Backward, ForcedStep
from models.reference.draws import rounded
from models.spec import Spec

LOSS_SCALE = 1024.0


def permute(spec: Spec, forced_step: ForcedStep) -> Changed:
    """Units and classes in another order: gradients are permuted as their units are."""
    rng = stream(spec)
    orders = [rng.permutation(node.width) for node in graph(spec).dense]

    def permuted(arrays: Arrays) -> Arrays:
        moved = {}
        for at, node in enumerate(graph(spec).dense):
            for name in (each for each in arrays if layer_of(node_of(each)) == node.layer):
                value = arrays[name][orders[at]]
                moved[name] = value[:, orders[at - 1]] if name == node.weight and at else value
        return moved

    labels = np.argsort(orders[-1])[forced_step.labels]
    return replace(forced_step, weights=permuted(forced_step.weights), labels=labels), permuted


def rotate(spec: Spec, forced_step: ForcedStep) -> Changed:
    """Inputs x → Qx with W₁ → W₁Qᵀ: the same function. ∂W₁ turns with the inputs, all else stays."""
    q, first = np.linalg.qr(stream(spec).standard_normal((spec.features, spec.features)))[0], graph(spec).dense[0].weight
    turned = altered(forced_step, spec, {first: forced_step.weights[first] @ q.T})
    return replace(turned, x=rounded(spec, forced_step.x @ q.T)), lambda gradients: gradients | {first: gradients[first] @ q.T}


def shuffle(spec: Spec, forced_step: ForcedStep) -> Changed:
    """The order of samples means nothing, to batch normalization neither."""
    return picked(forced_step, stream(spec).permutation(spec.batch)), dict


def repeat(spec: Spec, forced_step: ForcedStep) -> Changed:
    """Every sample twice: with the same mean and the same batch statistics, the gradient of the mean loss stays."""
    return picked(forced_step, np.tile(np.arange(spec.batch), 2)), dict


def weigh(spec: Spec, forced_step: ForcedStep) -> Changed:
    """Gradients are linear in the loss: the same step on 1,024 times the loss."""
    return replace(forced_step, loss_scale=LOSS_SCALE), lambda gradients: {key: LOSS_SCALE * g for key, g in gradients.items()}


def negate(spec: Spec, forced_step: ForcedStep) -> Changed:
    """Inputs, biases and (with two classes of hinge targets ±1) labels negated; φ is odd, so ∂W stays and ∂b is negated."""
    biases, signs = {node.bias: -forced_step.weights[node.bias] for node in graph(spec).dense}, {"weight": 1.0, "bias": -1.0}
    negated = replace(altered(forced_step, spec, biases), x=-forced_step.x, labels=1 - forced_step.labels)
    return negated, lambda gradients: {key: signs[kind_of(key)] * g for key, g in gradients.items()}


def picked(forced_step: ForcedStep, samples: Indices) -> ForcedStep:
    """The step on these samples of its batch."""
    return replace(forced_step, x=forced_step.x[samples], labels=forced_step.labels[samples])


def halve_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The batch, and either half of it filled up with a copy of itself, so that every batch has the same shape."""
    half = spec.batch // 2
    return [jittered, *(picked(jittered, np.tile(np.arange(start, start + half), 2)) for start in (0, half))]


def halve_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """The gradient of a batch is the mean of its halves' gradients."""
    one, other = in_float64(passes[1].gradients), in_float64(passes[2].gradients)
    expected = {name: (one[name] + other[name]) / 2 for name in one}
    for place, residual, _ in equal(spec, "against the mean of half batches'", passes[0].gradients, expected):
        yield place, residual, np.hypot(one[place.name], other[place.name])


def single_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """One sample `batch` times."""
    return [picked(jittered, np.zeros(spec.batch, int))]


def single_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """∂W = δhᵀ of one sample has rank one, with δ = ∂b: so ∂W = ∂b(∂Wᵀ∂b)ᵀ/‖∂b‖² and ‖∂W‖ = ‖δ‖‖h‖."""
    seen = in_float64(passes[0].gradients)
    for node in graph(spec).dense:
        w, b = seen[node.weight], seen[node.bias]
        yield Place.of(node.weight, "rank one of one sample's gradient"), w - np.outer(b, w.T @ b) / (b @ b), w
