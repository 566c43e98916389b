"""One network under another name: hidden units in another order, inputs turned, samples shuffled, halved, repeated or negated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Residuals, altered, equal, in_float64, stream
from models.architectures import graph
from models.arrays import Arrays, Weight
from models.graph import kind_of, layer_of, node_of
from models.observation import Backward, ForcedStep
from models.reference.draws import rounded
from models.spec import Spec


def permutations(spec: Spec) -> list[np.ndarray]:
    """A random order of every dense node's units, the last one's being the classes."""
    rng = stream(spec)
    return [rng.permutation(node.width) for node in graph(spec).dense]


def permute(spec: Spec, arrays: Arrays) -> Arrays:
    """Weights or gradients of the network whose units and classes stand in another order."""
    orders, moved = permutations(spec), {}
    for at, node in enumerate(graph(spec).dense):
        for name in (each for each in arrays if layer_of(node_of(each)) == node.layer):
            value = arrays[name][orders[at]]
            moved[name] = value[:, orders[at - 1]] if name == node.weight and at else value
    return moved


def permute_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The jittered network, and the same one with its units and classes in another order."""
    labels = np.argsort(permutations(spec)[-1])[jittered.labels]
    return [jittered, replace(jittered, weights=permute(spec, jittered.weights), labels=labels)]


def permute_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """Gradients of permuted units are permuted."""
    yield from equal(spec, "with units and classes in another order", passes[1].gradients, permute(spec, in_float64(passes[0].gradients)))


def rotation(spec: Spec) -> Weight:
    """A random rotation of the inputs (features × features)."""
    return np.linalg.qr(stream(spec).standard_normal((spec.features, spec.features)))[0]


def rotate_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """Inputs x → Qx with W₁ → W₁Qᵀ: the same function."""
    q = rotation(spec)
    first_weight = graph(spec).dense[0].weight
    turned = altered(jittered, spec, {first_weight: jittered.weights[first_weight] @ q.T})
    return [jittered, replace(turned, x=rounded(spec, jittered.x @ q.T))]


def rotate_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """∂W₁ turns with the inputs, all else stays."""
    expected, first = in_float64(passes[0].gradients), graph(spec).dense[0]
    expected[first.weight] = expected[first.weight] @ rotation(spec).T
    yield from equal(spec, "with inputs turned", passes[1].gradients, expected)


def shuffle_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The same samples in another order."""
    order = stream(spec).permutation(spec.batch)
    return [jittered, replace(jittered, x=jittered.x[order], labels=jittered.labels[order])]


def shuffle_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """The order of samples means nothing, to batch normalization neither."""
    yield from equal(spec, "with samples in another order", passes[1].gradients, in_float64(passes[0].gradients))


def halve_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The batch, and either half of it filled up with a copy of itself, so that every batch has the same shape."""
    half = spec.batch // 2
    picks = [np.tile(np.arange(half), 2), np.tile(np.arange(half, 2 * half), 2)]
    return [jittered, *(replace(jittered, x=jittered.x[pick], labels=jittered.labels[pick]) for pick in picks)]


def halve_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """The gradient of a batch is the mean of its halves' gradients."""
    one, other = in_float64(passes[1].gradients), in_float64(passes[2].gradients)
    expected = {name: (one[name] + other[name]) / 2 for name in one}
    for place, residual, _ in equal(spec, "against the mean of half batches'", passes[0].gradients, expected):
        yield place, residual, np.hypot(one[place.name], other[place.name])


def repeat_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """Every sample twice: the same mean and the same batch statistics."""
    twice = np.tile(np.arange(spec.batch), 2)
    return [jittered, replace(jittered, x=jittered.x[twice], labels=jittered.labels[twice])]


def repeat_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """The gradient of the mean loss stays."""
    yield from equal(spec, "with every sample twice", passes[1].gradients, in_float64(passes[0].gradients))


def single_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """One sample `batch` times."""
    one = np.zeros(spec.batch, int)
    return [replace(jittered, x=jittered.x[one], labels=jittered.labels[one])]


def single_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """∂W = δhᵀ of one sample has rank one, with δ = ∂b: so ∂W = ∂b(∂Wᵀ∂b)ᵀ/‖∂b‖² and ‖∂W‖ = ‖δ‖‖h‖."""
    seen = in_float64(passes[0].gradients)
    for node in graph(spec).dense:
        w, b = seen[node.weight], seen[node.bias]
        yield Place.of(node.weight, "rank one of one sample's gradient"), w - np.outer(b, w.T @ b) / (b @ b), w


LOSS_SCALE = 1024.0


def weigh_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The jittered network, and the same step on 1,024 times the loss."""
    return [jittered, replace(jittered, loss_scale=LOSS_SCALE)]


def weigh_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """Gradients are linear in the loss."""
    expected = {key: LOSS_SCALE * g for key, g in in_float64(passes[0].gradients).items()}
    yield from equal(spec, f"with the loss times {LOSS_SCALE:g}", passes[1].gradients, expected)


def negate_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """Inputs, biases and (with two classes of hinge targets ±1) labels negated."""
    biases = {node.bias: -jittered.weights[node.bias] for node in graph(spec).dense}
    return [jittered, replace(altered(jittered, spec, biases), x=-jittered.x, labels=1 - jittered.labels)]


def negate_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """φ odd: outputs are negated, ∂W stays and ∂b is negated."""
    signs = {"weight": 1.0, "bias": -1.0}
    expected = {key: signs[kind_of(key)] * g for key, g in in_float64(passes[0].gradients).items()}
    yield Place("with all signs turned", array="loss"), passes[1].loss - passes[0].loss, passes[0].loss
    yield from equal(spec, "with all signs turned", passes[1].gradients, expected)
