"""Kinds of modules, tensors and optimizers of users that are treated in a way of their own."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from models.own.trees import Tree

NO_CLOSURE = inspect.Parameter("closure", inspect.Parameter.KEYWORD_ONLY, default=None)


def as_trained(model: nn.Module) -> nn.Module:
    """The module in the modes that its factory gave it, as where some layers are frozen; in training mode where it is all in evaluation.

    A collection's function may return what was loaded for evaluation, of which nobody asks how that trains in evaluation mode.
    """
    return model if any(module.training for module in model.modules()) else model.train()


def shortens(module: nn.Module) -> bool:
    """Whether its forward pass scales rows of its weight down, as documented."""
    return isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None


def is_dense(x: Tensor) -> bool:
    """Whether a tensor has strides, along which it can be cut and laid out."""
    return x.layout == torch.strided and not x.is_nested


def is_image(leaf: Tree) -> bool:
    """Whether a leaf of a batch is a batch of images."""
    return isinstance(leaf, Tensor) and leaf.dim() == 4 and is_dense(leaf)


def computes_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its step asks for the loss and its gradients anew, as that of LBFGS does."""
    return inspect.signature(optimizer.step).parameters.get("closure", NO_CLOSURE).default is inspect.Parameter.empty


def shapes(model: nn.Module) -> dict[str, torch.Size]:
    """Shapes of parameters, by name."""
    return {name: p.shape for name, p in model.named_parameters()}
