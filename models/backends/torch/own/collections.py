"""Published networks by name, untrained, with a small batch of noise: `torchvision:resnet18`, `timm:convnext_atto`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from types import ModuleType

import torch
from torch import nn
from torch.nn import functional

from models.own.gauge import OwnError
from models.own.published import CLASSES, PUBLISHED, settings

OPERATORS = "nms", "qnms"
"""Operators whose schemas a torchvision of another build than torch's lacks; networks call neither."""


def factory(package: str, name: str) -> Callable[[], dict[str, object]]:
    """A function that builds a network of a package's collection. Raises OwnError for a package or name that is not there."""
    if importlib.util.find_spec(package) is None:
        raise OwnError(f"--model={package}:{name} needs the package {package}, which is not installed here: install it.")
    models = imported(f"{package}.models" if package == "torchvision" else package)
    names = models.list_models(module=models) if package == "torchvision" else models.list_models()
    row = settings(package, name)
    if name not in names and not row.of:
        near = [each for each in names if each[:4] == name[:4].lower()][:6]
        raise OwnError(
            f"--model={package}:{name}: {package} has no network {name!r}{f'; near it are {chr(44).join(near)}' if near else ''}."
        )

    def made() -> dict[str, object]:
        if row.of:
            model = getattr(models, row.of)(**row.options)
        elif package == "torchvision":
            model = models.get_model(name, weights=None, **row.options)
        else:
            model = models.create_model(name, pretrained=False, **row.options)
        drawn(model)
        pixels = row.pixels if row in PUBLISHED or package != "torchvision" else max(row.pixels, _least(models, name, model))
        images = torch.randn(row.batch, 3, pixels, pixels)
        labels = torch.randint(0, CLASSES, (row.batch,))
        return {"model": model, "loss": functional.cross_entropy, "batch": (images, labels), "optimizer": _optimizer}

    return made


def drawn(model: nn.Module) -> None:
    """Draw weights that begin at zero, as a vision transformer's read-out does, which would let no gradient reach what is before them."""
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1 and not p.any():
                p.normal_(std=p[0].numel() ** -0.5)


def _least(models: ModuleType, name: str, model: nn.Module) -> int:
    """The smallest images in pixels that a network of torchvision is sure to take: a transformer has a size, and weights say theirs."""
    if (size := getattr(model, "image_size", None)) is not None:
        return int(size)
    if name not in models.list_models(module=models):
        return 1
    return max(models.get_model_weights(name).DEFAULT.meta["min_size"])


def _optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def imported(module: str) -> ModuleType:
    """A module of torchvision, even beside a torch of another build."""
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        declare_operators()
        return importlib.import_module(module)


def declare_operators() -> None:
    """Declare what a torchvision of another build registers fakes for, so that it can be imported."""
    for operator in OPERATORS:
        if not hasattr(torch.ops.torchvision, operator):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
