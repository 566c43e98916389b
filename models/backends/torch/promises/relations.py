"""Equalities of this suite's own networks, once more in the words of PyTorch alone, for scripts that show one: trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn, optim
from torch.nn import functional, utils

from models.backends.torch.promises.defaults import generator
from models.backends.torch.promises.single_layers import (
    average_by_kernel,
    both_directions,
    grouped_convolution,
    pointwise_convolution,
    stateful_halves,
    time_first,
)
from models.backends.torch.scenarios.trained import OPTIMIZERS
from models.backends.ways import Ways

Net = Any
"""A Sequential whose layers are taken by number."""
TRAINED = 100
"""How many roundings may part two trainings of three steps: what the reference strays when it sums in another order, doubled."""
Optimizers = Callable[[Any], optim.Optimizer]


def net() -> Net:
    """A small smooth network, the same every time."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def nothing(made: Net) -> None:
    """What is done where nothing is."""


def trained(make: Optimizers, parts: int = 1, copies: int = 1, clip: Callable[[Net], object] = nothing) -> list[torch.Tensor]:
    """Weights after three steps, each of a batch in `parts` whose gradients add up, with every sample in it `copies` times."""
    made = net()
    optimizer = make(made.parameters())
    for number in range(3):
        x, labels = torch.randn(8, 6, generator=generator(number)).repeat(copies, 1), (torch.arange(8) % 3).repeat(copies)
        optimizer.zero_grad()
        for some, theirs in zip(x.chunk(parts), labels.chunk(parts), strict=True):
            (functional.cross_entropy(made(some), theirs) / parts).backward()
        clip(made)
        optimizer.step()
    return list(made.parameters())


def scaled(clip: Callable[[Net], object]) -> list[torch.Tensor]:
    """The same with SGD, where a scaler multiplies every loss by 8 and divides gradients before they are clipped."""
    made, scaler = net(), torch.amp.GradScaler("cpu", init_scale=8.0)
    optimizer = optim.SGD(made.parameters(), 0.1)
    for number in range(3):
        x = torch.randn(8, 6, generator=generator(number))
        optimizer.zero_grad()
        scaler.scale(functional.cross_entropy(made(x), torch.arange(8) % 3)).backward()
        scaler.unscale_(optimizer)
        clip(made)
        scaler.step(optimizer)
        scaler.update()
    return list(made.parameters())


def by_norm(made: Net) -> None:
    """Clip all gradients together."""
    utils.clip_grad_norm_(made.parameters(), 0.1)


def micro_batches() -> Iterator[Ways]:
    """A batch against the gradients of its parts, clipped."""
    for name, make, clip in (
        ("adamw with clip=global", lambda parameters: optim.AdamW(parameters, 0.01, weight_decay=0.1), by_norm),
        (
            "momentum with clip=value",
            lambda parameters: optim.SGD(parameters, 0.1, 0.9),
            lambda made: utils.clip_grad_value_(made.parameters(), 0.02),
        ),
    ):
        ways = {parts: lambda make=make, clip=clip, n=n: trained(make, n, 1, clip) for n, parts in ((1, "whole"), (4, "four parts"))}
        yield Ways(name, ways, TRAINED)


def duplicated_batch() -> Iterator[Ways]:
    """A batch against one in which every sample stands twice."""
    for name, make in (
        ("momentum with norm=none", lambda parameters: optim.SGD(parameters, 0.1, 0.9)),
        ("adam with norm=layer", lambda parameters: optim.Adam(parameters, 0.01)),
    ):
        yield Ways(name, {"once": lambda make=make: trained(make), "twice": lambda make=make: trained(make, 1, 2)}, TRAINED)


def loss_scaling() -> Iterator[Ways]:
    """A loss as it is against one that is scaled, with and without clipping."""
    for name, clip in (("clip=none dynamic scale", nothing), ("clip=global dynamic scale", by_norm)):
        plain = lambda clip=clip: trained(lambda parameters: optim.SGD(parameters, 0.1), 1, 1, clip)  # noqa: E731
        yield Ways(name, {"plain": plain, "scaled": lambda clip=clip: scaled(clip)}, TRAINED)


def stepped(make: Callable[..., optim.Optimizer], kind: torch.dtype, options: dict[str, Any]) -> list[torch.Tensor]:
    """Two weights after four steps with gradients that were drawn."""
    weights = [nn.Parameter(torch.randn(shape, generator=generator(1), dtype=kind)) for shape in (4, 3)]
    optimizer = make(weights, **options)
    for number in range(4):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator(number), dtype=kind)
        optimizer.step()
    return list(weights)


def implementations() -> Iterator[Ways]:
    """One tensor after the other against all of them at once."""
    for name, (make, options) in OPTIMIZERS.items():
        for kind, unit in ((torch.float64, 2.0**-53), (torch.float32, 2.0**-24)):
            ways = {
                way: lambda make=make, kind=kind, given={**options, "foreach": foreach}: stepped(make, kind, given)
                for way, foreach in (("single", False), ("foreach", True))
            }
            yield Ways(f"{name} foreach {str(kind)[6:]}", ways, 4, unit=unit)


def gradients_kept() -> Iterator[Ways]:
    """A gradient against itself after a step."""

    def after(make: Callable[..., optim.Optimizer], options: dict[str, Any], kind: torch.dtype) -> torch.Tensor | None:
        weight = nn.Parameter(torch.ones(3, dtype=kind))
        weight.grad = torch.ones(3, dtype=kind)
        optimizer = make([weight], **options)
        for _ in range(2):
            optimizer.step()
        return weight.grad

    for name, (make, options) in OPTIMIZERS.items():
        for way, foreach in (("single", False), ("foreach", True)):
            for kind in (torch.float64, torch.float32):
                ways = {
                    "given": lambda kind=kind: torch.ones(3, dtype=kind),
                    "after steps": lambda make=make, given={**options, "foreach": foreach}, kind=kind: after(make, given, kind),
                }
                yield Ways(f"{name} {way} {str(kind)[6:]}", ways)


def frozen() -> Iterator[Ways]:
    """A frozen weight against itself after a training."""

    def first(steps: int) -> list[torch.Tensor]:
        made: Net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
        for layer, weight in ((made[0], (8, 6)), (made[3], (3, 8))):
            layer.weight.data = torch.randn(weight, generator=generator(9))
            layer.bias.data.zero_()
        for layer in made[:2]:
            layer.requires_grad_(False)
            layer.eval()
        optimizer = optim.SGD(made.parameters(), 0.1, 0.9)
        for number in range(steps):
            optimizer.zero_grad()
            functional.cross_entropy(made(torch.randn(8, 6, generator=generator(number))), torch.arange(8) % 3).backward()
            optimizer.step()
        return list(made[:2].state_dict().values())

    yield Ways("frozen before", {"begun": lambda: first(0), "trained": lambda: first(3)})


def penalty_once() -> Iterator[Ways]:
    """A penalty in the loss against the optimizer's, which must enter once, whatever the size of a batch."""

    def step(batch: int, decay: float, factor: float) -> list[torch.Tensor]:
        made = net()
        optimizer = optim.SGD(made.parameters(), 0.1, weight_decay=decay)
        loss = functional.cross_entropy(made(torch.randn(batch, 6, generator=generator(1))), torch.arange(batch) % 3)
        (loss + factor * sum(parameter.square().sum() for parameter in made.parameters())).backward()
        optimizer.step()
        return list(made.parameters())

    for batch in (5, 50):
        ways = {"in the loss": lambda batch=batch: step(batch, 0.0, 0.05), "weight_decay": lambda batch=batch: step(batch, 0.1, 0.0)}
        yield Ways(f"batch {batch}", ways, TRAINED)


def meeting_pieces() -> Iterator[Ways]:
    """Slopes of hardswish where its pieces meet, against its formula's."""

    def slope(act: Callable[[torch.Tensor], torch.Tensor], at: float) -> torch.Tensor | None:
        x = torch.tensor([at], requires_grad=True)
        act(x).sum().backward()
        return x.grad

    for at in (-3.0, 3.0):
        ways = {
            "formula": lambda at=at: slope(lambda x: x * functional.relu6(x + 3) / 6, at),
            "hardswish": lambda at=at: slope(functional.hardswish, at),
        }
        yield Ways(f"hardswish slope at {at:g}", ways, 7)


def confidently_wrong() -> Iterator[Ways]:
    """The gradient of a cross-entropy that is far off, against softmax less the label."""

    def gradient(gap: float, loss: Callable[..., torch.Tensor]) -> torch.Tensor | None:
        logits = torch.tensor([[gap, 0.0, -gap]], requires_grad=True)
        loss(logits, torch.tensor([2])).backward()
        return logits.grad

    def formula(gap: float) -> torch.Tensor:
        return torch.tensor([[gap, 0.0, -gap]], dtype=torch.float64).softmax(1) - torch.tensor([[0.0, 0.0, 1.0]])

    for gap in (5.0, 30.0):
        for name, loss in (
            ("", functional.cross_entropy),
            (" by log_softmax", lambda logits, labels: functional.nll_loss(functional.log_softmax(logits, 1), labels)),
        ):
            ways = {"formula": lambda gap=gap: formula(gap), "backward": lambda gap=gap, loss=loss: gradient(gap, loss)}
            yield Ways(f"logit gap {gap:g}{name}", ways, 10)


RELATIONS = {
    cases.__name__: cases
    for cases in (
        micro_batches, duplicated_batch, loss_scaling, implementations, gradients_kept, frozen, penalty_once, meeting_pieces,
        confidently_wrong, time_first, stateful_halves, both_directions, grouped_convolution, pointwise_convolution, average_by_kernel,
    )
}  # fmt: skip
