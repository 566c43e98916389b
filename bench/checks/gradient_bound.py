"""How much a layer can enlarge a gradient, whatever the weights: no reference and no theory needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from models.architectures import graph
from models.parts.activations import ACTIVATIONS
from models.spec import Spec

FLOAT64_UNIT = float(np.finfo(np.float64).eps) / 2


ZEROS = ("zero", "rezero", "fixup")
"""Ways to scale branches by which they are zero at the start."""


@within_range
def gradient_bound(evidence: Evidence) -> Iterator[Finding]:
    """No layer enlarges a gradient by more than max|φ′| times its largest singular value, and branches of zero pass it on untouched.

    ‖δ_l‖ ≤ max|φ′|·σ_max(W_{l+1})·‖δ_{l+1}‖ for Frobenius norms, trained or not; softmax cross-entropy starts it with
    ‖δ_L‖ ≤ √(2/B). Allowed on top is the worst case of rounding a dot product of n terms, n·u·‖W‖_F, that of the float64 sums by which
    norms are taken here, and numbers next to zero. Where a branch is exactly zero, δ of every block's last layer has the same bits,
    layers inside the branch get no gradient and the zeros get one. A learned number of zero is passed by alike.
    """
    sup, nodes = ACTIVATIONS[evidence.spec.arch.act].by(evidence.spec.computed_by).sup, graph(evidence.spec)
    for title, seen in (("own weights", evidence.native), ("drawn weights", evidence.shared)):
        size = {name: float(np.linalg.norm(d.astype(np.float64))) for name, d in seen.pre_activation_gradients.items()}
        if evidence.spec.loss == "cross_entropy":
            yield _over(
                Place("‖∂L/∂logits‖ over its bound", scope=title),
                size[nodes.dense[-1].name],
                (2 / len(seen.logits)) ** 0.5,
                evidence.spec.classes * evidence.result_unit,
            )
        for joint in nodes.joints if evidence.spec.arch.norm == "none" else ():
            w = seen.weights[joint.right.weight].astype(np.float64)
            largest = float(np.linalg.norm(w, 2))
            bound = sup * largest * size[joint.right.name]
            entries = seen.pre_activation_gradients[joint.left.name].size
            slack = w.shape[0] * evidence.result_unit * float(np.linalg.norm(w)) / (largest or 1.0) + (entries + w.size) * FLOAT64_UNIT
            grain = evidence.grain * entries**0.5
            place = Place("‖δ‖ over its bound", joint.left.name, scope=title)
            yield _over(place, max(size[joint.left.name] - grain, 0.0), bound, slack)
        if evidence.spec.arch.branch in ("zero", "fixup") and evidence.spec.arch.skip_order == "pre":
            ends = [block.dense[-1] for block in nodes.blocks]
            deltas, last = seen.pre_activation_gradients, ends[-1]
            for node in ends:
                differing = np.count_nonzero(deltas[node.name] != deltas[last.name])
                place = Place(f"entries of δ that differ from layer {last.layer}'s", node.name, scope=title)
                yield Finding(place, float(differing), 0.0, 0.0)
        for block in (block for block in nodes.blocks if block.multiply):
            for node in block.dense:
                there = np.count_nonzero(seen.pre_activation_gradients[node.name])
                yield Finding(Place("entries of δ behind a learned zero", node.name, scope=title), float(there), 0.0, 0.0)

    if evidence.spec.arch.branch in ZEROS:
        yield from _behind_zeros(evidence)


def _behind_zeros(evidence: Evidence) -> Iterator[Finding]:
    """What a branch computes before weights or a number of zero gets no gradient but a penalty's, and those zeros get one.

    They get none where no pass of the reference has one: where a loss is satisfied, or rounding to half precision leaves nothing.
    """
    gradients = evidence.seen.forced_steps[0].gradients
    penalties = [added for _, added in evidence.held_penalties(evidence.reference.forced_steps[0].weights)]
    for block in graph(evidence.spec).blocks:
        inner = block.dense if block.multiply else block.dense[:-1]
        zeros, where = (block.multiply.multiplier, block.sum.name) if block.multiply else (block.dense[-1].weight, block.dense[-1].name)
        for node in inner:
            allowed = [np.asarray(added.get(node.weight, 0.0)) for added in penalties]
            off = [np.abs(gradients[node.weight] - g) > ROUNDING_MULTIPLE * evidence.unit * np.abs(g) for g in allowed]
            moved = min(each.sum() for each in off) + np.count_nonzero(gradients[node.bias])
            yield Finding(Place("entries of the gradient behind zeros", node.name, step=0), float(moved), 0.0, 0.0)
        if not any(np.any(each.gradients[zeros]) for each in (evidence.steps[0][0], *evidence.steps[0][1])):
            continue
        there = np.count_nonzero(gradients[zeros]) / gradients[zeros].size
        yield Finding(Place("share of zeros that get a gradient", where, step=0), there, np.finfo(float).tiny, float("inf"))


def _over(place: Place, size: float, bound: float, slack: float) -> Finding:
    """By what share a norm exceeds its bound."""
    excess = max(size / bound - 1, 0.0) if bound > 0 else size
    return Finding(place, excess, 0.0, slack, f"{size:.4g} where {bound:.4g} is the most")


def has_bound(spec: Spec) -> bool:
    """Whether any of the bounds says something of this network."""
    plain = spec.arch.norm == "none" and bool(graph(spec).joints)
    return spec.loss == "cross_entropy" or spec.arch.branch in ZEROS or plain
