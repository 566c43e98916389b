"""Faults that exact laws see without any reference: each patched into the framework's real symbol, never into our code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.selftest.faults.keras_changes import gradient as keras_gradient
from bench.selftest.faults.plant import Fault, one, with_attribute
from bench.selftest.faults.torch_changes import gradient as torch_gradient

HINGE = "depth=8,loss=hinge"
ODD = "depth=8,act=tanh,loss=hinge,classes=2"
BATCH = "depth=8,norm=batch,eps=1e-30"


def _torch_leaking_gradient(relu: Any) -> Any:
    """ReLU's value, but a hundred-thousandth of the gradient below zero."""
    return lambda x, **k: relu(x) + 1e-5 * (x.clamp(max=0) - x.clamp(max=0).detach())


def _keras_leaking_gradient(relu: Any) -> Any:
    def leaking(x: Any) -> Any:
        from keras import ops

        below = ops.minimum(x, 0.0)
        return relu(x) + 1e-5 * (below - ops.stop_gradient(below))

    return leaking


def _torch_frozen_statistics(batch_norm: Any) -> Any:
    """Batch statistics that the backward pass takes for constants."""

    def frozen(x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, momentum: float, eps: float) -> Any:
        batch_norm(x.detach(), mean, var, w.detach(), b.detach(), training, momentum, eps)
        m, v = x.detach().mean(0), x.detach().var(0, unbiased=False)
        return (x - m) / (v + eps) ** 0.5 * w + b

    return frozen


def _torch_gradient_passing_by(batch_norm: Any) -> Any:
    """Batch norm's value, and beside its own gradient a thousandth of the one above it."""
    return lambda x, *rest: batch_norm(x, *rest) + 1e-3 * (x - x.detach())


def _torch_frozen_layer_norm(layer_norm: Any) -> Any:
    def frozen(x: Any, shape: Any, w: Any, b: Any, eps: float) -> Any:
        m, v = x.detach().mean(-1, keepdim=True), x.detach().var(-1, unbiased=False, keepdim=True)
        return (x - m) / (v + eps) ** 0.5 * w + b

    return frozen


def _keras_frozen_statistics(moments: Any) -> Any:
    def frozen(self: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        return tuple(ops.stop_gradient(each) for each in moments(self, *args, **kwargs))

    return frozen


def _keras_frozen_moments(moments: Any) -> Any:
    from keras import ops

    return lambda *args, **kwargs: tuple(ops.stop_gradient(each) for each in moments(*args, **kwargs))


def _torch_least_epsilon(batch_norm: Any) -> Any:
    """cuDNN's own least epsilon of batch normalization."""
    return lambda x, mean, var, w, b, training, momentum, eps: batch_norm(x, mean, var, w, b, training, momentum, max(eps, 1e-5))


def _torch_first_sample_counts_more(cross_entropy: Any) -> Any:
    def uneven(logits: Any, target: Any, **kwargs: Any) -> Any:
        return cross_entropy(logits, target, **kwargs) + 1e-4 * cross_entropy(logits[:1], target[:1], **kwargs)

    return uneven


def _keras_first_sample_counts_more(call: Any) -> Any:
    def uneven(self: Any, y_true: Any, y_pred: Any) -> Any:
        from keras import ops

        losses = call(self, y_true, y_pred)
        return losses * (1 + 1e-2 * ops.cast(ops.equal(ops.arange(ops.shape(losses)[0]), 0), losses.dtype))

    return uneven


def _nearly_zeros(zeros: Any) -> Any:
    return lambda tensor: zeros(tensor).data.add_(1e-6)


def _offset(value: float) -> Callable[[Any], Any]:
    return lambda original: lambda x, *args, **kwargs: original(x, *args, **kwargs) + value


TORCH_EXACT = (
    Fault("label smoothing that does not add up to one", "reference", "sum_rules", "over classes", one("torch.nn.functional.cross_entropy", lambda f: lambda z, t, **k: f(z, t, **k) + 1e-5 * z.mean())),
    Fault("label smoothing of a millionth that does not add up to one", "reference", "sum_rules", "over classes", one("torch.nn.functional.cross_entropy", lambda f: lambda z, t, **k: f(z, t, **k) + 1e-6 * z.mean())),
    Fault("relu leaks gradient only, under another loss", HINGE, "homogeneity", "layer  5", one("torch.nn.functional.relu", _torch_leaking_gradient)),
    Fault("a thousandth of the gradient passes batch norm by", "depth=64,norm=batch", "norm_orthogonality", "layer  5", one("torch.nn.functional.batch_norm", _torch_gradient_passing_by)),
    Fault("relu leaks gradient only", "reference", "homogeneity", "layer  5", one("torch.nn.functional.relu", _torch_leaking_gradient)),
    Fault("layer 5's gradient 1e-5 too large in a linear network", "depth=8,act=linear,init=orthogonal", "homogeneity", "layer  5 ∂W Wᵀ", torch_gradient(5, lambda g: g * 1.00001)),
    Fault("batch statistics taken for constants", "norm=batch", "norm_orthogonality", "layer  5", one("torch.nn.functional.batch_norm", _torch_frozen_statistics)),
    Fault("layer statistics taken for constants", "norm=layer", "norm_orthogonality", "layer  5", one("torch.nn.functional.layer_norm", _torch_frozen_layer_norm)),
    Fault("zeros that are not", "skip=two,skip_order=pre,branch=zero", "gradient_bound", "own weights layer  3", one("torch.nn.init.zeros_", _nearly_zeros)),
    Fault("relu with a threshold of its own", "reference", "symmetry", "rebalanced", one("torch.nn.functional.relu", lambda f: lambda x, **k: f(x) * (x > 1e-2))),
    Fault("the first sample counts more", "reference", "symmetry", "another order", one("torch.nn.functional.cross_entropy", _torch_first_sample_counts_more)),
    Fault("tanh off by a rounding", ODD, "symmetry", "all signs turned", one("torch.nn.Tanh.forward", lambda f: lambda self, x: f(self, x) + 1e-6)),
    Fault("batch norm never under cuDNN's epsilon", BATCH, "symmetry", "weights times", one("torch.nn.functional.batch_norm", _torch_least_epsilon)),
    Fault("relu with a constant added", HINGE, "symmetry", "weights doubled", one("torch.nn.functional.relu", _offset(1e-6))),
)  # fmt: skip

KERAS_EXACT = (
    Fault("relu leaks gradient only", "reference", "homogeneity", "layer  5", one("keras.src.backend.nn.relu", _keras_leaking_gradient)),
    Fault("layer 5's gradient 1e-5 too large in a linear network", "depth=8,act=linear,init=orthogonal", "homogeneity", "layer  5 ∂W Wᵀ", keras_gradient(5, lambda g: g * 1.00001)),
    Fault("batch statistics taken for constants", "norm=batch", "norm_orthogonality", "layer  5", one("keras.layers.BatchNormalization._moments", _keras_frozen_statistics)),
    Fault("layer statistics taken for constants", "norm=layer", "norm_orthogonality", "layer  5", one("keras.src.backend.nn.moments", _keras_frozen_moments)),
    Fault("zeros that are not", "skip=two,skip_order=pre,branch=zero", "gradient_bound", "own weights layer  3", one("keras.initializers.Zeros.__call__", _offset(1e-6))),
    Fault("the first sample counts more", "reference", "symmetry", "another order", one("keras.losses.SparseCategoricalCrossentropy.call", _keras_first_sample_counts_more)),
    Fault("tanh off by a rounding", ODD, "symmetry", "all signs turned", one("keras.src.backend.numpy.tanh", _offset(1e-6))),
    Fault("batch norm never under cuDNN's epsilon", BATCH, "symmetry", "weights times", one("keras.layers.BatchNormalization.call", with_attribute("epsilon", lambda e: max(e, 1e-5)))),
    Fault("relu with a constant added", HINGE, "symmetry", "weights doubled", one("keras.src.backend.nn.relu", _offset(1e-6))),
)  # fmt: skip
