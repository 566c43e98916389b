"""Faults of what is proposed against vanishing and exploding gradients, each patched into a framework's real symbol."""

from __future__ import annotations

from typing import Any

from bench.selftest.faults.plant import Fault, one, scaled

REZERO, L1 = "depth=8,skip=two,skip_order=pre,branch=rezero", "depth=4,l1=0.001"
SKEW = "ode,depth=6"
MIRROR, FIXUP = "depth=8,mirror=looks_linear,init=orthogonal", "depth=32,skip=two,skip_order=pre,branch=fixup"


def _torch_zeros(zeros: Any) -> Any:
    return lambda tensor: zeros(tensor).data.add_(1e-6 if tensor.shape == (1,) else 0)


def _keras_zeros(zeros: Any) -> Any:
    return lambda self, shape, dtype=None: zeros(self, shape, dtype) + (1e-6 if tuple(shape) == (1,) else 0)


def _torch_mean_over_samples(multiply: Any) -> Any:
    """x·a, whose gradient with respect to one number a is divided by the number of samples."""

    def multiplied(x: Any, a: Any) -> Any:
        if getattr(a, "shape", None) != (1,):
            return multiply(x, a)
        return multiply(x, a.detach()) + multiply(x.detach(), (a - a.detach()) / len(x))

    return multiplied


def _keras_mean_over_samples(multiply: Any) -> Any:
    """The same."""
    from keras import ops

    def multiplied(x: Any, a: Any) -> Any:
        if tuple(getattr(a, "shape", ())) != (1,):
            return multiply(x, a)
        a = ops.convert_to_tensor(a)
        held = ops.stop_gradient(a)
        return multiply(x, held) + multiply(ops.stop_gradient(x), (a - held) / 64)

    return multiplied


def _torch_unscaled(mul: Any) -> Any:
    from torch.nn import Parameter

    return lambda tensor, factor: tensor if isinstance(tensor, Parameter) else mul(tensor, factor)


def _torch_subtracted_is_held(subtract: Any) -> Any:
    return lambda a, b: subtract(a, b.detach() if getattr(b, "shape", ()) == (64, 64) else b)


def _keras_subtracted_is_held(subtract: Any) -> Any:
    from keras import ops

    return lambda a, b: subtract(a, ops.stop_gradient(b) if tuple(getattr(b, "shape", ())) == (64, 64) else b)


TORCH_REMEDIES = (
    Fault("a learned number begins at a millionth", REZERO, "gradient_bound", "own weights layer  3 entries of δ", one("torch.nn.init.zeros_", _torch_zeros)),
    Fault("a learned number's gradient averaged over samples", REZERO, "sum_rules", "layer  3 a·∂a", one("torch.Tensor.__mul__", _torch_mean_over_samples)),
    Fault("absolute values doubled", L1, "forward_parity", "loss", one("torch.Tensor.abs", scaled(2.0))),
    Fault("a mirror image keeps its sign", MIRROR, "forward_parity", "layer  2", one("torch.Tensor.__neg__", lambda negative: lambda x: x)),
    Fault("a skew matrix's transpose gets no gradient", SKEW, "sum_rules", "layer  2 ∂W against", one("torch.Tensor.__sub__", _torch_subtracted_is_held)),
    Fault("first weights of branches are not scaled", FIXUP, "signal_gain", "layer  2", one("torch.Tensor.mul_", _torch_unscaled)),
)  # fmt: skip

KERAS_REMEDIES = (
    Fault("a learned number begins at a millionth", REZERO, "gradient_bound", "own weights layer  3 entries of δ", one("keras.initializers.Zeros.__call__", _keras_zeros)),
    Fault("a learned number's gradient averaged over samples", REZERO, "sum_rules", "layer  3 a·∂a", one("keras.src.backend.numpy.multiply", _keras_mean_over_samples)),
    Fault("L1 penalty doubled", L1, "forward_parity", "loss", one("keras.regularizers.L1.__call__", scaled(2.0))),
    Fault("a mirror image keeps its sign", MIRROR, "forward_parity", "layer  2", one("keras.src.backend.numpy.negative", lambda negative: lambda x: x)),
    Fault("a skew matrix's transpose gets no gradient", SKEW, "sum_rules", "layer  2 ∂W against", one("keras.src.backend.numpy.subtract", _keras_subtracted_is_held)),
)  # fmt: skip
