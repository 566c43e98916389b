"""What is switched on and off again, done twice, or shared between layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import keras
import numpy as np
from keras import layers, ops

from models.arrays import Array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

LABELS = np.arange(8) % 3
X = drawn((8, 6), 0)
Model: TypeAlias = keras.Model


def net() -> Model:
    """A small network with running statistics, compiled, the same every time."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, name="first"), layers.BatchNormalization(), layers.Activation("tanh"), layers.Dense(3)]
    )
    model.compile(keras.optimizers.SGD(0.1, 0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return model


def trained(
    prepare: Callable[[Model], object] = lambda model: None, each: Callable[[Model], object] = lambda model: None
) -> list[Array | Tensor]:
    """Weights, statistics and an evaluation after three steps of a network that was prepared; `each` is done before every step."""
    model = net()
    prepare(model)
    for _ in range(3):
        each(model)
        model.train_on_batch(X, LABELS)
    return [*model.get_weights(), model(X)]


def _off_and_on(model: keras.layers.Layer) -> None:
    model.trainable = False
    model.trainable = True


def _recompiled(model: Model) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.trainable = False
    model.compile(keras.optimizers.SGD(0.1, 0.9), loss, run_eagerly=True)
    model.trainable = True
    model.compile(keras.optimizers.SGD(0.1, 0.9), loss, run_eagerly=True)


def toggled() -> Iterator[Ways]:
    """`trainable` and the learning rate switched and switched back, evaluations and predictions between steps, weights got and set."""
    prepared: dict[str, Callable[[Model], object]] = {
        "trainable": _off_and_on,
        "trainable of a layer": lambda model: _off_and_on(model.layers[0]),
        "trainable and compiled": _recompiled,
        "compiled again": lambda model: model.compile(
            keras.optimizers.SGD(0.1, 0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True
        ),
        "a prediction": lambda model: model.predict_on_batch(X),
    }
    between: dict[str, Callable[[Model], object]] = {
        "trainable between steps": _off_and_on,
        "an evaluation between steps": lambda model: model.test_on_batch(X, LABELS),
        "a prediction between steps": lambda model: model.predict_on_batch(X),
        "a call between steps": lambda model: model(X, training=False),
        "weights set": lambda model: model.set_weights(model.get_weights()),
        "learning rate set": lambda model: setattr(model.optimizer, "learning_rate", 0.1),
        "reset_metrics": lambda model: model.reset_metrics(),
    }
    ways: dict[str, Callable[[], object]] = {"never": trained}
    ways |= {name: lambda act=act: trained(act) for name, act in prepared.items()}
    yield Ways("a training", ways | {name: lambda act=act: trained(each=act) for name, act in between.items()})

    def moved(act: Callable[[Model], object]) -> list[float]:
        before = net().get_weights()[0]
        return [float(abs(trained(act)[0] - before).sum() > 0)]

    frozen = {
        "stays": lambda: [0.0],
        "layer": lambda: moved(lambda model: setattr(model.layers[0], "trainable", False)),
        "model": lambda: moved(lambda model: setattr(model, "trainable", False)),
    }
    yield Ways("a frozen weight", frozen)
    yield Ways("a weight that thaws", {"moves": lambda: [1.0], "seen": lambda: moved(lambda model: _off_and_on(model.layers[0]))})

    def counts(model: Model) -> list[int]:
        return [len(model.trainable_weights), len(model.non_trainable_weights), len(model.weights)]

    def frozen_net(act: Callable[[Model], object]) -> list[int]:
        model = net()
        act(model)
        return counts(model)

    yield Ways(
        "trainable weights counted",
        {"by hand": lambda: [0, 8, 8], "frozen": lambda: frozen_net(lambda model: setattr(model, "trainable", False))},
    )
    yield Ways("trainable weights counted again", {"by hand": lambda: [6, 2, 8], "thawed": lambda: frozen_net(_off_and_on)})

    def statistics(training: bool | None, trainable: bool = True) -> list[Tensor]:
        layer = layers.BatchNormalization(momentum=0.5)
        layer.build(X.shape)
        layer.trainable = trainable
        outputs = layer(X, training=training)
        return [outputs, layer.moving_mean]

    inference = {
        "training=False": lambda: statistics(False),
        "left out": lambda: statistics(None),
        "frozen": lambda: statistics(True, False),
    }
    yield Ways("batch normalization in inference", inference)


def twice_is_once() -> Iterator[Ways]:
    """What is idempotent, done once and twice."""
    x = ops.convert_to_tensor(X)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": ops.relu, "relu6": ops.relu6, "hard_tanh": ops.hard_tanh, "clip": lambda t: ops.clip(t, -1.0, 1.0), "abs": ops.abs,
        "stop_gradient": ops.stop_gradient, "sort": ops.sort, "Dropout in inference": layers.Dropout(0.5), "Identity": layers.Identity(),
        "NonNeg": keras.constraints.NonNeg(), "Flatten": layers.Flatten(),
    }  # fmt: skip
    for name, act in functions.items():
        yield Ways(name, {"once": lambda: act(x), "twice": lambda: act(act(x))})
    rounded: dict[str, Callable[[Tensor], Tensor]] = {
        "MaxNorm": keras.constraints.MaxNorm(0.5), "UnitNorm": keras.constraints.UnitNorm(), "UnitNormalization": layers.UnitNormalization(),
        "normalize": lambda t: ops.normalize(t), "MinMaxNorm": keras.constraints.MinMaxNorm(0.1, 0.5),
    }  # fmt: skip
    for name, act in rounded.items():
        yield Ways(name, {"once": lambda: act(x), "twice": lambda: act(act(x))}, 16)

    def built(times: int) -> list[object]:
        keras.utils.set_random_seed(1)
        layer = layers.Dense(4)
        for _ in range(times):
            layer.build((None, 6))
        return [layer(X), len(layer.weights)]

    yield Ways("build, then call", {"call alone": lambda: built(0), "built before": lambda: built(1)})
    loaded = {"once": lambda: _set(1), "twice": lambda: _set(2)}
    yield Ways("set_weights", loaded)


def _set(times: int) -> list[Array]:
    model = net()
    values = [value + 1 for value in model.get_weights()]
    for _ in range(times):
        model.set_weights(values)
    return model.get_weights()


def shared_weights() -> Iterator[Ways]:
    """One layer called twice: its gradient is the sum of two copies', and it is counted, stepped and saved once."""

    def layer() -> keras.layers.Layer:
        made = layers.Dense(6, kernel_initializer=keras.initializers.GlorotUniform(seed=4))
        made.build((None, 6))
        return made

    def gradients(shared: bool) -> list[Tensor]:
        first = layer()
        second = first if shared else layer()
        variables = [*first.weights] if shared else [*first.weights, *second.weights]

        def loss(values: list[Tensor]) -> tuple[Tensor, Tensor]:
            own, other = values[:2], values[-2:]
            hidden, _ = first.stateless_call(own, [], X)
            outputs, _ = second.stateless_call(other, [], ops.tanh(hidden))
            return ops.mean(ops.square(outputs)), outputs

        _, _, slopes = LIBRARY.gradient(loss, [ops.convert_to_tensor(v.value) for v in variables])
        return list(slopes) if shared else [slopes[0] + slopes[2], slopes[1] + slopes[3]]

    yield Ways("gradient", {"two copies": lambda: gradients(False), "one layer twice": lambda: gradients(True)}, 16)

    def functional() -> Model:
        shared, inputs = layer(), keras.Input((6,))
        return keras.Model(inputs, shared(ops.tanh(shared(inputs))))

    class Twice(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one = self.other = layer()

        def call(self, x: Tensor) -> Tensor:
            return self.other(ops.tanh(self.one(x)))

    def called(make: Callable[[], Model]) -> list[object]:
        model = make()
        outputs = model(X)
        return [outputs, len(model.weights), model.count_params()]

    yield Ways(
        "weights, the shared ones once",
        {"functional": lambda: called(functional), "subclassed": lambda: called(Twice), "two and 42": lambda: [functional()(X), 2, 42]},
    )

    def steps(make: Callable[[], Model]) -> list[Array]:
        model = make()
        model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
        for _ in range(2):
            model.train_on_batch(X, X)
        return model.get_weights()

    yield Ways(
        "training",
        {
            "functional": lambda: steps(functional),
            "subclassed": lambda: steps(Twice),
            "cloned": lambda: steps(lambda: _cloned(functional())),
        },
        16,
    )


def _cloned(model: Model) -> Model:
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    return other
