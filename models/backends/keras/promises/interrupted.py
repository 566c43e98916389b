"""Models and trainings that are saved, loaded into fresh objects and go on: all as if they had not been interrupted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import OPTIMIZERS, drawn
from models.backends.ways import Ways

USUAL = ("SGD momentum", "Adam", "a schedule", "an average", "accumulation", "a loss scale")
"""Optimizers whose state a core run saves."""
MakeOptimizer = Callable[[], keras.optimizers.Optimizer]
Through = Callable[[keras.Model, MakeOptimizer, str], keras.Model]
"""Takes a compiled model through an interruption, by files in a folder; what goes on is compiled with such an optimizer."""


def net(dropout: float = 0.0) -> keras.Model:
    """A small network with running statistics and a seeded dropout, the same every time."""
    initial = [keras.initializers.GlorotUniform(seed=seed) for seed in (1, 2)]
    return keras.Sequential([
        keras.Input((6,)), layers.Dense(8, kernel_initializer=initial[0]), layers.BatchNormalization(), layers.Dropout(dropout, seed=5),
        layers.Activation("relu"), layers.Dense(3, kernel_initializer=initial[1]),
    ])  # fmt: skip


def _compiled(model: keras.Model, optimizer: MakeOptimizer) -> keras.Model:
    model.compile(optimizer(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return model


def _step(model: keras.Model, number: int) -> None:
    """Statistics move by a pass, weights by given gradients, which is quicker than a training step that is not compiled."""
    model(drawn((8, 6), number), training=True)
    gradients = [drawn(tuple(v.shape), 10 * number + k) for k, v in enumerate(model.trainable_variables)]
    model.optimizer.apply([ops.convert_to_tensor(g) for g in gradients], model.trainable_variables)


def _path(folder: str, name: str) -> str:
    return str(Path(folder) / name)


def _saved(model: keras.Model, optimizer: MakeOptimizer, folder: str) -> keras.Model:
    model.save(_path(folder, "model.keras"))
    return keras.models.load_model(_path(folder, "model.keras"))


def _weights_saved(model: keras.Model, optimizer: MakeOptimizer, folder: str) -> keras.Model:
    """Weights by file into a fresh model; the optimizer's own by save_own_variables' documented way, its variables."""
    model.save_weights(_path(folder, "model.weights.h5"))
    fresh = _compiled(net(), optimizer)
    fresh.optimizer.build(fresh.trainable_variables)
    fresh.load_weights(_path(folder, "model.weights.h5"))
    return fresh


def _set(model: keras.Model, optimizer: MakeOptimizer, folder: str) -> keras.Model:
    """Every variable by hand: weights, statistics, the dropout's state, the optimizer's slots."""
    fresh = _compiled(net(model.layers[2].rate), optimizer)
    fresh.optimizer.build(fresh.trainable_variables)
    for own, other in zip(fresh.variables, model.variables, strict=True):
        own.assign(other)
    for own, other in zip(fresh.optimizer.variables, model.optimizer.variables, strict=True):
        own.assign(other)
    return fresh


def _trained(optimizer: MakeOptimizer, through: Through | None) -> list[object]:
    model = _compiled(net(), optimizer)
    for number in range(3):
        _step(model, number)
    if through:
        with tempfile.TemporaryDirectory() as folder:
            model = through(model, optimizer, folder)
        keras.random.normal((3,))
    for number in range(3, 6):
        _step(model, number)
    return [*model.get_weights(), int(np.array(model.optimizer.iterations)), *model.optimizer.variables]


def _dropped(through: Through | None) -> Tensor:
    """What a dropout of its own seed lets through after the interruption."""
    model = _compiled(net(0.5), keras.optimizers.SGD)
    model(drawn((8, 6), 0), training=True)
    if through:
        with tempfile.TemporaryDirectory() as folder:
            model = through(model, keras.optimizers.SGD, folder)
    return model(drawn((8, 6), 1), training=True)


def _optimizers() -> dict[str, MakeOptimizer]:
    schedule = lambda: keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)  # noqa: E731
    made: dict[str, MakeOptimizer] = {name: lambda name=name: getattr(keras.optimizers, name)(0.01) for name in OPTIMIZERS}
    return made | {
        "SGD momentum": lambda: keras.optimizers.SGD(0.05, 0.9, nesterov=True),
        "RMSprop centered": lambda: keras.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
        "Adam amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
        "a schedule": lambda: keras.optimizers.SGD(schedule(), 0.9),
        "an average": lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8),
        "an average that overwrites": lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2),
        "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
        "a loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=8.0, dynamic_growth_steps=2),
        "weight decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
        "clipping": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.1),
    }


def saved_and_loaded_with_every_optimizer() -> Iterator[Ways]:
    """All other optimizers, each saved whole and by its variables."""
    yield from _of_optimizers(tuple(name for name in _optimizers() if name not in USUAL))


def _of_optimizers(names: tuple[str, ...]) -> Iterator[Ways]:
    for name in names:
        optimizer = _optimizers()[name]
        ways: dict[str, Through | None] = {"not interrupted": None, "save": _saved, "variables": _set}
        if name in ("SGD momentum", "Adam", "a schedule"):
            ways["save_weights"] = _weights_saved
        yield Ways(f"training with {name}", {way: lambda through=through: _trained(optimizer, through) for way, through in ways.items()})


def saved_and_loaded() -> Iterator[Ways]:
    """The usual optimizers with batch norm; the whole model saved, weights alone, variables set; a dropout; then models without training."""
    yield from _of_optimizers(USUAL)
    yield Ways("training with dropout", {"not interrupted": lambda: _dropped(None), "variables": lambda: _dropped(_set)})
    x = drawn((8, 6), 1)

    def through(act: Callable[[keras.Model, str], keras.Model]) -> list[object]:
        model = _compiled(net(), lambda: keras.optimizers.SGD(0.1))
        _step(model, 0)
        with tempfile.TemporaryDirectory() as folder:
            other = act(model, folder)
            return [*other.get_weights(), other(x)]

    def weighted(other: keras.Model, model: keras.Model) -> keras.Model:
        other.set_weights(model.get_weights())
        return other

    def by_weights(model: keras.Model, folder: str) -> keras.Model:
        model.save_weights(_path(folder, "a.weights.h5"))
        other = net()
        other.load_weights(_path(folder, "a.weights.h5"))
        return other

    def by_checkpoint(model: keras.Model, folder: str) -> keras.Model:
        keep = keras.callbacks.ModelCheckpoint(_path(folder, "b.keras"))
        keep.set_model(model)
        keep.on_epoch_end(0, {})
        return keras.models.load_model(_path(folder, "b.keras"))

    yield Ways("model", {
        "itself": lambda: through(lambda model, folder: model),
        "save": lambda: through(lambda model, folder: _saved(model, lambda: None, folder)),
        "save_weights": lambda: through(by_weights),
        "get_weights": lambda: through(lambda model, folder: weighted(net(), model)),
        "clone_model": lambda: through(lambda model, folder: weighted(keras.models.clone_model(model), model)),
        "to_json": lambda: through(lambda model, folder: weighted(keras.models.model_from_json(model.to_json()), model)),
        "get_config": lambda: through(lambda model, folder: weighted(keras.Sequential.from_config(model.get_config()), model)),
        "ModelCheckpoint": lambda: through(by_checkpoint),
    })  # fmt: skip
