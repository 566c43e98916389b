"""Modules and optimizers that a user makes once and every call of the factory returns: each call begins as the first one did."""

from __future__ import annotations

import copy
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from models.backends.torch.own.state import State

_modules: WeakKeyDictionary[nn.Module, tuple[State, dict[str, bool]]] = WeakKeyDictionary()
_optimizers: WeakKeyDictionary[torch.optim.Optimizer, tuple[dict[str, object], list[list[Tensor]]]] = WeakKeyDictionary()


def as_first_returned(model: nn.Module) -> None:
    """Give a module the state, and its modules the modes, in which a factory returned it for the first time."""
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        return  # its state begins with the first batch
    if model not in _modules:
        _modules[model] = State(model), {name: module.training for name, module in model.named_modules()}
        return
    state, modes = _modules[model]
    state.put_back(model)
    for name, module in model.named_modules():
        module.training = modes.get(name, True)


def as_first_made(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer the slots, settings and parameters that it had when it was seen for the first time."""
    if optimizer not in _optimizers:
        _optimizers[optimizer] = copy.deepcopy(optimizer.state_dict()), [list(group["params"]) for group in optimizer.param_groups]
    state, parameters = _optimizers[optimizer]
    for group, own in zip(optimizer.param_groups, parameters, strict=False):
        group["params"] = list(own)
    optimizer.state.clear()
    optimizer.load_state_dict(copy.deepcopy(state))
    for group in optimizer.param_groups:  # a schedule writes into a rate that is a tensor
        group |= {name: value.clone() for name, value in group.items() if isinstance(value, Tensor)}
