"""The reference: a walk over the network's graph, forward and backward, written out in NumPy.

In float64 it is the answer; in float32 it shows what rounding costs on the very same network. It shares no code with
any framework, and finite differences and the complex step prove it in the self-tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from models.architectures import graph
from models.arrays import Arrays, Batch, Labels, Logits, Statistics, Targets
from models.nodes import INPUT, WATCHED
from models.observation import WatchedPass
from models.parts.losses import LOSSES
from models.reference.arithmetic import Arithmetic
from models.reference.operations import OPERATIONS, Execution, Pass, Saved
from models.spec import Spec
from models.spent import JUDGE, spent_on

__all__ = ["Pass", "Reference"]


class Reference:
    """The network of `spec` with parameters `weights` in `dtype` (float64, float32, or complex for the complex step).

    With `order`, every matrix product and every sum of a normalization takes its terms in an order of its own, drawn from that seed:
    another draw of what rounding does, as another library's kernels would make it; in every other order normalizations are computed
    otherwise, too. With `conventions` (in float32) operands and results are rounded as that framework documents the spec's precision:
    operands of products, results of every layer, forward and backward; sums, normalizations and the loss stay in float32. PyTorch adds
    the bias before it rounds, Keras after. With `excess` operands and results of products alone are rounded, as a compiler does that keeps
    float32 between them.
    """

    def __init__(
        self,
        spec: Spec,
        weights: Arrays,
        dtype: DTypeLike = np.float64,
        order: int | None = None,
        conventions: str = "",
        excess: bool = False,
    ) -> None:
        """Copy the weights in, rounded to `dtype`."""
        self.spec, self.graph = spec, graph(spec)
        self.arithmetic = Arithmetic(dtype, spec.format, order, conventions, excess)
        self._scale = self.arithmetic.number(spec.first_scale if conventions else 1.0)
        self.weights = {name: np.asarray(value).astype(dtype) for name, value in weights.items()}
        self._given: WatchedPass | Pass | None = None

    @spent_on(JUDGE, "reference")
    def forward(self, x: Batch, running: Statistics | None = None) -> Pass:
        """Pre-activations and logits; with `running` statistics batch normalization is in evaluation mode."""
        return self._forward(x, running)[0].out

    @spent_on(JUDGE, "reference")
    def run(self, x: Batch, labels: Labels, given: WatchedPass | Pass | None = None, backend: str = "") -> Pass:
        """Forward and backward pass of the training loss on a batch (batch × features) with integer labels.

        With `given`, a pass seen elsewhere, every layer is fed what it was fed there. Its own result is recorded, and the given
        pre-activation or gradient is handed on. Rounding in one layer then does not show in another. A unit exactly on its kink, as half
        precision puts some, takes the slope that `backend` takes there.
        """
        self._given = given
        at, saved = self._forward(x, None)
        at.backend = backend
        out, loss, target = at.out, LOSSES[self.spec.loss], self.target(labels)
        out.loss = loss.f(out.logits, target)
        if loss.margin is not None:
            out.bends["loss"] = loss.margin(out.logits, target)
        self._backward(at, saved, self.arithmetic.between(loss.df(out.logits, target) * self._scale))
        if self._scale != 1:
            out.gradients = {name: g / self._scale for name, g in out.gradients.items()}
            out.pre_activation_gradients = {name: d / self._scale for name, d in out.pre_activation_gradients.items()}
        return out

    def target(self, labels: Labels) -> Targets:
        """What the loss compares logits with."""
        target = LOSSES[self.spec.loss].target(labels, self.spec.classes, self.spec.target_scale)
        return target if target.dtype.kind == "i" else target.astype(self.arithmetic.dtype)

    def _forward(self, x: Batch, running: Statistics | None) -> tuple[Execution, dict[str, Saved]]:
        at, saved = Execution(self.arithmetic, self.weights, running, library=self.spec.computed_by), dict[str, Saved]()
        results = {INPUT: np.asarray(x).astype(self.arithmetic.dtype)}
        for node in self.graph.nodes:
            result, saved[node.name] = OPERATIONS[type(node)].forward(at, node, *(results[name] for name in node.inputs))
            if isinstance(node, WATCHED):
                at.out.pre_activations[node.name] = result
                if self._given:
                    result = self.arithmetic.fed(self._given.pre_activations[node.name])
            results[node.name] = result
        at.out.logits = result
        return at, saved

    def _backward(self, at: Execution, saved: dict[str, Saved], d: Logits) -> None:
        """Gradients from the last node to the first; those of a result that several nodes read add up."""
        gradients = {self.graph.nodes[-1].name: d}
        for node in reversed(self.graph.nodes):
            d = gradients.pop(node.name)
            if isinstance(node, WATCHED):
                at.out.pre_activation_gradients[node.name] = d
                if self._given:
                    d = self.arithmetic.fed(self._given.pre_activation_gradients[node.name]) * self._scale
            for name, g in zip(node.inputs, OPERATIONS[type(node)].backward(at, node, saved[node.name], d), strict=True):
                gradients[name] = self.arithmetic.between(gradients[name] + g) if name in gradients else g
