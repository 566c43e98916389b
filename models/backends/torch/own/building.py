"""What a user's factory makes of PyTorch: the module, with its loss, batch and optimizer."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from models.backends.torch.own.collections import declare_operators
from models.backends.torch.own.shared import as_first_made, as_first_returned
from models.own.gauge import Gauge, OwnError, gauge_of
from models.own.loading import Home


def build(home: Home, seed: int) -> Gauge:
    """What the user's factory returns with every seed set. Raises OwnError."""
    torch.manual_seed(seed)
    try:
        gauge = gauge_of(home.call(seed), is_model, "PyTorch module")
    except OwnError as error:
        if "operator torchvision::" not in str(error):
            raise
        declare_operators()  # the user's file imports a torchvision of another build than torch's
        torch.manual_seed(seed)
        gauge = gauge_of(home.call(seed), is_model, "PyTorch module")
    tensors = chain(gauge.model.parameters(), gauge.model.buffers())
    if any(each.is_inference() for each in tensors if not is_lazy(each)):
        raise OwnError(f"{home.model.id} cannot be trained: it was built within torch.inference_mode, so build it outside of that.")
    as_first_returned(gauge.model)
    if isinstance(gauge.optimizer, torch.optim.Optimizer):
        as_first_made(gauge.optimizer)
    for part, takes in (("loss", "outputs and targets"), ("optimizer", "parameters"), ("schedule", "an optimizer")):
        given = getattr(gauge, part)
        if given is not None and not callable(given) and not isinstance(given, torch.optim.Optimizer):
            raise OwnError(f"the {part} of {home.model.id} is {type(given).__name__}, and in PyTorch it is a function of {takes}.")
    return gauge


def is_model(value: object) -> bool:
    """Whether this is a module."""
    return isinstance(value, nn.Module)
