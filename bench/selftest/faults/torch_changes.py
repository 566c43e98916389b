"""What the faults of PyTorch make of the originals: each takes a symbol and returns it broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.selftest.faults.plant import Patch, one


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


def signal(layer: int, change: Callable[[Any], Any], once: bool = False) -> Callable[[Patch], None]:
    """Change the gradient with respect to the output of the layer-th Linear in every pass, or `once`, in its first."""

    def wrap(forward: Any) -> Any:
        built: list[int] = []

        def called(self: Any, x: Any) -> Any:
            first = id(self) not in built
            if first:
                built.append(id(self))
            z = forward(self, x)
            if built.index(id(self)) == layer - 1 and z.requires_grad and (first or not once):
                z.register_hook(change)
            return z

        return called

    return one("torch.nn.Linear.forward", wrap)


def slope_too_large(error: float) -> Callable[[Any], Any]:
    """tanh with its value as it is and its derivative too large."""

    def wrap(tanh: Any) -> Any:
        def steep(x: Any) -> Any:
            y = tanh(x)
            return y + error * (x - x.detach()) * (1 - y.detach() ** 2)

        return steep

    return wrap


def slope_one_at_zero(relu: Any) -> Any:
    import torch

    return lambda x, **k: torch.where(x >= 0, x, 0 * x)


def bfloat16(x: Any) -> Any:
    return x.bfloat16().to(x.dtype)


def ten_bits(x: Any) -> Any:
    """TF32 keeps ten bits of the mantissa; the gradient passes as if nothing happened."""
    import torch

    return x + ((x.detach().view(torch.int32) & ~0x1FFF).view(torch.float32) - x).detach()


def in_bfloat16(which: Callable[[Any, Any], bool]) -> Callable[[Any], Any]:
    """Round the factors of those products of x and w that `which` names."""
    return lambda linear: lambda x, w, b=None: linear(bfloat16(x), bfloat16(w), b) if which(x, w) else linear(x, w, b)


def in_any_order(linear: Any) -> Any:
    """Rows taken in a random order and put back: only the gradient's sum over the batch rounds otherwise."""
    import torch

    def shuffled(x: Any, w: Any, b: Any = None) -> Any:
        order = torch.randperm(len(x))
        return linear(x[order], w, b)[torch.argsort(order)]

    return shuffled


def square_weights_transposed(linear: Any) -> Any:
    return lambda x, w, b=None: linear(x, w.T if w.shape[0] == w.shape[1] else w, b)


def only_fan_in_64(factor: float) -> Callable[[Any], Any]:
    return lambda init: lambda w, **k: init(w, **k).data.mul_(factor if w.shape[1] == 64 else 1.0)


def not_orthogonal(init: Any) -> Any:
    """Independent normal weights with the variance of orthogonal ones."""
    return lambda w: w.data.normal_(0, max(w.shape) ** -0.5)


def same_seed(init: Any) -> Any:
    import torch

    def fill(*args: Any, **kwargs: Any) -> Any:
        torch.manual_seed(3)
        return init(*args, **kwargs)

    return fill


def residual(change: Callable[[Any, Any, Any], Any]) -> Callable[[Patch], None]:
    """Change x + f(x) of two activations: of two tensors with a batch and units."""

    def wrap(add: Any) -> Any:
        return lambda x, y: change(add, x, y) if getattr(y, "ndim", 0) == 2 == x.ndim else add(x, y)

    return one("torch.Tensor.__add__", wrap)


def double_softmax(loss: Any) -> Any:
    return lambda x, target, **k: loss(x.softmax(-1), target, **k)


def dropout(relu: Any) -> Any:
    import torch

    return lambda x, **k: torch.nn.functional.dropout(relu(x), 0.1)


def clip_each(clip: Any) -> Any:
    return lambda parameters, cap, *args, **kwargs: [clip([p], cap) for p in parameters]


def clip_by_square(clip: Any) -> Any:
    """Divide by the squared norm."""

    def clipped(parameters: Any, cap: float) -> None:
        total = sum(p.grad.square().sum() for p in parameters)
        if total > cap:
            for p in parameters:
                p.grad.mul_(cap / total)

    return clipped


def clip_by_the_last_norm(clip: Any) -> Any:
    """Clipping as if it stood before the backward pass: it finds the gradients of the step before, or none at all."""

    def early(parameters: Any, cap: float) -> None:
        now = [p.grad.clone() for p in parameters]
        for p, g in zip(parameters, now, strict=True):
            p.grad = getattr(p, "last", 0 * g)
        last = sum(p.grad.square().sum() for p in parameters) ** 0.5
        for p, g in zip(parameters, now, strict=True):
            p.last = g.clone()
            p.grad = g * (cap / (last + 1e-6)).clamp(max=1.0)

    return early


def epsilon_in_clipping(scale: Any) -> Any:
    """max_norm / (norm + 1e-3) where PyTorch adds 1e-6."""
    return lambda parameters, cap, norm, *rest: scale(parameters, cap, norm + 1e-3, *rest)


def nan_once(loss: Any) -> Any:
    """The fiftieth loss is NaN and its gradient is right."""
    calls = [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        value = loss(*args, **kwargs)
        if calls[0] == 50:
            value.data.fill_(float("nan"))
        return value

    return counted
