"""One training in all the ways in which users write it: `fit`, `train_on_batch`, a loop of their own; compiled or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers, ops

from models.arrays import Array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.promises.defaults import OPTIMIZERS, drawn, stepped
from models.backends.ways import Ways

SUMS = 64
"""How many roundings may part three steps that are compiled from three that are not."""
BATCH, STEPS = 8, 3
X = drawn((BATCH * STEPS, 6), 0)
LABELS = np.arange(BATCH * STEPS) % 3
Kind = type[keras.optimizers.Optimizer]


def _net() -> keras.Model:
    initial = [keras.initializers.GlorotUniform(seed=seed) for seed in (1, 2)]
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(6, "tanh", kernel_initializer=initial[0]), layers.Dense(3, kernel_initializer=initial[1])]
    )


def _optimizer() -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(0.1, 0.9)


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _compiled(**given: object) -> keras.Model:
    model = _net()
    model.compile(**{"optimizer": _optimizer(), "loss": _loss()} | given)
    return model


def _batches() -> Iterator[tuple[Array, Array]]:
    for number in range(STEPS):
        place = slice(number * BATCH, (number + 1) * BATCH)
        yield X[place], LABELS[place]


def _fit(model: keras.Model, **given: object) -> list[Array]:
    model.fit(X, LABELS, batch_size=BATCH, shuffle=False, verbose=0, **given)
    return model.get_weights()


def _on_batches(model: keras.Model) -> list[Array]:
    for x, y in _batches():
        model.train_on_batch(x, y)
    return model.get_weights()


def _own_loop(apply: Callable[[keras.optimizers.Optimizer, list[Tensor], list[keras.Variable]], None]) -> list[Array]:
    """Gradients through stateless_call, and the optimizer applied to them."""
    model, optimizer, loss = _net(), _optimizer(), _loss()
    optimizer.build(model.trainable_variables)
    for x, y in _batches():

        def valued(values: list[Tensor], x: Array = x, y: Array = y) -> tuple[Tensor, Tensor]:
            outputs, _ = model.stateless_call(values, [], x)
            return loss(y, outputs), outputs

        _, _, slopes = LIBRARY.gradient(valued, [ops.convert_to_tensor(v.value) for v in model.trainable_variables])
        apply(optimizer, slopes, model.trainable_variables)
    return model.get_weights()


def _stateless(optimizer: keras.optimizers.Optimizer, slopes: list[Tensor], variables: list[keras.Variable]) -> None:
    values, state = optimizer.stateless_apply([v.value for v in optimizer.variables], slopes, [v.value for v in variables])
    pairs = (
        zip([*optimizer.variables, *variables], [*state, *values], strict=True)
        if len(state) == len(optimizer.variables)
        else zip([*variables, *optimizer.variables], [*values, *state], strict=True)
    )
    for variable, value in pairs:
        variable.assign(value)


class Own(keras.Model):
    """A model whose train_step is the documented one, written out."""

    def train_step(self, *given: object) -> object:
        """What the trainer would do."""
        return super().train_step(*given)


def _subclassed() -> list[Array]:
    made = _net()
    model = Own(made.inputs, made.outputs)
    model.compile(_optimizer(), _loss())
    return _fit(model)


def ways_of_training() -> Iterator[Ways]:
    """The same three steps by every entry point; optimizers by every way of applying gradients."""
    library = keras.backend.backend()
    others: dict[str, Callable[[], object]] = {}
    if library != "tensorflow":
        others["own loop, stateless_apply"] = lambda: _own_loop(_stateless)
    if library != "torch":  # which compiles for minutes, and refuses several steps at once
        others["fit jit_compile"] = lambda: _fit(_compiled(jit_compile=True))
        others["fit steps_per_execution"] = lambda: _fit(_compiled(steps_per_execution=2))
    yield Ways("training", {
        "train_on_batch eager": lambda: _on_batches(_compiled(run_eagerly=True)),
        "train_on_batch": lambda: _on_batches(_compiled()),
        "fit": lambda: _fit(_compiled()),
        "fit eager": lambda: _fit(_compiled(run_eagerly=True)),
        "own loop, apply": lambda: _own_loop(lambda optimizer, slopes, variables: optimizer.apply(slopes, variables)),
        "own loop, apply_gradients": lambda: _own_loop(lambda optimizer, slopes, variables: optimizer.apply_gradients(zip(slopes, variables, strict=True))),
        "own train_step": _subclassed,
        "auto_scale_loss off": lambda: _fit(_compiled(auto_scale_loss=False)),
    } | others, SUMS)  # fmt: skip
    yield from _of_optimizers(("SGD", "Adam", "RMSprop"))


def ways_of_training_with_every_optimizer() -> Iterator[Ways]:
    """Every optimizer from its name, its configuration, with a rate set later, a schedule that stays, and a loss scale."""
    yield from _of_optimizers(tuple(OPTIMIZERS))


def _of_optimizers(names: tuple[str, ...]) -> Iterator[Ways]:
    for name in names:
        kind = getattr(keras.optimizers, name)
        again = lambda: kind.from_config(kind(0.01).get_config())  # noqa: E731
        deserialized = lambda: keras.optimizers.deserialize(keras.optimizers.serialize(kind(0.01)))  # noqa: E731
        scheduled = lambda: kind(keras.optimizers.schedules.ExponentialDecay(0.01, 10, 1.0))  # noqa: E731

        def set_later(kind: Kind = kind) -> keras.optimizers.Optimizer:
            made = kind(0.5)
            made.learning_rate = 0.01
            return made

        yield Ways(f"optimizer {name}", {
            "object": lambda: stepped(lambda: kind(0.01), 3), "from_config": lambda: stepped(again, 3), "deserialized": lambda: stepped(deserialized, 3),
            "learning_rate set": lambda: stepped(set_later, 3), "a constant schedule": lambda: stepped(scheduled, 3), "by its name": lambda: stepped(lambda: _named(name), 3),
            "loss scale factor": lambda: stepped(lambda: _scaled(kind), 3),
        }, 2)  # fmt: skip


class _Scaled:
    """An optimizer with a loss scale, given gradients of the scaled loss."""

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.optimizer, self.build = optimizer, optimizer.build

    def apply(self, gradients: list[Tensor], variables: list[keras.Variable]) -> None:
        self.optimizer.apply([gradient * 8.0 for gradient in gradients], variables)


def _scaled(kind: Kind) -> _Scaled:
    return _Scaled(kind(0.01, loss_scale_factor=8.0))


def _named(name: str) -> keras.optimizers.Optimizer:
    made = keras.optimizers.get(name.lower())
    made.learning_rate = 0.01
    return made
