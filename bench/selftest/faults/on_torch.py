"""Faults of PyTorch, each patched into its real symbol, never into our code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Fault, Patch, after, one, scaled, with_arguments, with_first_entry


def gradient(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
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


def signal(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the gradient with respect to the output of the layer-th Linear in every pass."""

    def wrap(forward: Any) -> Any:
        built: list[int] = []

        def called(self: Any, x: Any) -> Any:
            if id(self) not in built:
                built.append(id(self))
            z = forward(self, x)
            if built.index(id(self)) == layer - 1 and z.requires_grad:
                z.register_hook(change)
            return z

        return called

    return one("torch.nn.Linear.forward", wrap)


def first_pass(layer: int, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Change the gradient with respect to the output of the layer-th Linear in its first pass, and never again."""

    def wrap(forward: Any) -> Any:
        seen: list[int] = []

        def called(self: Any, x: Any) -> Any:
            z = forward(self, x)
            if id(self) not in seen:
                seen.append(id(self))
                if len(seen) == layer and z.requires_grad:
                    z.register_hook(change)
            return z

        return called

    return one("torch.nn.Linear.forward", wrap)


def _slope_too_large(error: float) -> Callable[[Any], Any]:
    """tanh with its value as it is and its derivative too large."""

    def wrap(tanh: Any) -> Any:
        def steep(x: Any) -> Any:
            y = tanh(x)
            return y + error * (x - x.detach()) * (1 - y.detach() ** 2)

        return steep

    return wrap


def _slope_one_at_zero(relu: Any) -> Any:
    import torch

    return lambda x, **k: torch.where(x >= 0, x, 0 * x)


def _bfloat16(x: Any) -> Any:
    return x.bfloat16().to(x.dtype)


def _ten_bits(x: Any) -> Any:
    """TF32 keeps ten bits of the mantissa; the gradient passes as if nothing happened."""
    import torch

    return x + ((x.detach().view(torch.int32) & ~0x1FFF).view(torch.float32) - x).detach()


def _last_product_in_bfloat16(linear: Any) -> Any:
    return lambda x, w, b=None: linear(x, w, b) if w.shape[0] != 10 else linear(_bfloat16(x), _bfloat16(w), b)


def _square_weights_transposed(linear: Any) -> Any:
    return lambda x, w, b=None: linear(x, w.T if w.shape[0] == w.shape[1] else w, b)


def _only_fan_in_64(factor: float) -> Callable[[Any], Any]:
    return lambda init: lambda w, **k: init(w, **k).data.mul_(factor if w.shape[1] == 64 else 1.0)


def _same_seed(init: Any) -> Any:
    import torch

    def fill(*args: Any, **kwargs: Any) -> Any:
        torch.manual_seed(3)
        return init(*args, **kwargs)

    return fill


def _batch_norm(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """torch.nn.functional.batch_norm(input, mean, var, weight, bias, training, momentum, eps), changed."""
    return lambda original: lambda *a: change(original, *a)


def _biased_running_variance(original: Any, x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, momentum: float, eps: float) -> Any:
    before = var.detach().clone()
    y = original(x, mean, var, w, b, training, momentum, eps)
    if training:
        fresh = (var - (1 - momentum) * before) / momentum
        var.data.copy_((1 - momentum) * before + momentum * fresh * (len(x) - 1) / len(x))
    return y


def _variance_with_the_mean_held(original: Any) -> Any:
    """E[x²] − E[x]² with no gradient through the mean."""
    import torch

    def normalized(x: Any, shape: Any, w: Any, b: Any, eps: float) -> Any:
        mean = x.mean(-1, keepdim=True)
        variance = x.square().mean(-1, keepdim=True) - mean.detach().square()
        return (x - mean) * torch.rsqrt(variance + eps) * w + b

    return normalized


def _residual(change: Callable[[Any, Any, Any], Any]) -> Callable[[Patch], None]:
    """Change x + f(x) of two activations: of two tensors with a batch and units."""

    def wrap(add: Any) -> Any:
        return lambda x, y: change(add, x, y) if getattr(y, "ndim", 0) == 2 == x.ndim else add(x, y)

    return one("torch.Tensor.__add__", wrap)


def _double_softmax(loss: Any) -> Any:
    return lambda x, target, **k: loss(x.softmax(-1), target, **k)


def _dropout(relu: Any) -> Any:
    import torch

    return lambda x, **k: torch.nn.functional.dropout(relu(x), 0.1)


def _clip_each(clip: Any) -> Any:
    return lambda parameters, cap, *args, **kwargs: [clip([p], cap) for p in parameters]


def _clip_by_square(clip: Any) -> Any:
    """Divide by the squared norm."""

    def clipped(parameters: Any, cap: float) -> None:
        total = sum(p.grad.square().sum() for p in parameters)
        if total > cap:
            for p in parameters:
                p.grad.mul_(cap / total)

    return clipped


def _skip_one_tensor(step: Any) -> Any:
    """An optimizer step that forgets the sixth tensor it was given, the weight of layer 3."""

    def forgetful(self: Any, *args: Any, **kwargs: Any) -> Any:
        sixth = self.param_groups[0]["params"][5]
        kept, sixth.grad = sixth.grad, None
        done = step(self, *args, **kwargs)
        sixth.grad = kept
        return done

    return functools.wraps(step)(forgetful)


def _stale_gradients(step: Any) -> Any:
    """Every step uses the gradients of the one before."""

    def late(self: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = [p for group in self.param_groups for p in group["params"]]
        now = [p.grad.clone() for p in parameters]
        for p, g in zip(parameters, getattr(self, "late", now), strict=True):
            p.grad = g
        self.late = now
        return step(self, *args, **kwargs)

    return functools.wraps(step)(late)


def _second_and_third_share_a_slot(step: Any) -> Any:
    """Momentum of one layer's weight is kept in the slot of another's."""

    def shared(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = step(self, *args, **kwargs)
        second, third = (self.param_groups[0]["params"][place] for place in (3, 5))
        if "momentum_buffer" in self.state.get(second, {}):
            self.state[third]["momentum_buffer"] = self.state[second]["momentum_buffer"]
        return done

    return functools.wraps(step)(shared)


def _l2_adam(self: Any, groups: Any, **arguments: Any) -> None:
    import torch

    torch.optim.Adam.__init__(self, groups, **arguments)


def _no_bias_correction(step: Any) -> Any:
    """Adam as if a thousand steps had been taken."""

    def late(self: Any, *args: Any, **kwargs: Any) -> Any:
        for state in self.state.values():
            state["step"].fill_(10_000)
        return step(self, *args, **kwargs)

    return functools.wraps(step)(late)


def _epsilon_inside_the_root(step: Any) -> Any:
    """RMSprop with √(v + ε): ε = 1e-7 acts as 3e-4 where gradients are small."""

    def inside(self: Any, *args: Any, **kwargs: Any) -> Any:
        for group in self.param_groups:
            group["eps"] = 1e-7**0.5
        return step(self, *args, **kwargs)

    return functools.wraps(step)(inside)


def _rate(factor: float) -> Callable[[Any], Any]:
    return lambda init: lambda self, groups, lr, **k: init(self, groups, lr * factor, **k)


def _tiring(step: Any) -> Any:
    """The learning rate shrinks by a tenth at every step."""

    def tired(self: Any, *args: Any, **kwargs: Any) -> Any:
        for group in self.param_groups:
            group["lr"] *= 0.9
        return step(self, *args, **kwargs)

    return functools.wraps(step)(tired)


def _nan_once(loss: Any) -> Any:
    """The fiftieth loss is NaN and its gradient is right."""
    calls = [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        value = loss(*args, **kwargs)
        if calls[0] == 50:
            value.data.fill_(float("nan"))
        return value

    return counted


RELU, LINEAR, NORM = "torch.nn.functional.relu", "torch.nn.functional.linear", "torch.nn.functional.batch_norm"
CLIP, SGD, LOSS = "torch.nn.utils.clip_grad_norm_", "torch.optim.SGD", "torch.nn.functional.cross_entropy"
HE = "torch.nn.init.kaiming_normal_"

TORCH: dict[str, tuple[Fault, ...]] = {
    "activation": (
        Fault("relu leaks", "reference", "forward_parity", "layer  2", one(RELU, lambda f: lambda x, **k: f(x) + 1e-3 * x.clamp(max=0))),
        Fault("relu's slope is 1 at zero", "reference", "activation", "at zero slope", one(RELU, _slope_one_at_zero)),
        Fault("leaky relu with Keras's slope", "act=leaky_relu", "forward_parity", "layer  2", one("torch.nn.functional.leaky_relu", lambda f: lambda x, slope, inplace: f(x, 0.3, inplace))),
        Fault("exact gelu computed by tanh", "act=gelu", "forward_parity", "layer  2", one("torch.nn.functional.gelu", with_arguments(approximate="tanh"))),
        Fault("silu flat beyond 20", "act=silu", "activation", "far positive", one("torch.nn.functional.silu", lambda f: lambda x, **k: f(x.clamp(max=20)))),
    ),
    "linear": (
        Fault("linear forgets its bias", "reference", "forward_parity", "step 1 loss", one(LINEAR, lambda f: lambda x, w, b=None: f(x, w, b * 0))),
        Fault("square weights transposed", "reference", "forward_parity", "layer  1", one(LINEAR, _square_weights_transposed)),
        Fault("one product in bfloat16", "reference", "forward_parity", "layer 16", one(LINEAR, _last_product_in_bfloat16)),
        Fault("products with TF32's ten bits", "reference", "forward_parity", "layer  2", one(LINEAR, lambda f: lambda x, w, b=None: f(_ten_bits(x), _ten_bits(w), b))),
    ),
    "initializer": (
        Fault("He normal from fan-out", "classes=2", "backward_gain", "", one(HE, with_arguments(mode="fan_out"))),
        Fault("He normal with 1 % too much variance", "reference", "initializer", "variance", one(HE, lambda f: lambda w, **k: f(w, **k).data.mul_(1.005))),
        Fault("He normal with twice the variance", "width=256", "signal_gain", "layer  2 over 1", one(HE, lambda f: lambda w, **k: f(w, **k).data.mul_(2**0.5))),
        Fault("first layer's weights too large", "width=16", "signal_gain", "layer  1 rms", one(HE, _only_fan_in_64(4.0))),
        Fault("same seed for every layer", "reference", "initializer", "between layers", one(HE, _same_seed)),
        Fault("Xavier uniform's bound off by √3", "init=glorot_uniform", "initializer", "variance", one("torch.nn.init.xavier_uniform_", lambda f: lambda w: f(w).data.div_(3**0.5))),
        Fault("orthogonal is not", "init=orthogonal", "initializer", "W Wᵀ", one("torch.nn.init.orthogonal_", lambda f: lambda w: f(w).data.mul_(1.001))),
    ),
    "normalization": (
        Fault("layer norm epsilon 1e-3", "norm=layer", "forward_parity", "layer  2", one("torch.nn.functional.layer_norm", lambda f: lambda x, s, w, b, eps: f(x, s, w, b, 1e-3))),
        Fault("variance as E[x²] − E[x]², mean held in its gradient", "norm=layer", "gradient_parity", "layer  1", one("torch.nn.functional.layer_norm", _variance_with_the_mean_held)),
        Fault("layer norm forgets its shift", "norm=layer", "forward_parity", "step 1 loss", one("torch.nn.functional.layer_norm", lambda f: lambda x, s, w, b, eps: f(x, s, w, b * 0, eps))),
        Fault("layer norm forgets its scale", "norm=layer", "forward_parity", "step 1 loss", one("torch.nn.functional.layer_norm", lambda f: lambda x, s, w, b, eps: f(x, s, w * 0 + 1, b, eps))),
        Fault("batch statistics from the wrong axis", "norm=batch", "forward_parity", "layer  2", one(NORM, _batch_norm(lambda f, x, m, v, w, b, t, mom, eps: f(x.T, None, None, None, None, True, 0.0, eps).T * w + b))),
        Fault("running statistics averaged the other way round", "norm=batch", "normalization_state", "layer  1", one(NORM, _batch_norm(lambda f, x, m, v, w, b, t, mom, eps: f(x, m, v, w, b, t, 1 - mom, eps)))),
        Fault("running statistics not updated", "norm=batch", "normalization_state", "layer  1", one(NORM, _batch_norm(lambda f, x, m, v, w, b, t, mom, eps: f(x, m, v, w, b, t, 0.0, eps)))),
        Fault("running variance biased", "norm=batch", "normalization_state", "running variance", one(NORM, _batch_norm(_biased_running_variance))),
        Fault("batch statistics in evaluation", "norm=batch", "forward_parity", "evaluation", one(NORM, _batch_norm(lambda f, x, m, v, w, b, t, mom, eps: f(x, None, None, w, b, True, 0.0, eps)))),
        Fault("running statistics in training", "norm=batch", "forward_parity", "layer  2", one(NORM, _batch_norm(lambda f, x, m, v, w, b, t, mom, eps: f(x, m, v, w, b, False, mom, eps)))),
    ),
    "skip": (
        Fault("skip dropped", "skip=two", "forward_parity", "layer  4", _residual(lambda add, x, y: y)),
        Fault("branch doubled", "skip=two", "forward_parity", "layer  4", _residual(lambda add, x, y: add(x, 2 * y))),
        Fault("skip scaled by 1.001", "skip=two", "forward_parity", "layer  4", _residual(lambda add, x, y: add(x * 1.001, y))),
    ),
    "loss": (
        Fault("label smoothing left on", "reference", "forward_parity", "loss", one(LOSS, with_arguments(label_smoothing=0.1))),
        Fault("loss summed, not averaged", "reference", "forward_parity", "loss", one(LOSS, with_arguments(reduction="sum"))),
        Fault("softmax applied twice", "reference", "forward_parity", "loss", one(LOSS, _double_softmax)),
        Fault("mean squared error halved", "loss=mse", "forward_parity", "loss", one("torch.nn.functional.mse_loss", scaled(0.5))),
        Fault("Huber's delta doubled", "loss=huber", "forward_parity", "loss", one("torch.nn.functional.huber_loss", with_arguments(delta=0.5))),
    ),
    "clipping": (
        Fault("clipping ignored", "clip=global", "clipping", "global norm", one(CLIP, lambda f: lambda *a, **k: None)),
        Fault("global clipping per tensor", "clip=global", "clipping", "against the rule", one(CLIP, _clip_each)),
        Fault("clipping by the squared norm", "clip=global", "clipping", "against the rule", one(CLIP, _clip_by_square)),
        Fault("cap exceeded by 0.01 %", "clip=global,optimizer=adam", "clipping", "global norm", one(CLIP, lambda f: lambda p, c: f(p, c * 1.0001))),
        Fault("clipping epsilon 1e-3", "clip=variable,clip_at=0.5", "clipping", "against the rule", one(CLIP, lambda f: lambda p, c: f(p, c * 0.998))),
        Fault("value clipping at twice the value", "clip=value,clip_at=0.005", "clipping", "entry", one("torch.nn.utils.clip_grad_value_", lambda f: lambda p, c: f(p, 2 * c))),
    ),
    "optimizer": (
        Fault("momentum dampened", "reference", "update", "step 1", one(f"{SGD}.__init__", with_arguments(dampening=0.1))),
        Fault("Nesterov as plain momentum", "optimizer=nesterov", "update", "step 0", one(f"{SGD}.__init__", with_arguments(nesterov=False))),
        Fault("learning rate off by 1 %", "reference", "update", "step 0", one(f"{SGD}.__init__", _rate(1.01))),
        Fault("learning rate off by 0.1 %", "reference", "update", "step 0", one(f"{SGD}.__init__", _rate(1.001))),
        Fault("Adam's epsilon large", "optimizer=adam", "update", "step 0", one("torch.optim.Adam.__init__", with_arguments(eps=1e-4))),
        Fault("Adam without bias correction", "optimizer=adam", "update", "step 1", one("torch.optim.Adam.step", _no_bias_correction)),
        Fault("decoupled decay as L2", "optimizer=adamw,decay=0.1", "update", "weight", one("torch.optim.AdamW.__init__", lambda f: _l2_adam)),
        Fault("RMSprop's epsilon inside the root", "optimizer=rmsprop", "update", "step 0", one("torch.optim.RMSprop.step", _epsilon_inside_the_root)),
        Fault("NAdam's momentum schedule half as fast", "optimizer=nadam", "update", "step 1", one("torch.optim.NAdam.__init__", with_arguments(momentum_decay=0.5)), "https://github.com/pytorch/pytorch/issues/92699"),
        Fault("Adagrad's accumulator starts at zero", "optimizer=adagrad", "update", "step 0", one("torch.optim.Adagrad.__init__", with_arguments(initial_accumulator_value=0.0))),
        Fault("one tensor forgotten", "reference", "update", "layer  3 weight", one(f"{SGD}.step", _skip_one_tensor)),
        Fault("stale gradients", "reference", "update", "step 1", one(f"{SGD}.step", _stale_gradients)),
        Fault("two tensors share a slot", "reference", "update", "layer  3 weight", one(f"{SGD}.step", _second_and_third_share_a_slot)),
        Fault("gradients accumulate", "reference", "gradient_parity", "step 1", one("torch.optim.Optimizer.zero_grad", lambda f: lambda self, *a, **k: None)),
    ),
    "gradient": (
        Fault("layer 5's gradient 1e-5 too large", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.00001)),
        Fault("layer 5's gradient 1e-4 too large", "norm=layer", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.0001)),
        Fault("layer 5's gradient 1e-3 too large", "norm=batch", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 1.001)),
        Fault("layer 5's gradient lost", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: g * 0)),
        Fault("layer 5's gradient with the other sign", "reference", "gradient_parity", "layer  5 weight", gradient(5, lambda g: -g)),
        Fault("one NaN in layer 5's gradient", "reference", "finite", "step 0 gradient of layer  5 weight", gradient(5, with_first_entry(float("nan")))),
        Fault("the first backward pass of a network loses most of layer 8's signal", "reference", "backward_gain", "layer  7 over 8", first_pass(8, lambda g: g * 0.2)),
        Fault("tanh's slope 1e-4 too large", "act=tanh,depth=8", "gradient_parity", "layer  1 weight", one("torch.tanh", _slope_too_large(1e-4))),
        Fault("the signal's gradient half lost where float32 is too noisy to compare", "depth=64,norm=batch", "backward_gain", "layer 31 over 32", signal(32, lambda g: g * 0.5)),
    ),
    "training": (
        Fault("dropout left on", "reference", "forward_parity", "layer  2", one(RELU, _dropout)),
        Fault("learning rate shrinks from the tenth step on", "reference", "training", "", one(f"{SGD}.step", after(10, _tiring)), trains=True),
        Fault("one reported loss is NaN", "reference", "finite", "loss", one(LOSS, _nan_once), trains=True),
    ),
}  # fmt: skip
