"""Plausible broken frameworks: each fault is patched into a real symbol of PyTorch or Keras, never into our code.

A row says which network shows it, which check must catch it, and where. `plant(patch)` receives a function that
replaces a dotted symbol by what another function makes of the original, and everything is undone afterwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Patch = Callable[[str, Callable[[Any], Any]], None]


@dataclass(frozen=True)
class Fault:
    """A story, the network that shows it, the check that must catch it and a part of the place it must name."""

    name: str
    network: str
    check: str
    where: str
    plant: Callable[[Patch], None]


def one(symbol: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A fault in a single symbol."""
    return lambda patch: patch(symbol, change)


def torch_gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of the layer-th Linear that is built."""

    def wrap(init: Any) -> Any:
        built: list[int] = []

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            init(self, *args, **kwargs)
            built.append(1)
            if len(built) == layer:
                self.weight.register_hook(change)

        return __init__

    return one("torch.nn.Linear.__init__", wrap)


def keras_gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the weight gradient of a layer where the trainer takes it from TensorFlow's tape (weights and biases alternate)."""

    def wrap(gradient: Any) -> Any:
        def taken(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            gradients = gradient(self, target, sources, *args, **kwargs)
            if hasattr(sources[0], "trainable"):
                gradients[2 * (layer - 1)] = change(gradients[2 * (layer - 1)])
            return gradients

        return taken

    return one("tensorflow.GradientTape.gradient", wrap)


def _first_entry(value: float) -> Callable[[Any], Any]:
    """Replace one entry of a gradient, in either framework."""

    def change(g: Any) -> Any:
        mask = np.zeros(tuple(g.shape), np.float32)
        mask[0, 0] = value
        if hasattr(g, "new_tensor"):
            return g + g.new_tensor(mask)
        return g + mask

    return change


def _with(**forced: Any) -> Callable[[Any], Any]:
    """Call the original with some arguments forced."""
    return lambda original: functools.wraps(original)(lambda *args, **kwargs: original(*args, **{**kwargs, **forced}))


def _attribute(name: str, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Call a method with one attribute of its object changed for the call."""

    def wrap(method: Any) -> Any:
        @functools.wraps(method)  # Keras reads the signature of `call`
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            kept = getattr(self, name)
            setattr(self, name, value(kept))
            try:
                return method(self, *args, **kwargs)
            finally:
                setattr(self, name, kept)

        return called

    return wrap


def _scaled(factor: float) -> Callable[[Any], Any]:
    """The original's result, times a factor."""
    return lambda original: lambda *args, **kwargs: original(*args, **kwargs) * factor


def _learning_rate(factor: float) -> Callable[[Any], Any]:
    """A Keras update step that takes another learning rate."""
    return lambda step: lambda self, gradient, variable, rate: step(self, gradient, variable, rate * factor)


def _torch_linear_in_bfloat16(linear: Any) -> Any:
    def rounded(x: Any, weight: Any, bias: Any = None) -> Any:
        if weight.shape[0] != 10:
            return linear(x, weight, bias)
        return linear(x.bfloat16().to(x.dtype), weight.bfloat16().to(weight.dtype), bias)

    return rounded


def _swap_momentum(batch_norm: Any) -> Any:
    """torch.nn.functional.batch_norm(input, mean, var, weight, bias, training, momentum, eps) with the weight of the old."""
    return lambda x, mean, var, w, b, training, momentum, eps: batch_norm(x, mean, var, w, b, training, 1 - momentum, eps)


def _batch_statistics_in_evaluation(batch_norm: Any) -> Any:
    return lambda x, mean, var, w, b, training, momentum, eps: batch_norm(x, None, None, w, b, True, 0.0, eps)


def _biased_running_variance(batch_norm: Any) -> Any:
    def biased(x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, momentum: float, eps: float) -> Any:
        before = var.detach().clone()
        y = batch_norm(x, mean, var, w, b, training, momentum, eps)
        if training:
            fresh = (var - (1 - momentum) * before) / momentum
            var.data.copy_((1 - momentum) * before + momentum * fresh * (len(x) - 1) / len(x))
        return y

    return biased


def _clip_each(clip: Any) -> Any:
    return lambda parameters, cap, *args, **kwargs: [clip([p], cap) for p in parameters]


def _skip_one_tensor(step: Any) -> Any:
    """An optimizer step that forgets the sixth tensor it was given, the weight of layer 3."""

    def forgetful(self: Any, *args: Any, **kwargs: Any) -> Any:
        sixth = self.param_groups[0]["params"][5]
        kept, sixth.grad = sixth.grad, None
        done = step(self, *args, **kwargs)
        sixth.grad = kept
        return done

    return forgetful


TORCH = (
    Fault("relu leaks", "reference", "forward_parity", "layer  2", one("torch.nn.functional.relu", lambda f: lambda x, **k: f(x) + 1e-3 * x.clamp(max=0))),
    Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("torch.nn.functional.gelu", _with(approximate="tanh"))),
    Fault("linear forgets its bias", "reference", "forward_parity", "step 1 loss", one("torch.nn.functional.linear", lambda f: lambda x, w, b=None: f(x, w, b * 0))),
    Fault("one product in bfloat16", "reference", "forward_parity", "layer 16", one("torch.nn.functional.linear", _torch_linear_in_bfloat16)),
    Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("torch.nn.functional.layer_norm", lambda f: lambda x, s, w, b, eps: f(x, s, w, b, 1e-3))),
    Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one("torch.nn.functional.batch_norm", _swap_momentum)),
    Fault("running variance biased", "norm=batch", "normalization_state", "running variance", one("torch.nn.functional.batch_norm", _biased_running_variance)),
    Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one("torch.nn.functional.batch_norm", _batch_statistics_in_evaluation)),
    Fault("label smoothing left on", "reference", "forward_parity", "loss", one("torch.nn.functional.cross_entropy", _with(label_smoothing=0.1))),
    Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("torch.nn.functional.cross_entropy", _with(reduction="sum"))),
    Fault("clipping ignored", "clip=global", "clipping", "global norm", one("torch.nn.utils.clip_grad_norm_", lambda f: lambda *a, **k: None)),
    Fault("global clipping per tensor", "clip=global", "clipping", "against the rule", one("torch.nn.utils.clip_grad_norm_", _clip_each)),
    Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one("torch.nn.utils.clip_grad_value_", lambda f: lambda p, c: f(p, 2 * c))),
    Fault("momentum dampened", "reference", "update", "step 1", one("torch.optim.SGD.__init__", _with(dampening=0.1))),
    Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one("torch.optim.SGD.__init__", _with(nesterov=False))),
    Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one("torch.optim.SGD.__init__", lambda f: lambda s, p, lr, **k: f(s, p, lr * 1.001, **k))),
    Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("torch.optim.Adam.__init__", _with(eps=1e-4))),
    Fault("decoupled decay as L2", "optimizer=adamw,decay=0.1", "update", "weight", one("torch.optim.AdamW.__init__", lambda f: _l2_adam)),
    Fault("one tensor forgotten", "reference", "update", "layer  3 weight", one("torch.optim.SGD.step", _skip_one_tensor)),
    Fault("layer 5's gradient 1e-4 too large", "norm=layer", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 1.0001)),
    Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 1.00001)),
    Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 0)),
    Fault("layer 5's gradient with the other sign", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: -g)),
    Fault("one NaN in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", torch_gradient(5, _first_entry(float("nan")))),
    Fault("He normal from fan-out", "classes=2", "backward_gain", "", one("torch.nn.init.kaiming_normal_", _with(mode="fan_out"))),
    Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one("torch.nn.init.kaiming_normal_", lambda f: lambda w, **k: f(w, **k).data.mul_(1.005))),
    Fault("Xavier uniform's bound off by √3", "init=glorot_uniform", "initializer", "variance", one("torch.nn.init.xavier_uniform_", lambda f: lambda w: f(w).data.div_(3**0.5))),
    Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("torch.nn.init.orthogonal_", lambda f: lambda w: f(w).data.mul_(1.001))),
)  # fmt: skip


def _l2_adam(self: Any, groups: Any, **arguments: Any) -> None:
    import torch

    torch.optim.Adam.__init__(self, groups, **arguments)


KERAS = (
    Fault("relu leaks", "reference", "forward_parity", "layer  2", one("keras.src.backend.nn.relu", lambda f: lambda x: f(x) - 1e-3 * f(-x))),
    Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("keras.src.backend.nn.gelu", lambda f: lambda x, approximate=True: f(x, True))),
    Fault("dense forgets its bias", "reference", "forward_parity", "step 1 loss", one("keras.layers.Dense.call", _attribute("bias", lambda b: None))),
    Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("keras.layers.LayerNormalization.call", _attribute("epsilon", lambda e: 1e-3))),
    Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one("keras.layers.BatchNormalization.call", _attribute("momentum", lambda m: 1 - m))),
    Fault("running statistics not updated", "norm=batch", "normalization_state", "layer  1", one("keras.layers.BatchNormalization.call", _attribute("momentum", lambda m: 1.0))),
    Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one("keras.layers.BatchNormalization.call", _with(training=True))),
    Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("keras.losses.SparseCategoricalCrossentropy.call", _scaled(64.0))),
    Fault("clipping ignored", "clip=global", "clipping", "global norm", one("keras.optimizers.Optimizer._clip_gradients", lambda f: lambda self, grads: grads)),
    Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one("keras.optimizers.Optimizer._clip_gradients", _attribute("clipvalue", lambda c: 2 * c))),
    Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one("keras.optimizers.SGD.update_step", _learning_rate(1.001))),
    Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one("keras.optimizers.SGD.update_step", _attribute("nesterov", lambda n: False))),
    Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("keras.optimizers.Adam.update_step", _attribute("epsilon", lambda e: 1e-4))),
    Fault("weight decay forgotten", "optimizer=adamw,decay=0.1", "update", "weight", one("keras.optimizers.Optimizer._apply_weight_decay", lambda f: lambda self, variables: None)),
    Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", keras_gradient(5, lambda g: g * 1.00001)),
    Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", keras_gradient(5, lambda g: g * 0)),
    Fault("one infinity in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", keras_gradient(5, _first_entry(float("inf")))),
    Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one("keras.initializers.HeNormal.__call__", _scaled(1.005))),
    Fault("same seed for every layer", "reference", "initializer", "between layers", one("keras.initializers.HeNormal.__init__", _with(seed=3))),
    Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("keras.initializers.Orthogonal.__call__", _scaled(1.001))),
)  # fmt: skip
