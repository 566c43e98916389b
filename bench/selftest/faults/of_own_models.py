"""Faults planted into frameworks while they run models that nobody here wrote. They show in float32 alone, as a kernel's fault does.

Where a row gives a place of one layer, that layer alone is wrong, by 1e-4 of its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.selftest.faults.plant import Fault, one

OFF = 1 + 1e-4
"""What a wrong gradient is multiplied with."""
SLIGHTLY = 1 + 1e-5
LINEAR, CONVOLUTION, NORM = "torch.nn.functional.linear", "torch.nn.functional.conv2d", "torch.nn.functional.batch_norm"
ENCODER, IMAGES, RECURRENT = "of_torch.py:encoder", "of_torch.py:images", "of_torch.py:recurrent"
RESNET = "torchvision:resnet18"
Change = Callable[[Any], Any]


def of_float32(change: Callable[..., Any]) -> Change:
    """`change(original, *args)` in the place of calls whose first tensor is float32."""

    def planted(original: Any) -> Any:
        return lambda *args, **named: (change if _is_float32([*args, *named.values()][0]) else _as_it_is)(original, *args, **named)

    return planted


def _is_float32(value: Any) -> bool:
    value = value[0] if isinstance(value, (tuple, list)) else value
    return str(getattr(value, "dtype", "")).removeprefix("torch.").removeprefix("<dtype: '").startswith("float32")


def _as_it_is(original: Any, *args: Any, **named: Any) -> Any:
    return original(*args, **named)


def wrong_gradient(argument: int, call: int, calls: int, within: int | None = None, when: Callable[..., bool] | None = None) -> Change:
    """The gradient of one argument of one call of a pass that has so many `calls`; `within` it is a list's entry."""
    import torch

    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, w: Any) -> Any:
            return w.view_as(w)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * OFF

    counted = [0]

    def changed(original: Any, *args: Any, **named: Any) -> Any:
        if torch.is_grad_enabled():
            place, counted[0] = counted[0] % calls, counted[0] + 1
            if place == call and (when is None or when(*args)):
                given = list(args)
                if within is None:
                    given[argument] = Off.apply(given[argument])
                else:
                    given[argument] = [Off.apply(w) if n == within else w for n, w in enumerate(given[argument])]
                args = tuple(given)
        return original(*args, **named)

    return of_float32(changed)


def leaking(original: Any, x: Any, **named: Any) -> Any:
    return original(x, **named) + 1e-4 * x.clamp(max=0)


def always_training(original: Any, x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float) -> Any:
    return original(x, mean, var, weight, bias, True, momentum, eps)


def slower_statistics(
    original: Any, x: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> Any:
    return original(x, mean, var, weight, bias, training, momentum * (1 + 1e-3), eps)


def jittering(original: Any, x: Any, *rest: Any, **named: Any) -> Any:
    """Another bit every time, whatever the seed."""
    return original(x, *rest, **named) * (1 + 1e-7 * int(np.random.default_rng().integers(1, 9)))


def with_rate(factor: float) -> Change:
    """An optimizer's step at another learning rate."""

    def changed(original: Any) -> Any:
        def step(self: Any, *args: Any, **named: Any) -> Any:
            groups = [group for group in self.param_groups if _is_float32(group["params"])]
            rates = [group["lr"] for group in groups]
            for group in groups:
                group["lr"] *= factor
            try:
                return original(self, *args, **named)
            finally:
                for group, rate in zip(groups, rates, strict=True):
                    group["lr"] = rate

        return step

    return changed


def overwriting(original: Any) -> Any:
    def step(self: Any, *args: Any, **named: Any) -> Any:
        done = original(self, *args, **named)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and _is_float32(p):
                    p.grad.mul_(0.5)
        return done

    return step


def faster_foreach(original: Any, *args: Any, lr: float, **named: Any) -> Any:
    return original(*args, lr=lr * (1 + 1e-3), **named)


def keras_rate(original: Any) -> Any:
    def update(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        return original(self, gradient, variable, learning_rate * (1.01 if _is_float32(variable) else 1.0))

    return update


def scaled_by(factor: float) -> Change:
    """The result of a call, times a factor."""
    return of_float32(lambda original, *args, **named: original(*args, **named) * factor)


def is_channels_last(x: Any, *_: Any) -> bool:
    import torch

    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def deferred(symbol: str, change: Callable[[], Change]) -> Callable[[Any], None]:
    """A fault whose change needs the framework, which is imported when it is planted."""
    return lambda patch: patch(symbol, change())


def _weight(call: int, calls: int, symbol: str = LINEAR, argument: int = 1, **options: Any) -> Callable[[Any], None]:
    return deferred(symbol, lambda: wrong_gradient(argument, call, calls, **options))


OWN_FAULTS: dict[str, tuple[Fault, ...]] = {
    "torch": (
        Fault("a feed-forward weight's gradient", ENCODER, "gradient_parity", "encoder.layers.0.linear1.weight", _weight(2, 9)),
        Fault("an attention projection's gradient", ENCODER, "gradient_parity", "encoder.layers.1.self_attn.in_proj_weight", _weight(4, 9)),
        Fault("a layer norm's scale's gradient", ENCODER, "gradient_parity", "encoder.layers.1.norm1.weight", _weight(2, 4, "torch.nn.functional.layer_norm", 2)),
        Fault("an embedding's gradient", ENCODER, "gradient_parity", "embedding.weight", _weight(0, 1, "torch.embedding", 0)),
        Fault("dropout scales by a little too much", ENCODER, "forward_parity", "encoder.layers.0.dropout", one("torch.nn.functional.dropout", scaled_by(SLIGHTLY))),
        Fault("Adam's rate", ENCODER, "update", "new head.weight", one("torch.optim.Adam.step", with_rate(OFF))),
        Fault("Adam's foreach rate", ENCODER, "execution", "foreach step 0 new", one("torch.optim.adam._multi_tensor_adam", lambda f: lambda *args, **named: faster_foreach(f, *args, **named))),
        Fault("other bits every time", ENCODER, "reproducible", "of the model", one(LINEAR, of_float32(jittering))),
        Fault("NaN", ENCODER, "finite", "encoder.layers.0", one("torch.nn.functional.layer_norm", scaled_by(float("nan")))),
        Fault("an LSTM's recurrent weight's gradient", RECURRENT, "gradient_parity", "lstm.weight_hh_l1", _weight(0, 1, "torch._VF.lstm", 2, within=5)),
        Fault("a reported loss", RECURRENT, "forward_parity", "loss", one("torch.nn.functional.cross_entropy", scaled_by(SLIGHTLY))),
        Fault("a step overwrites gradients", RECURRENT, "update", "after the step", one("torch.optim.SGD.step", overwriting)),
        Fault("a convolution's gradient", IMAGES, "gradient_parity", "layers.4.weight", _weight(1, 2, CONVOLUTION)),
        Fault("a convolution's gradient in channels-last", IMAGES, "execution", "channels_last layers.4.weight", _weight(1, 2, CONVOLUTION, when=is_channels_last)),
        Fault("ReLU leaks", IMAGES, "forward_parity", "layers.2", one("torch.nn.functional.relu", of_float32(leaking))),
        Fault("running statistics move too fast", IMAGES, "normalization_state", "layers.1.running_var", one(NORM, of_float32(slower_statistics))),
        Fault("evaluation trains", IMAGES, "evaluation", "after evaluation layers.1.running_mean", one(NORM, of_float32(always_training))),
        Fault("a residual convolution's gradient", RESNET, "gradient_parity", "layer2.0.conv1.weight", _weight(5, 20, CONVOLUTION)),
        Fault("a residual network's batch norm's gradient", RESNET, "gradient_parity", "layer1.1.bn2.bias", _weight(4, 20, NORM, 4)),
    ),
    "keras": (
        Fault("a convolution's gradient", "of_keras.py:images", "gradient_parity", "conv2d.kernel", one("tensorflow.python.ops.gen_nn_ops.conv2d_backprop_filter", scaled_by(OFF))),
        Fault("a bias's gradient", "of_keras.py:images", "gradient_parity", "dense.bias", one("tensorflow.python.ops.gen_nn_ops.bias_add_grad", scaled_by(OFF))),
        Fault("Adam's rate", "of_keras.py:images", "update", "new dense.kernel", one("keras.src.optimizers.adam.Adam.update_step", keras_rate)),
        Fault("an LSTM's gradient", "of_keras.py:recurrent", "gradient_parity", "lstm.lstm_cell", one("tensorflow.python.ops.gen_math_ops.tanh_grad", scaled_by(OFF))),
        Fault("tanh's slope", "of_keras.py:regression", "gradient_parity", "dense.kernel", one("tensorflow.python.ops.gen_math_ops.tanh_grad", scaled_by(OFF))),
    ),
}  # fmt: skip
"""By backend: what is wrong, the model that shows it, the check that must catch it, and where. `python -m bench own-models` plants all."""
