"""The twin of a Keras model on JAX: the operations that JAX traces of the float32 model, each computed in float64."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np

from models.arrays import Array
from models.backends.keras.libraries import Side, Tensor
from models.backends.keras.own.twins.jax_operations import Value
from models.backends.keras.own.twins.jax_program import Run, Tape, traced

REBUILT = False
TAKES_ALL = True
"""A program that was traced takes them all."""


@jax.custom_vjp
def _tapped(x: Tensor, zero: Tensor) -> Tensor:
    """x itself; `zero` receives the gradient at x, and no operation is added."""
    return x


_tapped.defvjp(lambda x, zero: (x, None), lambda _, g: (g, g))


class Operations:
    """One pass: recorded in float32 or, `replays`, computed in float64."""

    def __init__(
        self, tape: Tape | None = None, rounded: int | None = None, held: list[Value] | None = None, replays: bool = False
    ) -> None:
        """`rounded` seeds the errors of a replay; `held` are stopped values of another pass."""
        self.tape = Tape() if tape is None else tape
        self.counts_near = False
        self.authors: dict[str, str] | None = None
        self._run = Run(self.tape, replays=replays, rounds=rounded, held=held)
        self._replays = replays

    @property
    def stopped(self) -> list[Value]:
        """Values whose gradient the model stops."""
        return self._run.stopped

    @property
    def half(self) -> str:
        """The first operation that computed in less than float32."""
        return self.tape.half

    @property
    def near(self) -> int:
        """How many decisions rounding could turn."""
        return self._run.near

    @contextlib.contextmanager
    def inside(self) -> Iterator[Operations]:
        """Operations are this pass's where it computes them itself."""
        yield self

    def differentiate(
        self, loss_of: Callable[..., tuple[Tensor, Side]], values: list[Tensor]
    ) -> tuple[Tensor, Side, list[Tensor | None], dict[str, Tensor]]:
        """Value, side results and gradients of variables and of every tapped layer, by reverse mode."""
        shapes: dict[str, jax.ShapeDtypeStruct] = {}

        def noted(name: str, tensor: Tensor) -> Tensor:
            shapes[name] = jax.ShapeDtypeStruct(tensor.shape, tensor.dtype)
            return tensor

        loss = jax.eval_shape(lambda at: loss_of(at, noted)[0], values)
        if loss.shape:
            return jnp.zeros(loss.shape), ({}, [], {}), [None] * len(values), {}  # type: ignore[return-value]  # it is refused by its shape

        def with_taps(at: list[Tensor], zeros: dict[str, Tensor]) -> tuple[Tensor, Side]:
            return loss_of(at, lambda name, tensor: _tapped(tensor, zeros[name]))

        zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        if self.tape.program is None:
            self.tape.program = traced(jax.value_and_grad(with_taps, (0, 1), has_aux=True), values, zeros)
        (value, side), (slopes, deltas) = self._run.of(self.tape.program, [*values, *zeros.values()])
        return value, side, slopes, deltas

    def evaluate(self, function: Callable[[list[Tensor]], Side], values: Iterable[Array]) -> Side:
        """The function of tensors."""
        values = list(values)
        narrow = [np.asarray(value, np.float32) if value.dtype == np.float64 else value for value in values]
        program = self.tape.program or traced(function, [jnp.asarray(value) for value in narrow])
        if not self._replays:
            self.tape.program = program
        self._run.authors = self.authors
        return self._run.of(program, values if self._replays else narrow)


recording = Operations
"""A float32 pass whose decisions and draws are kept."""
replay = partial(Operations, replays=True)
"""The pass of a tape in float64."""
draws = attrgetter("draws")
"""Whether any number of a tape is random."""


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """Nothing is built anew: the float32 model's own operations are run in float64."""
    yield


def surrogates(run: Callable[[Operations], object]) -> dict[str, str]:
    """Functions of the user's that are flat or change nothing, by name."""
    operations = Operations()
    operations.authors = {}
    run(operations)
    return operations.authors
