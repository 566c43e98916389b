"""One network in all the ways in which users write it: Sequential, functional, subclassed; with merges as layers and as operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
from keras import layers, ops

from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

SUMS = 64
"""How many roundings may part sums over a batch of eight and six units, forth and back, in another order."""
X = drawn((8, 6), 0)
Merge = Callable[[Tensor, Tensor], Tensor]
Forward = Callable[[keras.Model, Tensor], Tensor]


def _dense(number: int, units: int, **given: object) -> keras.layers.Layer:
    return layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=number), **given)


def _sequential() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), _dense(1, 6), layers.LayerNormalization(), layers.Activation("tanh"), _dense(2, 3)])


def _added() -> keras.Model:
    model = keras.Sequential()
    for layer in (_dense(1, 6), layers.LayerNormalization(), layers.Activation("tanh"), _dense(2, 3)):
        model.add(layer)
    return model


def _functional() -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, _dense(2, 3)(ops.tanh(layers.LayerNormalization()(_dense(1, 6)(inputs)))))


def _nested() -> keras.Model:
    inputs = keras.Input((6,))
    inner = keras.Sequential([_dense(1, 6), layers.LayerNormalization()])
    return keras.Model(inputs, _dense(2, 3)(layers.Activation("tanh")(inner(inputs))))


class Subclassed(keras.Model):
    """The network as a class, built at its first call."""

    def __init__(self) -> None:
        """Three layers."""
        super().__init__()
        self.first, self.norm, self.last = _dense(1, 6), layers.LayerNormalization(), _dense(2, 3)

    def call(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.last(ops.tanh(self.norm(self.first(x))))


class Block(keras.layers.Layer):
    """A layer of layers."""

    def __init__(self) -> None:
        """Two layers."""
        super().__init__()
        self.first, self.norm = _dense(1, 6), layers.LayerNormalization()

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Both."""
        self.first.build(shape)
        self.norm.build(shape)

    def call(self, x: Tensor) -> Tensor:
        """Up to the activation."""
        return ops.tanh(self.norm(self.first(x)))


def _passed(make: Callable[[], keras.Model], forward: Forward | None = None) -> list[Tensor]:
    """Outputs of a network, and the gradients of their mean square with respect to its weights, through stateless_call."""
    model, x = make(), ops.convert_to_tensor(X)
    model(x)
    outputs = (forward or (lambda network, given: network(given)))(model, x)

    def loss(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        seen, _ = model.stateless_call(values, [v.value for v in model.non_trainable_variables], x)
        return ops.mean(ops.square(seen)), seen

    _, _, slopes = LIBRARY.gradient(loss, [ops.convert_to_tensor(v.value) for v in model.trainable_variables])
    return [outputs, *slopes]


def ways_of_writing_networks() -> Iterator[Ways]:
    """Sequential, functional, nested, subclassed, cloned; then residual networks by every form of the sum."""
    makes: dict[str, Callable[[], keras.Model]] = {
        "Sequential": _sequential, "add": _added, "functional": _functional, "nested": _nested, "subclassed": Subclassed,
        "a layer of layers": lambda: keras.Sequential([Block(), _dense(2, 3)]),
        "from_config": lambda: keras.Sequential.from_config(_sequential().get_config()),
        "clone_model": lambda: keras.models.clone_model(_sequential()),
        "functional from_config": lambda: keras.Model.from_config(_functional().get_config()),
    }  # fmt: skip
    ways: dict[str, Callable[[], object]] = {name: lambda make=make: _passed(make) for name, make in makes.items()}
    calls: dict[str, Forward] = {
        "training=False": lambda network, x: network(x, training=False),
        "call": lambda network, x: network.call(x),
        "predict_on_batch": lambda network, x: network.predict_on_batch(X),
        "layer by layer": lambda network, x: _one_by_one(network, x),
    }
    yield Ways("network", ways | {name: lambda use=use: _passed(_sequential, use) for name, use in calls.items()}, SUMS)
    sums: dict[str, Merge] = {
        "+": lambda x, y: x + y, "layers.Add": lambda x, y: layers.Add()([x, y]), "layers.add": lambda x, y: layers.add([x, y]), "ops.add": ops.add,
    }  # fmt: skip

    def residual(merge: Merge) -> keras.Model:
        inputs = keras.Input((6,))
        x = inputs
        for number in range(3):
            x = merge(x, ops.tanh(_dense(number, 6)(x)))
        return keras.Model(inputs, x)

    class Residual(keras.Model):
        def __init__(self, merge: Merge) -> None:
            super().__init__()
            self.merge, self.blocks = merge, [_dense(number, 6) for number in range(3)]

        def call(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = self.merge(x, ops.tanh(block(x)))
            return x

    ways = {name: lambda merge=merge: _passed(lambda: residual(merge)) for name, merge in sums.items()}
    subclassed = {f"{name} subclassed": lambda merge=merge: _passed(lambda: Residual(merge)) for name, merge in list(sums.items())[:2]}
    yield Ways("residual network", ways | subclassed, SUMS)
    yield Ways("Dense with its activation", {
        "Activation after": lambda: _passed(lambda: _activated("after")), "argument": lambda: _passed(lambda: _activated("argument")),
        "ops": lambda: _passed(lambda: _activated("ops")), "layer ReLU": lambda: _passed(lambda: _activated("layer")),
    }, SUMS)  # fmt: skip


def _one_by_one(network: keras.Model, x: Tensor) -> Tensor:
    for layer in network.layers:
        x = layer(x)
    return x


def _activated(how: str) -> keras.Model:
    inputs = x = keras.Input((6,))
    for number in range(2):
        if how == "argument":
            x = _dense(number, 6, activation="relu")(x)
            continue
        x = _dense(number, 6)(x)
        x = ops.relu(x) if how == "ops" else layers.ReLU()(x) if how == "layer" else layers.Activation("relu")(x)
    return keras.Model(inputs, x)
