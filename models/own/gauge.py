"""What a factory returns: a model with its loss and batch, and what trains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from models.own.trees import Tree

FORMS = "return dict(model=…, loss=…, batch=(inputs, targets)), a tuple in this order, or a model with example_inputs()"


class OwnError(ValueError):
    """A model that cannot be built or run, by its own fault or its user's; the message is one sentence."""


class NoTwinError(RuntimeError):
    """A float64 twin cannot be had; the message says where and why."""


class TapeEndsError(NoTwinError):
    """The float64 pass computes by other operations than the float32 one, so that it cannot be given its decisions."""


@dataclass(frozen=True)
class Gauge:
    """A model under test: `batch` is one training batch, `data` an iterable of such, `optimizer` and `schedule` what trains it.

    A batch is `(inputs, targets)`, or a dict that the model takes by name. Inputs that are a tuple are several arguments, a dict is
    arguments by name. `loss` is called as its framework calls losses; without one the model's output is the loss, or has it as `loss`.
    In PyTorch `optimizer` is a function of parameters and `schedule` one of the optimizer. In Keras `optimizer` and `loss` are what
    `compile` takes, and those of a compiled model are its own. `metric` of outputs and targets, a share such as an accuracy, is taken
    behind a training on the batch `test`, or on `batch`.
    """

    model: Any
    loss: Any = None
    batch: Tree = None
    optimizer: Any = None
    schedule: Any = None
    data: Iterable[Tree] | None = None
    metric: Callable[[Tree, Tree], Any] | None = None
    test: Tree = None

    @property
    def inputs(self) -> Tree:
        """What the model is called with."""
        return self.batch if isinstance(self.batch, Mapping) else self.batch[0]

    @property
    def targets(self) -> Tree:
        """What its output is compared with; the batch itself where the model takes all of it by name."""
        return self.batch if isinstance(self.batch, Mapping) else self.batch[1]


NAMES = tuple(field.name for field in fields(Gauge))


def pair(batch: Tree, model: str) -> Tree:
    """A batch of the user's data as (inputs, targets), or by name; inputs alone have no targets.

    Raises OwnError for more parts, weights of samples for example.
    """
    if not isinstance(batch, (Mapping, tuple, list)):
        return batch, None
    if isinstance(batch, Mapping) or len(batch) == 2:
        return batch
    if len(batch) == 1:
        return batch[0], None
    raise OwnError(
        f"{model} has data whose batches have {len(batch)} parts: make them (inputs, targets), without weights of samples and "
        "with inputs a tuple where the model takes several."
    )


def gauge_of(returned: Any, is_model: Callable[[Any], bool], kind: str) -> Gauge:
    """What a factory has returned, in whichever form; `kind` says what a model is here. Raises OwnError with the forms that there are."""
    if is_model(returned):
        given: dict[str, Any] = {"model": returned}
    elif isinstance(returned, Mapping):
        given = dict(returned)
    elif isinstance(returned, (tuple, list)) and not hasattr(returned, "_fields"):
        given = dict(zip(NAMES, returned, strict=False))
        if len(returned) > len(NAMES):
            raise OwnError(f"the factory returned {len(returned)} values: {FORMS}.")
    else:
        given = {name: getattr(returned, name) for name in NAMES if hasattr(returned, name)}
    if unknown := [name for name in given if name not in NAMES]:
        raise OwnError(f"the factory returned {unknown[0]!r}, which is none of {', '.join(NAMES)}.")
    if not is_model(given.get("model")):
        raise OwnError(f"the factory returned no {kind} but {type(given.get('model', returned)).__name__}: {FORMS}.")
    if given.get("batch") is None and given.get("data") is not None:
        given["batch"] = next(iter(given["data"]), None)
        if given["batch"] is None:
            raise OwnError("the factory returned data without a single batch: return one that has some.")
    if given.get("batch") is None:
        given["batch"] = _example(given["model"])
    batch = given["batch"]
    if not isinstance(batch, Mapping):
        if not isinstance(batch, (tuple, list)):
            given["batch"] = (batch, None)
        elif len(batch) == 1:  # as a loader over one tensor gives it
            given["batch"] = (batch[0], None)
        elif len(batch) != 2:
            raise OwnError(
                f"the batch has {len(batch)} parts: make it (inputs, targets), with inputs a tuple where the model takes several."
            )
    return Gauge(**given)


def _example(model: Any) -> Tree:
    if not callable(getattr(model, "example_inputs", None)):
        raise OwnError(f"the factory returned no batch: {FORMS}.")
    example = model.example_inputs()
    return example if isinstance(example, Mapping) else (example, None)
