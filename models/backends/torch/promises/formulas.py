"""Schedules and layers by the formulas of their documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn, optim
from torch.nn.utils import parametrizations, parametrize
from torch.optim import lr_scheduler as lr

from models.backends.torch.promises.defaults import generator
from models.backends.ways import Ways

STEPS = 12
"""More than any of the spans below, so that every end and every seam is seen."""
EXACT = 1e-6
"""Roundings of float32 that Python's floats may differ by: some thousand of their own."""
RATE = 0.1


def _cosine(t: float, period: float, low: float = 0.0) -> float:
    return low + (RATE - low) * (1 + math.cos(math.pi * t / period)) / 2


def _restarts(t: int) -> float:
    return _cosine(t, 2) if t < 2 else _cosine(t - 2, 4) if t < 6 else _cosine(t - 6, 8)


def _warm(t: int) -> float:
    return RATE * (0.25 + 0.75 * min(t, 3) / 3) if t < 3 else _cosine(t - 3, 6)


def _triangle(t: int) -> float:
    cycle = math.floor(1 + t / 4)
    return 0.01 + 0.09 * max(0.0, 1 - abs(t / 2 - 2 * cycle + 1))


def _one_cycle(t: int) -> float:
    up = 0.3 * (STEPS + 1) - 1
    low, high, end = 0.1 / 25, 0.1, 0.1 / 25 / 1e4
    if t <= up:
        return high + (low - high) * (1 + math.cos(math.pi * t / up)) / 2
    return end + (high - end) * (1 + math.cos(math.pi * (t - up) / (STEPS - up))) / 2


SCHEDULES: dict[str, tuple[Callable[[optim.Optimizer], lr.LRScheduler], Callable[[int], float]]] = {
    "LambdaLR": (lambda o: lr.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: RATE / (1 + t)),
    "MultiplicativeLR": (lambda o: lr.MultiplicativeLR(o, lambda t: 0.9), lambda t: RATE * 0.9**t),
    "StepLR": (lambda o: lr.StepLR(o, 3, 0.5), lambda t: RATE * 0.5 ** (t // 3)),
    "MultiStepLR": (lambda o: lr.MultiStepLR(o, [2, 5], 0.5), lambda t: RATE * 0.5 ** ((t >= 2) + (t >= 5))),
    "ConstantLR": (lambda o: lr.ConstantLR(o, 0.5, 4), lambda t: RATE * (0.5 if t < 4 else 1)),
    "LinearLR": (lambda o: lr.LinearLR(o, 0.25, 1.0, 4), lambda t: RATE * (0.25 + 0.75 * min(t, 4) / 4)),
    "ExponentialLR": (lambda o: lr.ExponentialLR(o, 0.8), lambda t: RATE * 0.8**t),
    "PolynomialLR": (lambda o: lr.PolynomialLR(o, 6, 2.0), lambda t: RATE * (1 - min(t, 6) / 6) ** 2),
    "CosineAnnealingLR": (lambda o: lr.CosineAnnealingLR(o, 9, 0.01), lambda t: _cosine(t, 9, 0.01)),
    "CosineAnnealingWarmRestarts": (lambda o: lr.CosineAnnealingWarmRestarts(o, 2, 2), _restarts),
    "CosineAnnealingWarmRestarts of one length": (lambda o: lr.CosineAnnealingWarmRestarts(o, 4, 1, 0.01), lambda t: _cosine(t % 4, 4, 0.01)),
    "CyclicLR": (lambda o: lr.CyclicLR(o, 0.01, 0.1, 2), _triangle),
    "OneCycleLR": (lambda o: lr.OneCycleLR(o, 0.1, STEPS + 1), _one_cycle),
    "SequentialLR": (
        lambda o: lr.SequentialLR(o, [lr.ConstantLR(o, 0.5, 99), lr.ExponentialLR(o, 0.9)], [3]),
        lambda t: RATE * (0.5 if t < 3 else 0.9 ** (t - 3)),
    ),
    "SequentialLR from a warm-up to a cosine": (lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.25, 1.0, 3), lr.CosineAnnealingLR(o, 6)], [3]), _warm),
    "SequentialLR of no warm-up": (lambda o: lr.SequentialLR(o, [lr.ConstantLR(o, 0.5, 99), lr.ExponentialLR(o, 0.9)], [0]), lambda t: RATE * 0.9**t),
    "ChainedScheduler": (
        lambda o: lr.ChainedScheduler([lr.ConstantLR(o, 0.5, 4), lr.ExponentialLR(o, 0.9)]), lambda t: RATE * (0.5 if t < 4 else 1) * 0.9**t
    ),
}  # fmt: skip
"""By schedule: how it is made, and its rate after t steps."""


def _optimizer() -> optim.Optimizer:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    return optim.SGD([parameter], RATE, 0.5)


def schedules_by_formula() -> Iterator[Ways]:
    """Each schedule's rates by its formula, in the optimizer and as get_last_lr tells; and with the state saved half-way."""

    def rates(make: Callable[[optim.Optimizer], lr.LRScheduler], tell: bool) -> list[list[float]]:
        optimizer = _optimizer()
        scheduler, seen = make(optimizer), []
        for _ in range(STEPS):
            seen.append(float(scheduler.get_last_lr()[0] if tell else optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step()
        return [seen]

    for name, (make, formula) in SCHEDULES.items():
        ways = {"formula": lambda: [[formula(t) for t in range(STEPS)]], "optimizer": lambda: rates(make, False)}
        yield Ways(name, ways | {"get_last_lr": lambda: rates(make, True)}, roundings=EXACT)

    def plateau(**given: object) -> list[list[float]]:
        optimizer = _optimizer()
        scheduler, seen = lr.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold_mode="abs", **given), []
        for value in (3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0):
            scheduler.step(-value if given else value)
            seen.append(float(optimizer.param_groups[0]["lr"]))
        return [seen]

    expected = {"by hand": lambda: [[0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025]]}
    yield Ways("ReduceLROnPlateau", expected | {"min": plateau, "max of the negated": lambda: plateau(mode="max")}, roundings=1)


def layers_by_formula() -> Iterator[Ways]:
    """Dropout's scale, running statistics and evaluation of batch norm, and parametrizations, by their formulas."""
    x = torch.randn(8, 6, generator=generator(2)) * 3 + 1
    kept = {"in evaluation": lambda: nn.Dropout(0.3).eval()(x), "p=0": lambda: nn.Dropout(0.0)(x), "itself": lambda: x}
    yield Ways("Dropout that drops nothing", kept)
    yield Ways("Dropout of everything", {"zeros": lambda: x * 0, "p=1": lambda: nn.Dropout(1.0)(x)})

    def scaled(p: float) -> torch.Tensor:
        torch.manual_seed(0)
        outputs = nn.Dropout(p)(x)
        return torch.where(outputs == 0, x / (1 - p), outputs)

    for p in (0.1, 0.5, 0.9):
        yield Ways(f"Dropout p={p} scales what it keeps", {"formula": lambda: x / (1 - p), "seen": lambda: scaled(p)}, 4)

    def running(momentum: float | None) -> list[torch.Tensor]:
        norm = nn.BatchNorm1d(6, momentum=momentum)
        for scale in (1.0, 2.0, 3.0):
            norm(scale * x)
        return [norm.running_mean, norm.running_var, norm.num_batches_tracked, norm.eval()(x)]

    def by_hand(momentum: float | None) -> list[torch.Tensor | int]:
        mean, var, y = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64), x.double()
        for number, scale in enumerate((1.0, 2.0, 3.0), 1):
            weight = momentum if momentum is not None else 1 / number
            mean, var = (1 - weight) * mean + weight * scale * y.mean(0), (1 - weight) * var + weight * scale**2 * y.var(0)
        return [mean, var, 3, (y - mean) / (var + 1e-5).sqrt()]

    for momentum in (0.1, 0.9, None):
        yield Ways(f"BatchNorm1d momentum={momentum}", {"formula": lambda: by_hand(momentum), "seen": lambda: running(momentum)}, 64)
    fresh = {"never trained": lambda: nn.BatchNorm1d(6).eval()(x), "formula": lambda: x / (1 + 1e-5) ** 0.5}
    yield Ways("BatchNorm1d before training", fresh, 4)

    def normed(by_hand: bool) -> torch.Tensor:
        torch.manual_seed(0)
        layer = parametrizations.weight_norm(nn.Linear(6, 4))
        g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        return g * v / v.norm(dim=1, keepdim=True) if by_hand else layer.weight

    def spectral() -> float:
        torch.manual_seed(0)
        layer = parametrizations.spectral_norm(nn.Linear(6, 4), n_power_iterations=60)
        return float(torch.linalg.matrix_norm(layer.weight, 2))

    def orthogonal() -> torch.Tensor:
        weight = parametrizations.orthogonal(nn.Linear(6, 4)).weight
        return weight @ weight.T

    def removed() -> list[torch.Tensor]:
        torch.manual_seed(0)
        layer = parametrizations.weight_norm(nn.Linear(6, 4))
        before = layer.weight.detach().clone()
        parametrize.remove_parametrizations(layer, "weight")
        return [layer.weight - before]

    yield Ways("weight_norm", {"formula": lambda: normed(True), "seen": lambda: normed(False)}, 64)
    yield Ways("spectral_norm", {"one": lambda: 1.0, "seen": spectral}, 64)
    yield Ways("orthogonal", {"identity": lambda: torch.eye(4), "seen": orthogonal}, 64)
    yield Ways("remove_parametrizations keeps the weight", {"zeros": lambda: torch.zeros(4, 6), "seen": removed})
