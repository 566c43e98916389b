"""Laws of convolutions."""

from __future__ import annotations

import numpy as np

from bench.checks.relations import Residuals, View
from bench.judging.place import Place
from models.architectures import graph
from models.arrays import Array
from models.nodes import Activate, Conv
from models.parts.activations import ACTIVATIONS
from models.reference.convolution import patches, pixels
from models.spec import Spec


def sums(spec: Spec, view: View) -> Residuals:
    """∂b = Σ δ and ∂W = Σ δ · patch over samples and pixels, for every convolution whose image is a signal or an activation of one."""
    for conv in graph(spec).of(Conv):
        d = pixels(view.pre_activation_gradients[conv.name])
        yield Place("∂b against Σδ", conv.name), view.gradients[conv.bias] - d.sum(0), np.abs(d).sum(0)
        if (h := _below(spec, conv, view)) is not None:
            rows, by_group = patches(conv, h), np.split(d, conv.groups, axis=1)
            summed = np.concatenate([each.T @ patch for each, patch in zip(by_group, rows, strict=True)])
            residual = view.gradients[conv.weight].reshape(summed.shape) - summed
            yield Place("∂W against δᵀh", conv.name), residual, np.linalg.norm(d) * np.linalg.norm(rows)


def _below(spec: Spec, conv: Conv, view: View) -> Array | None:
    """What a convolution reads, where that is a signal, or an activation of one."""
    below = graph(spec)[conv.inputs[0]]
    if below.name in view.pre_activations:
        return view.pre_activations[below.name]
    if isinstance(below, Activate) and (name := below.inputs[0]) in view.pre_activations:
        return ACTIVATIONS[below.activation].f(view.pre_activations[name])
    return None
