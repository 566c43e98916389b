"""Trainings that are saved, loaded into fresh objects and go on: all as if they had not been interrupted."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn, optim
from torch.optim import lr_scheduler, swa_utils

from models.backends.torch.promises.defaults import OPTIMIZERS, generator
from models.backends.ways import Ways

Saved = dict[str, object]
SCHEDULERS: dict[str, Callable[[optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 4], 0.5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.2, 1.0, 5),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 7, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 8),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o, 0.1), lr_scheduler.ExponentialLR(o, 0.9)], [2]),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2), lr_scheduler.ExponentialLR(o, 0.9)]),
}

MakeOptimizer = Callable[[Iterable[nn.Parameter]], optim.Optimizer]
MakeScheduler = Callable[[optim.Optimizer], lr_scheduler.LRScheduler]
Made = tuple[MakeOptimizer, MakeScheduler | None, bool]
"""What a training is made of: its optimizer, its scheduler, and whether its loss is scaled."""


def _net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 3))


def _written(state: Saved) -> Saved:
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def _copied(state: Saved) -> Saved:
    return copy.deepcopy(state)


class Training:
    """A small network, an optimizer, and what else a training carries along."""

    def __init__(self, optimizer: MakeOptimizer, scheduler: MakeScheduler | None, scaled: bool) -> None:
        """All fresh."""
        self.net = _net()
        self.optimizer = optimizer(self.net.parameters())
        self.scheduler = scheduler(self.optimizer) if scheduler else None
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**9, growth_interval=2, enabled=scaled)
        self.average = swa_utils.AveragedModel(self.net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8))
        self.number = 0

    def step(self) -> None:
        """One step on a batch of its own."""
        x = torch.randn(8, 6, generator=generator(self.number))
        self.number += 1
        self.optimizer.zero_grad()
        self.scaler.scale(nn.functional.cross_entropy(self.net(x), torch.arange(8) % 3)).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scheduler:
            self.scheduler.step()
        self.average.update_parameters(self.net)

    def state(self) -> Saved:
        """All that must be saved."""
        kept = {name: getattr(self, name).state_dict() for name in ("net", "optimizer", "scaler", "average")}
        if self.scheduler:
            kept["scheduler"] = self.scheduler.state_dict()
        return kept | {"random": torch.get_rng_state(), "number": self.number}

    def load(self, saved: Saved) -> None:
        """Go on from there."""
        for name in ("net", "optimizer", "scaler", "average", "scheduler"):
            if name in saved:
                getattr(self, name).load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
        self.number = saved["number"]

    def reached(self) -> list[object]:
        """Where it led: weights, statistics, average, learning rate and scale."""
        return [
            *self.net.state_dict().values(),
            *self.average.state_dict().values(),
            self.optimizer.param_groups[0]["lr"],
            self.scaler.get_scale(),
        ]


def saved_and_loaded() -> Iterator[Ways]:
    """Each optimizer and each scheduler with batch norm, dropout, scale and average; saved to a file or copied, and loaded into fresh ones."""

    def taken(*made: object, through: Callable[[Saved], Saved] | None) -> list[object]:
        training = Training(*made)
        for _ in range(3):
            training.step()
        if through:
            saved = through(training.state())
            training = Training(*made)
            torch.rand(4)
            training.load(saved)
        for _ in range(3):
            training.step()
        return training.reached()

    cases: dict[str, Made] = {
        f"optimizer {name}": (lambda p, name=name: getattr(optim, name)(p, lr=0.05), None, False) for name in OPTIMIZERS
    }
    cases["optimizer SGD momentum"] = (lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True), None, False)
    cases["optimizer Adam amsgrad"] = (lambda p: optim.Adam(p, 0.05, amsgrad=True), None, False)
    cases["optimizer RMSprop centered"] = (lambda p: optim.RMSprop(p, 0.05, momentum=0.9, centered=True), None, False)
    for name, scheduler in SCHEDULERS.items():
        cases[f"scheduler {name}"] = (lambda p: optim.SGD(p, 0.1, 0.9), scheduler, False)
    cases["loss scale"] = (lambda p: optim.Adam(p, 0.05), None, True)
    for name, made in cases.items():
        ways = {"not interrupted": None, "saved": _written, "copied": _copied}
        yield Ways(name, {way: lambda through=through: taken(*made, through=through) for way, through in ways.items()})
