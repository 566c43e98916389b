"""Faults of PyTorch that begin late in a training: nothing shows in its first steps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

EPOCH = 18
"""Steps of an epoch of digits at the reference batch."""


def from_step(first: int, act: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Do something to an optimizer after each of its steps from number `first` on."""

    def wrap(step: Any) -> Any:
        @functools.wraps(step)
        def stepped(self: Any, *args: Any, **kwargs: Any) -> Any:
            done = step(self, *args, **kwargs)
            self.steps_taken = getattr(self, "steps_taken", 0) + 1
            if self.steps_taken >= first:
                act(self)
            return done

        return stepped

    return wrap


def lose_slots(optimizer: Any) -> None:
    """Momentum starts anew."""
    for slots in optimizer.state.values():
        slots["momentum_buffer"].zero_()


def decay(share: float) -> Callable[[Any], None]:
    """Weights decay by a share of the learning rate."""

    def act(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.data.mul_(1 - share * group["lr"])

    return act


def round_to_half(optimizer: Any) -> None:
    """Weights pass through float16."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.data.copy_(parameter.data.half().float())


def without_last_batch(step: Any) -> Any:
    """The last batch of an epoch changes nothing."""

    @functools.wraps(step)
    def stepped(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.steps_taken = getattr(self, "steps_taken", 0) + 1
        return step(self, *args, **kwargs) if self.steps_taken % EPOCH else None

    return stepped


def every_other_time(update: Any) -> Any:
    """An average of weights takes every other step's."""

    @functools.wraps(update)
    def updated(self: Any, model: Any) -> None:
        self.times = getattr(self, "times", 0) + 1
        if self.times % 2:
            update(self, model)

    return updated


def first_epoch_again(forward_backward: Any) -> Any:
    """Every epoch has the first one's batches in the first one's order, as a shuffle that is seeded anew gives them."""

    @functools.wraps(forward_backward)
    def fed(self: Any, x: Any, target: Any, *args: Any) -> Any:
        optimizer = self.optimizer
        if not hasattr(optimizer, "batches"):
            optimizer.batches, optimizer.fed = [], 0
        if len(optimizer.batches) < EPOCH:
            optimizer.batches.append((x, target))
        x, target = optimizer.batches[optimizer.fed % EPOCH]
        optimizer.fed += 1
        return forward_backward(self, x, target, *args)

    return fed


def statistics_stop(first: int) -> Callable[[Any], Any]:
    """Running statistics are kept as they were after `first` batches."""

    def wrap(forward: Any) -> Any:
        @functools.wraps(forward)
        def called(self: Any, x: Any) -> Any:
            usual = self.momentum
            if int(self.num_batches_tracked) >= first:
                self.momentum = 0.0
            y = forward(self, x)
            self.momentum = usual
            return y

        return called

    return wrap
