"""What the faults of PyTorch's optimizers make of the originals."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def skip_one_tensor(step: Any) -> Any:
    """An optimizer step that forgets the sixth tensor it was given, the weight of layer 3."""

    def forgetful(self: Any, *args: Any, **kwargs: Any) -> Any:
        sixth = self.param_groups[0]["params"][5]
        kept, sixth.grad = sixth.grad, None
        done = step(self, *args, **kwargs)
        sixth.grad = kept
        return done

    return functools.wraps(step)(forgetful)


def stale_gradients(step: Any) -> Any:
    """Every step uses the gradients of the one before."""

    def late(self: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = [p for group in self.param_groups for p in group["params"]]
        now = [p.grad.clone() for p in parameters]
        for p, g in zip(parameters, getattr(self, "late", now), strict=True):
            p.grad = g
        self.late = now
        return step(self, *args, **kwargs)

    return functools.wraps(step)(late)


def second_and_third_share_a_slot(step: Any) -> Any:
    """Momentum of one layer's weight is kept in the slot of another's."""

    def shared(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = step(self, *args, **kwargs)
        second, third = (self.param_groups[0]["params"][place] for place in (3, 5))
        if "momentum_buffer" in self.state.get(second, {}):
            self.state[third]["momentum_buffer"] = self.state[second]["momentum_buffer"]
        return done

    return functools.wraps(step)(shared)


def l2_adam(self: Any, groups: Any, **arguments: Any) -> None:
    import torch

    torch.optim.Adam.__init__(self, groups, **arguments)


def no_bias_correction(step: Any) -> Any:
    """Adam as if ten thousand steps had been taken."""

    def late(self: Any, *args: Any, **kwargs: Any) -> Any:
        for state in self.state.values():
            state["step"].fill_(10_000)
        return step(self, *args, **kwargs)

    return functools.wraps(step)(late)


def epsilon_inside_the_root(single: Any) -> Any:
    """RMSprop with √(v + ε), where PyTorch documents √v + ε: ε = 1e-7 inside acts as 3e-4 where gradients are small."""

    def inside(params: Any, grads: Any, square_avgs: Any, *rest: Any, lr: float, alpha: float, eps: float, **others: Any) -> None:
        for parameter, g, square in zip(params, grads, square_avgs, strict=True):
            square.mul_(alpha).addcmul_(g, g, value=1 - alpha)
            parameter.addcdiv_(g, (square + eps).sqrt(), value=-lr)

    return inside


def epsilon_inside_adams_root(single: Any) -> Any:
    """Adam with √(v̂ + ε), where PyTorch documents √v̂ + ε."""

    def inside(
        params: Any, grads: Any, means: Any, squares: Any, _: Any, steps: Any, *rest: Any,
        beta1: float, beta2: float, lr: float, eps: float, **others: Any,
    ) -> None:  # fmt: skip
        for parameter, g, mean, square, step in zip(params, grads, means, squares, steps, strict=True):
            step += 1
            mean.lerp_(g, 1 - beta1)
            square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            root = (square / (1 - beta2 ** float(step)) + eps).sqrt()
            parameter.addcdiv_(mean, root, value=-lr / (1 - beta1 ** float(step)))

    return inside


def one_factor_too_many(single: Any) -> Any:
    """NAdam whose look-ahead mean is corrected by Πμ · μₜ · μₜ₊₁, where Πμ holds μₜ already, as one branch of PyTorch 1.13 had it."""

    def corrected(
        params: Any, grads: Any, means: Any, squares: Any, products: Any, steps: Any, *, beta1: float, beta2: float, **rest: Any
    ) -> None:
        single(params, grads, means, squares, products, steps, beta1=beta1, beta2=beta2, **rest)
        for parameter, mean, square, product, step in zip(params, means, squares, products, steps, strict=True):
            now, coming = (beta1 * (1 - 0.5 * 0.96 ** ((float(step) + ahead) * rest["momentum_decay"])) for ahead in (0, 1))
            too_small = 1 / (1 - float(product) * now * coming) - 1 / (1 - float(product) * coming)
            denominator = (square / (1 - beta2 ** float(step))).sqrt() + rest["eps"]
            parameter.addcdiv_(mean, denominator, value=-rest["lr"] * coming * too_small)

    return corrected


def never_rectified(single: Any) -> Any:
    """RAdam that steps by its corrected mean for ever."""

    def mean_alone(params: Any, grads: Any, means: Any, squares: Any, steps: Any, *, beta1: float, lr: float, **rest: Any) -> None:
        single(params, grads, means, squares, steps, beta1=beta1, lr=0.0, **rest)
        for parameter, mean, step in zip(params, means, steps, strict=True):
            parameter.add_(mean, alpha=-lr / (1 - beta1 ** float(step)))

    return mean_alone


def rate(factor: float) -> Callable[[Any], Any]:
    return lambda init: lambda self, groups, lr, **k: init(self, groups, lr * factor, **k)


def tiring(step: Any) -> Any:
    """The learning rate shrinks by a tenth at every step, whoever sets it before each."""

    def tired(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.steps_tired = getattr(self, "steps_tired", 0) + 1
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] *= 0.9**self.steps_tired
        done = step(self, *args, **kwargs)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        return done

    return functools.wraps(step)(tired)
