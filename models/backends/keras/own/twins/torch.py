"""The twin of a Keras model on PyTorch: built again in float64, its operations those of a PyTorch module's twin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter

import keras
import torch
from torch import Tensor

from models.arrays import Array
from models.backends.keras.libraries import Side
from models.backends.keras.own.twins.float64 import float64_by_default as by_default
from models.backends.torch.own.functions import surrogates as by_their_authors
from models.backends.torch.own.stopped import Stopped
from models.backends.torch.own.tape import Recorder, Tape
from models.backends.torch.own.twin import TwinMode, wide

REBUILT = True
TAKES_ALL = True
"""A value that could be learned tells what the model stops."""


class Operations:
    """One pass: recorded in float32 or, `replays`, computed in float64."""

    def __init__(
        self, tape: Tape | None = None, rounded: int | None = None, held: list[Tensor] | None = None, replays: bool = False
    ) -> None:
        """`rounded` seeds the errors of a replay; `held` are stopped values of another pass."""
        self._recorder = Recorder()
        self.tape: Tape = self._recorder.tape if tape is None else tape
        self.stopped: list[Tensor] = []
        self.counts_near = False
        self._replays, self._rounded, self._held = replays, rounded, held
        self._given = tape
        self._twin: TwinMode | None = None

    @property
    def half(self) -> str:
        """The first operation that computed in less than float32."""
        return next(iter(self.tape.half), "")

    @property
    def near(self) -> int:
        """How many decisions rounding could turn."""
        return self._twin.near if self._twin is not None else 0

    @contextlib.contextmanager
    def inside(self) -> Iterator[Operations]:
        """Operations in here pass through this object."""
        if not self._replays:
            with self._recorder:
                yield self
            return
        with wide(self._given, self._rounded) as self._twin:
            yield self

    def differentiate(
        self, loss_of: Callable[..., tuple[Tensor, Side]], values: list[Tensor]
    ) -> tuple[Tensor, Side, list[Tensor | None], dict[str, Tensor]]:
        """Value, side results and gradients of variables and of every tapped layer, by autograd."""
        tapped: dict[str, Tensor] = {}
        at = [value.detach().requires_grad_() for value in values]

        def tap(name: str, tensor: Tensor) -> Tensor:
            if tensor.requires_grad:
                tapped[name] = tensor
            return tensor

        loss, side = loss_of(at, tap)
        if loss.dim() or not loss.requires_grad:
            return loss, side, [None] * len(at), {}
        slopes = torch.autograd.grad(loss, [*at, *tapped.values()], allow_unused=True)
        return loss.detach(), side, list(slopes[: len(at)]), dict(zip(tapped, slopes[len(at) :], strict=True))

    def evaluate(self, function: Callable[[list[Tensor]], Side], values: Iterable[Array]) -> Side:
        """The function of tensors that could be learned, with stopped values kept or held."""
        place = keras.src.backend.torch.core.get_device()
        with Stopped(self._held) as stopped:
            out = function([torch.tensor(value, device=place, requires_grad=True) for value in values])
        self.stopped = stopped.held
        return out


recording = Operations
"""A float32 pass whose decisions and draws are kept."""
replay = partial(Operations, replays=True)
"""A pass of the model that was built in float64."""
draws = attrgetter("draws")
"""Whether any number of a tape is random."""


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """What is built in here is built in float64, on the CPU."""
    with by_default(), keras.device("cpu"):
        yield


def surrogates(run: Callable[[Operations], object]) -> dict[str, str]:
    """Functions of the user's that are flat or change nothing, by name."""
    with by_their_authors() as found:
        run(Operations())
    return found
