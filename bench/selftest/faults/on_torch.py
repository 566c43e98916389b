"""Faults of PyTorch, each patched into its real symbol, never into our code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, Patch, one, with_arguments, with_first_entry


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


def _l2_adam(self: Any, groups: Any, **arguments: Any) -> None:
    import torch

    torch.optim.Adam.__init__(self, groups, **arguments)


TORCH = (
    Fault("relu leaks", "reference", "forward_parity", "layer  2", one("torch.nn.functional.relu", lambda f: lambda x, **k: f(x) + 1e-3 * x.clamp(max=0))),
    Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("torch.nn.functional.gelu", with_arguments(approximate="tanh"))),
    Fault("linear forgets its bias", "reference", "forward_parity", "step 1 loss", one("torch.nn.functional.linear", lambda f: lambda x, w, b=None: f(x, w, b * 0))),
    Fault("one product in bfloat16", "reference", "forward_parity", "layer 16", one("torch.nn.functional.linear", _torch_linear_in_bfloat16)),
    Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("torch.nn.functional.layer_norm", lambda f: lambda x, s, w, b, eps: f(x, s, w, b, 1e-3))),
    Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one("torch.nn.functional.batch_norm", _swap_momentum)),
    Fault("running variance biased", "norm=batch", "normalization_state", "running variance", one("torch.nn.functional.batch_norm", _biased_running_variance)),
    Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one("torch.nn.functional.batch_norm", _batch_statistics_in_evaluation)),
    Fault("label smoothing left on", "reference", "forward_parity", "loss", one("torch.nn.functional.cross_entropy", with_arguments(label_smoothing=0.1))),
    Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one("torch.nn.functional.cross_entropy", with_arguments(reduction="sum"))),
    Fault("clipping ignored", "clip=global", "clipping", "global norm", one("torch.nn.utils.clip_grad_norm_", lambda f: lambda *a, **k: None)),
    Fault("global clipping per tensor", "clip=global", "clipping", "against the rule", one("torch.nn.utils.clip_grad_norm_", _clip_each)),
    Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one("torch.nn.utils.clip_grad_value_", lambda f: lambda p, c: f(p, 2 * c))),
    Fault("momentum dampened", "reference", "update", "step 1", one("torch.optim.SGD.__init__", with_arguments(dampening=0.1))),
    Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one("torch.optim.SGD.__init__", with_arguments(nesterov=False))),
    Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one("torch.optim.SGD.__init__", lambda f: lambda s, p, lr, **k: f(s, p, lr * 1.001, **k))),
    Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("torch.optim.Adam.__init__", with_arguments(eps=1e-4))),
    Fault("decoupled decay as L2", "optimizer=adamw,decay=0.1", "update", "weight", one("torch.optim.AdamW.__init__", lambda f: _l2_adam)),
    Fault("one tensor forgotten", "reference", "update", "layer  3 weight", one("torch.optim.SGD.step", _skip_one_tensor)),
    Fault("layer 5's gradient 1e-4 too large", "norm=layer", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 1.0001)),
    Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 1.00001)),
    Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: g * 0)),
    Fault("layer 5's gradient with the other sign", "reference", "gradient_parity", "layer  5 weight", torch_gradient(5, lambda g: -g)),
    Fault("one NaN in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", torch_gradient(5, with_first_entry(float("nan")))),
    Fault("He normal from fan-out", "classes=2", "backward_gain", "", one("torch.nn.init.kaiming_normal_", with_arguments(mode="fan_out"))),
    Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one("torch.nn.init.kaiming_normal_", lambda f: lambda w, **k: f(w, **k).data.mul_(1.005))),
    Fault("Xavier uniform's bound off by √3", "init=glorot_uniform", "initializer", "variance", one("torch.nn.init.xavier_uniform_", lambda f: lambda w: f(w).data.div_(3**0.5))),
    Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("torch.nn.init.orthogonal_", lambda f: lambda w: f(w).data.mul_(1.001))),
)  # fmt: skip
