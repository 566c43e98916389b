"""Scenarios of training: one batch or micro-batches, eager or compiled, scaled or not, few tensors or many."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import swa_utils

from models.arrays import Array, Arrays, Batch, Batches, BatchLabels, Labels
from models.backends.torch.layers import array
from models.backends.torch.model import Model, optimizer_of
from models.naming import layer_of
from models.nodes import Normalize
from models.parts.clips import CLIPS
from models.spec import Spec


def train(
    *,
    spec: str,
    weights: Arrays,
    xs: Batches,
    labels: BatchLabels,
    mode: str = "eager",
    parts: int = 1,
    schedule: float = 0.0,
    by_hand: bool = False,
    scale: float = 0.0,
    average: float = 0.0,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on every batch of xs (steps × batch × features), each in `parts` micro-batches, the loop as users write it.

    `schedule` multiplies the learning rate after every step, by the framework's own or `by_hand`.
    Returns the last weights, the weights after every step, and with `average` (the weight of the old) the average of weights.
    """
    built = Model(Spec.parse(spec), weights=weights, mode=mode)
    optimizer = optimizer_of(built.spec, built.parameters, **(options or {}))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, schedule) if schedule and not by_hand else None
    scaler = torch.amp.GradScaler(torch.get_default_device().type, init_scale=scale) if scale else None
    averaged = swa_utils.AveragedModel(built.module, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(average)) if average else None
    if averaged:
        averaged.update_parameters(built.module)  # the first call copies, as Keras's average starts from the first weights
    loss_of = torch.compile(built.forward_loss) if mode == "compile" else built.forward_loss
    visited = [built.weights()]
    for x, y in zip(built.tensor(xs), built.target(labels), strict=True):
        optimizer.zero_grad()
        for piece, answers in zip(x.chunk(parts), y.chunk(parts), strict=True):
            loss = loss_of(piece, answers) / parts
            (scaler.scale(loss) if scaler else loss).backward()
        if scaler:
            scaler.unscale_(optimizer)
        built.clip()
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        if scheduler:
            scheduler.step()
        elif schedule:
            for group in optimizer.param_groups:
                group["lr"] *= schedule
        if averaged:
            averaged.update_parameters(built.module)
        visited.append(built.weights())
    done: dict[str, Any] = {"weights": visited[-1], "visited": visited}
    if averaged:
        names = {id(parameter): name for name, parameter in built.parameters.items()}
        pairs = zip(built.module.parameters(), averaged.module.parameters(), strict=True)
        done["average"] = {names[id(own)]: array(mean) for own, mean in pairs}
    return done


def heads(*, spec: str, count: int, weights: Array, xs: Batches) -> Array:
    """Train `count` one-layer networks side by side under one optimizer; weights of the first, as (inputs, outputs)."""
    kernels = {f"{head}.weight": nn.Parameter(torch.as_tensor(weights).clone()) for head in range(count)}
    optimizer = optimizer_of(Spec.parse(spec), kernels)
    for x in torch.as_tensor(xs):
        optimizer.zero_grad()
        sum((x @ kernel).square().sum(1).mean() for kernel in kernels.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    return array(kernels["0.weight"])


IMPLEMENTATIONS: dict[str, dict[str, bool]] = {
    "default": {}, "single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True},
}  # fmt: skip


def apply(*, spec: str, weights: Arrays, gradients: Arrays, implementation: str = "default") -> dict[str, Arrays]:
    """Clip given gradients and step the optimizer; new weights, and the gradients before and after `step`."""
    described = Spec.parse(spec)
    parameters = {key: nn.Parameter(torch.tensor(value)) for key, value in weights.items()}
    for key, parameter in parameters.items():
        parameter.grad = torch.tensor(gradients[key])
    CLIPS[described.clip].torch(nn.utils, list(parameters.values()), described.clip_at)
    clipped = {key: array(p.grad) for key, p in parameters.items()}
    optimizer_of(described, parameters, **IMPLEMENTATIONS[implementation]).step()
    after = {key: array(p.grad) for key, p in parameters.items()}
    return {"weights": {key: array(p) for key, p in parameters.items()}, "clipped": clipped, "gradients": after}


OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    "SGD nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (torch.optim.Adam, {"weight_decay": 0.01}),
    "AdamW": (torch.optim.AdamW, {"amsgrad": True}),
    "NAdam": (torch.optim.NAdam, {}),
    "RAdam": (torch.optim.RAdam, {}),
    "Adamax": (torch.optim.Adamax, {}),
    "Adagrad": (torch.optim.Adagrad, {}),
    "Adadelta": (torch.optim.Adadelta, {}),
    "RMSprop": (torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
    "Rprop": (torch.optim.Rprop, {}),
    "ASGD": (torch.optim.ASGD, {}),
}
if hasattr(torch.optim, "Adafactor"):  # since PyTorch 2.5
    OPTIMIZERS["Adafactor"] = torch.optim.Adafactor, {"weight_decay": 0.01}


def implementations(*, weights: list[Array], gradients: list[list[Array]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By optimizer and implementation: weights after the steps, and whether every `step()` left the gradients it was given alone.

    `gradients` holds a list of arrays a step, in the weights' own precision. Fused kernels exist for some optimizers only.
    """
    done: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, (kind, options)), (how, flags) in itertools.product(OPTIMIZERS.items(), IMPLEMENTATIONS.items()):
        parameters = [nn.Parameter(torch.as_tensor(value).clone()) for value in weights]
        try:
            optimizer = kind(parameters, **options, **flags)
        except TypeError:  # it has no argument `fused`
            continue
        changed = 0.0
        for number, step in enumerate(gradients):
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = torch.as_tensor(gradient).clone()
            try:
                optimizer.step()
            except RuntimeError as refused:  # PyTorch 2.11 builds a fused Adagrad on a GPU and refuses its first step
                if number or "fused" not in flags or "`fused=True` requires" not in str(refused):
                    raise
                break
            # Python's max drops a NaN that does not come first; NumPy's keeps it.
            changed = float(np.max([changed, *(abs(array(p.grad) - g).max() for p, g in zip(parameters, step, strict=True))]))
        else:
            done.setdefault(name, {})[how] = {"weights": [array(p) for p in parameters], "changed": changed}
    return done


def freeze(*, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels, layers: list[int], when: str) -> dict[str, Arrays]:
    """Train with `layers` frozen `before` or `after` the optimizer is made; weights and running statistics before and after.

    Frozen is what users write: `requires_grad_(False)`, and `eval()` for a batch normalization.
    """
    built = Model(Spec.parse(spec), weights=weights)

    def freeze_layers() -> None:
        for name, part in built.parts.items():
            if layer_of(name) in layers:
                part.requires_grad_(False)
                part.eval()

    if when == "before":
        freeze_layers()
    moving = {key: p for key, p in built.parameters.items() if p.requires_grad}
    optimizer = optimizer_of(built.spec, moving)
    if when == "after":
        freeze_layers()
    start = _state(built)
    for x, y in zip(xs, labels, strict=True):
        optimizer.zero_grad()
        built.loss_of(x, y).backward()
        optimizer.step()
    return {"before": start, "after": _state(built)}


def _state(built: Model) -> Arrays:
    """Parameters and running statistics."""
    running = {f"{name}.{kind}": value for name, pair in built.running().items() for kind, value in zip(("mean", "var"), pair, strict=True)}
    return built.weights() | running


def penalized(*, spec: str, weights: Arrays, x: Batch, labels: Labels, kind: str, factor: float) -> dict[str, Any]:
    """One step with a penalty of factor·Σ‖W‖², `kernel` by the optimizer's weight_decay or `none`: the loss and the weights after it."""
    built = Model(Spec.parse(spec), weights=weights)
    optimizer = optimizer_of(dataclasses.replace(built.spec, l2=2 * factor if kind == "kernel" else 0.0), built.parameters)
    loss = built.loss_of(x, labels)
    loss.backward()
    optimizer.step()
    return {"loss": float(loss.detach()), "weights": built.weights()}


def constrained(*, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels, kind: str) -> list[Arrays]:
    """Weights after every step under the parametrization `orthogonal`, which is how PyTorch constrains."""
    built = Model(Spec.parse(spec), weights=weights)
    assert kind == "orthogonal", kind
    linears = {node.name: built.parts[node.name] for node in built.graph.dense}
    for part in linears.values():
        nn.utils.parametrizations.orthogonal(part)
    assert not built.graph.of(Normalize)
    optimizer = optimizer_of(built.spec, dict(built.module.named_parameters()))
    after = []
    for x, y in zip(xs, labels, strict=True):
        optimizer.zero_grad()
        built.loss_of(x, y).backward()
        optimizer.step()
        after.append({f"{name}.weight": array(part.weight) for name, part in linears.items()})
    return after
