"""Keras's own layers for every node of a network, wired by its graph, and its optimizers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.architectures import graph
from models.architectures.reversible import RECOMPUTED, reversible
from models.arrays import Arrays, Labels, Statistics, Targets
from models.backends.keras import dynamics, images
from models.backends.keras.carried import carried, given_back, variables
from models.backends.keras.layers import KINDS, Mirrored, Multiplied, ReadOut, Unfold, array, cell_of, dense, recurrence, variable
from models.backends.keras.libraries import Tensor
from models.backends.keras.releases import absences
from models.backends.keras.reversible import TakenBack
from models.backends.registry import Absent
from models.naming import is_weight, kind_of, node_of
from models.nodes import (
    INPUT,
    WIRED,
    Activate,
    Conv,
    Dense,
    Flatten,
    Image,
    Join,
    Mirror,
    Multiply,
    Node,
    Normalize,
    Part,
    Pool,
    Read,
    Recurrent,
    Steps,
    Sum,
    Transposed,
)  # fmt: skip
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.parts.schedules import SCHEDULES
from models.spec import Spec

FRAMES_PER_LAYER = 12
"""Room for Keras to walk a model, which it does recursively: with Python's usual 1,000 frames it ends at some 300 layers."""
Apply = Callable[[Node, Tensor], Tensor]
"""What a node's layer makes of a tensor."""


class Model:
    """The layers of `spec` as a Keras model, with variables by name and batch normalizations by node.

    A second bias of a recurrent layer stands in the variable of the first one.
    """

    def __init__(self, spec: Spec, weights: Arrays | None = None, *, frozen: Container[int] = (), mode: str = "", **options: Any) -> None:
        """Build and initialize by Keras or set `weights`; layers with a number in `frozen` are frozen before they are built.

        Recurrent layers are written in the mode, and with `recomputed` reversible ones keep no activations. `options` go to every Dense.
        Raises Absent for a layer that this release does not have, SpecError for layers that cannot be taken back.
        """
        self.spec, self.graph, self._mode = spec, graph(spec), mode
        with absences():
            self.parts: dict[str, keras.layers.Layer] = {}
            for node in self.graph.nodes:
                if not isinstance(node, WIRED):
                    self.parts[node.name] = self._part(node, options)
        for node in self.graph.nodes:
            if node.layer in frozen and node.parameters:
                self.parts[node.name].trainable = False
        sys.setrecursionlimit(max(sys.getrecursionlimit(), FRAMES_PER_LAYER * (len(self.graph.dense) + 100)))
        inputs = keras.Input((spec.features,))
        wire = self._taken_back if mode == RECOMPUTED else self.wire
        self.model = keras.Model(inputs, wire(inputs, lambda node, h: self.parts[node.name](h)))
        self.parameters: dict[str, keras.Variable] = {name: self._parameter(name) for name in variables(self.graph)}
        self.norms = {node.name: self.parts[node.name] for node in self.graph.of(Normalize) if node.norm == "batch"}
        self.loss: keras.losses.Loss = LOSSES[spec.loss].keras(keras)
        if weights is not None:
            self.set_weights(weights)

    def _part(self, node: Node, options: dict[str, Any]) -> keras.layers.Layer:
        if isinstance(node, Dense):
            return dense(self.spec, node, **options)
        if isinstance(node, Normalize):
            return NORMS[node.norm].keras(keras.layers, node)
        if isinstance(node, Multiply):
            return Multiplied()
        if isinstance(node, Mirror):
            return Mirrored()
        if isinstance(node, Part):
            return dynamics.Slice(node)
        if isinstance(node, Transposed):
            return dynamics.TransposedDense(self.parts[node.of], dense(self.spec, node.alone).bias_initializer)
        if isinstance(node, Steps):
            return Unfold(node)
        if isinstance(node, Recurrent):
            return recurrence(self.spec, node, self._mode)
        if isinstance(node, Read):
            return ReadOut(node)
        if isinstance(node, Conv):
            return images.convolution(self.spec, node)
        if isinstance(node, Pool):
            return images.pooling(node)
        if isinstance(node, Image):
            return images.image(node)
        if isinstance(node, Flatten):
            return keras.layers.Flatten()
        assert isinstance(node, Activate)
        return ACTIVATIONS[node.activation].keras(keras)

    def wire(self, h: Tensor, apply: Apply) -> Tensor:
        """The last node's result for the input h, where `apply` computes every node but sums and what is joined."""
        return self._walk(self.graph.nodes, {INPUT: h}, apply)

    def _taken_back(self, h: Tensor, apply: Apply) -> Tensor:
        """The same, with all moves of a reversible network as one layer."""
        network, results = reversible(self.graph), {INPUT: h}
        self._walk(network.before, results, apply)
        last = TakenBack(network, self.parts)([results[name] for name in network.first])
        return self._walk(network.after, dict(zip(network.last, last, strict=True)), apply)

    def _walk(self, nodes: Iterable[Node], results: dict[str, Tensor], apply: Apply) -> Tensor:
        for node in nodes:
            if isinstance(node, Sum):
                stream, branch = (results[name] for name in node.inputs)
                # As the model does it, eagerly too: of its symbolic tensors, `*` is `ops.multiply`, which rounds the number as well.
                branch = branch if node.scale == 1 else ops.multiply(branch, node.scale)
                h = ops.add(stream if node.keep == 1 else ops.multiply(stream, node.keep), branch)
            elif isinstance(node, Join):
                h = ops.concatenate([results[name] for name in node.inputs], axis=-1)
            else:
                h = apply(node, results[node.inputs[0]])
            results[node.name] = h
        return results[node.name]

    def _parameter(self, name: str) -> keras.Variable:
        layer, node, kind = self.parts[node_of(name)], self.graph[node_of(name)], kind_of(name)
        if isinstance(node, Recurrent):
            return variable(cell_of(layer, kind), kind)
        layer = images.inner(layer)
        return layer.scale if isinstance(node, Normalize) and node.norm == "rms" else getattr(layer, KINDS[kind])

    def target(self, labels: Labels) -> Targets:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(np.asarray(labels), self.spec.classes, self.spec.target_scale)
        return target if target.dtype.kind == "i" else target.astype(self.spec.format.held)

    def compile(self, optimizer: keras.optimizers.Optimizer, *, jit: bool | str = "auto", **options: Any) -> keras.Model:
        """The model, compiled with the spec's loss. Biases and scales are not decayed."""
        self.model.compile(optimizer, self.loss, jit_compile=jit, **options)
        if self.spec.decay:
            others = [variable for name, variable in self.parameters.items() if not is_weight(name)]
            getattr(optimizer, "inner_optimizer", optimizer).exclude_from_weight_decay(var_list=others)
        return self.model

    def set_weights(self, weights: Arrays) -> None:
        """Set parameters."""
        for name, value in carried(self.graph, weights).items():
            self.parameters[name].assign(value)

    def weights(self) -> Arrays:
        """Parameters as NumPy arrays, weights as (fan-out, fan-in)."""
        held = given_back(self.graph, {name: array(variable) for name, variable in self.parameters.items()})
        return {name: value.copy() for name, value in held.items()}

    def running(self) -> Statistics:
        """Running mean and variance of every batch normalization."""
        return {name: (array(norm.moving_mean), array(norm.moving_variance)) for name, norm in self.norms.items()}


def optimizer_of(spec: Spec, *, schedule: float = 0.0, **options: Any) -> keras.optimizers.Optimizer:
    """The spec's optimizer at its schedule with more `options`; `schedule` multiplies the learning rate after every step.

    Raises Absent where this release of Keras has none.
    """
    row = OPTIMIZERS[spec.optimizer]
    if row.keras is None:
        raise Absent(f"Keras has no optimizer {spec.optimizer}")
    if (make := SCHEDULES[spec.schedule].keras) is None:
        raise Absent(f"Keras has no schedule {spec.schedule}")
    with absences():
        rate: Any = make(keras.optimizers.schedules, spec.learning_rate)
    if schedule:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, decay_steps=1, decay_rate=schedule)
    with absences():
        kind = row.keras(keras.optimizers)
    return kind(learning_rate=rate, **row.arguments(spec), **CLIPS[spec.clip].keras(spec.clip_at), **options)
