"""How a module is called with a batch, and what its loss is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from models.arrays import Arrays
from models.backends.torch.own.modules import is_number
from models.backends.torch.own.state import array
from models.own.gauge import OwnError
from models.own.trees import Tree, leaves


def outputs(tree: Tree) -> Arrays:
    """Numbers of an output by their path; `output` where it is one tensor."""
    return {path or "output": array(leaf) for path, leaf in leaves(tree) if is_number(leaf)}


def own_loss(output: Tree, targets: Tree) -> Tensor:
    """The loss that a model computes itself; the mean square of its outputs where nobody gives a loss or targets."""
    if isinstance(output, Tensor) and output.numel() == 1:
        return output
    within = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(within, Tensor):
        return within
    if targets is None:
        floats = [leaf for _, leaf in leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        return torch.stack([leaf.square().mean() for leaf in floats]).mean()
    raise OwnError("the factory returned targets and no loss, and the model's output has none: return a loss(outputs, targets).")


def takes_targets(loss: Callable[..., object]) -> bool:
    """Whether a loss can be called with targets behind outputs; where it does not tell, it can."""
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = [p.kind for p in parameters]
    by_place = [kind for kind in kinds if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return len(by_place) != 1 or inspect.Parameter.VAR_POSITIONAL in kinds


def takes_several(model: nn.Module) -> bool:
    """Whether the module is called with several arguments, which inputs in a tuple are."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = [p.kind for p in parameters]
    return len(kinds) > 1 or inspect.Parameter.VAR_POSITIONAL in kinds


def advance(schedule: object, loss: float) -> None:
    """One step of a user's schedule, of which some ask for the loss; nothing where their function gives none. Raises OwnError."""
    if schedule is None:
        return
    step = getattr(schedule, "step", None)
    if not callable(step):
        raise OwnError(f"the schedule's function gave {type(schedule).__name__}, which has no step(): return one scheduler.")
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(loss)
    else:
        step()
