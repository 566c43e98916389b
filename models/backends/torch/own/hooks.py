"""Hooks of a user's on gradients: those of parameters, which a copied module loses, and which of them change a gradient on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from models.own.slopes import CHOSEN

Hooks = dict[str, tuple[list[Callable[..., Any]], list[Callable[..., Any]]]]
"""Hooks of parameters by the parameter's name: on its gradient, and after its gradient was added up."""


def hooks_of(model: nn.Module) -> Hooks:
    """Hooks of those parameters that have any."""
    found = {}
    for name, p in model.named_parameters():
        gradient, accumulated = (list((registry or {}).values()) for registry in _registries(p))
        found[name] = gradient, accumulated
    return {name: hooks for name, hooks in found.items() if any(hooks)}


def hook(model: nn.Module, hooks: Hooks) -> None:
    """Give a copied module's parameters their hooks."""
    parameters = dict(model.named_parameters())
    for name, (gradient, accumulated) in hooks.items():
        for each in gradient:
            parameters[name].register_hook(each)
        for each in accumulated:
            parameters[name].register_post_accumulate_grad_hook(each)


class Chosen:
    """What hooks have changed: gradients of `parameters` by hooks of their own, and all before them by those of modules and activations."""

    def __init__(self) -> None:
        """Nothing has been changed yet."""
        self.parameters: dict[str, None] = {}
        self.others: dict[str, None] = {}

    def note(self, place: dict[str, None], name: str, before: Any, after: Any) -> None:
        """Note a gradient that a hook has replaced by another one, by more than an error would change it."""
        pairs = [(one, two) for one, two in zip(_tensors(before), _tensors(after), strict=False)]
        if any(apart(one, two) > CHOSEN for one, two in pairs):
            place[name] = None


@contextmanager
def watched(model: nn.Module) -> Iterator[Chosen]:
    """While a model runs in here, what hooks do to gradients is noted."""
    found = Chosen()
    with ExitStack() as stack:
        for name, p in model.named_parameters():
            for registry, wrapped in zip(_registries(p), (_on_gradient, _behind), strict=True):
                if registry:
                    on = {n: wrapped(found, found.parameters, name, h) for n, h in registry.items()}
                    stack.enter_context(mock.patch.dict(registry, on))
        for name, module in model.named_modules():
            for of_module in (module._backward_hooks, module._backward_pre_hooks):
                on = {n: _on_module(found, name or "the model", h) for n, h in of_module.items()}
                stack.enter_context(mock.patch.dict(of_module, on))
        register = Tensor.register_hook

        def registering(self: Tensor, hook: Callable[..., Any]) -> Any:
            return register(self, _on_gradient(found, found.others, getattr(hook, "__qualname__", "a tensor"), hook))

        stack.enter_context(mock.patch.object(Tensor, "register_hook", registering))
        yield found


def apart(one: Tensor, other: Tensor) -> float:
    """How far two gradients lie apart, as a share of the first one's length."""
    size = float(torch.linalg.vector_norm(_dense(one).double()))
    away = float(torch.linalg.vector_norm(_dense(one).double() - _dense(other).double()))
    return away / size if size else float(away > 0)


def _dense(x: Tensor) -> Tensor:
    x = x.detach()
    x = x.to_dense() if x.layout != torch.strided else x
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def _registries(p: Tensor) -> tuple[dict[int, Any] | None, dict[int, Any] | None]:
    return p._backward_hooks, getattr(p, "_post_accumulate_grad_hooks", None)


def _tensors(value: Any) -> list[Tensor]:
    return [each for each in (value if isinstance(value, (tuple, list)) else (value,)) if isinstance(each, Tensor)]


def _on_gradient(found: Chosen, place: dict[str, None], name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def seen(gradient: Tensor) -> Any:
        before = gradient.detach().clone()
        out = hook(gradient)
        found.note(place, name, before, gradient if out is None else out)
        return out

    return seen


def _behind(found: Chosen, place: dict[str, None], name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def seen(parameter: Tensor) -> Any:
        before = parameter.grad.detach().clone() if parameter.grad is not None else None
        out = hook(parameter)
        if before is not None:
            found.note(place, name, before, torch.zeros_like(before) if parameter.grad is None else parameter.grad)
        return out

    return seen


def _on_module(found: Chosen, name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def seen(module: nn.Module, *gradients: Any) -> Any:
        out = hook(module, *gradients)
        if out is not None:
            found.note(found.others, name, gradients[0], out)
        return out

    return seen
