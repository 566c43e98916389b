"""keras.applications' network of a pair: built as its row says, with given weights, in float32 and as float64 twin on TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from models.arrays import Array, Arrays
from models.backends.keras.layers import array
from models.backends.keras.own.network import OwnModelOfKeras
from models.backends.keras.own.twins import tensorflow as twin
from models.backends.keras.own.watched import named
from models.backends.keras.precision import compute_as_configured
from models.own.address import OwnModel
from models.own.aligned import CLASSES, Aligned, Setting, known_row
from models.own.carried import CONVOLUTION, DENSE, DEPTHWISE, NORM, SCALE, WeightedLayer, images
from models.own.decisions import Decisions
from models.own.gauge import OwnError
from models.own.loading import Home
from models.own.passes import OwnPass

KINDS = {
    "Conv2D": CONVOLUTION, "DepthwiseConv2D": DEPTHWISE, "Dense": DENSE, "BatchNormalization": NORM, "LayerNormalization": NORM,
    "LayerScale": SCALE,
}  # fmt: skip
ROLES = {
    "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias", "moving_mean": "mean", "moving_variance": "variance",
}  # fmt: skip
"""Keras's attributes of a layer that hold its parameters and statistics, and their roles."""


class Model:
    """The network of one row in Keras."""

    def __init__(self, model: OwnModel, seed: int, device: str) -> None:
        """Build it untrained. Raises OwnError."""
        compute_as_configured()
        self.row = known_row(model.attribute)
        self._home = Home(model, lambda *_: lambda: made(self.row, seed))
        self._own = OwnModelOfKeras(self._home, seed)
        self._twin: OwnModelOfKeras | None = None
        self._tape: list[twin.Entry] = []
        self._sizes: list[tuple[int, int]] = []
        self._decided = Decisions()

    def layers(self) -> list[WeightedLayer]:
        """Layers with weights in the order in which they are executed."""
        return [self._layer(layer) for layer in _each(self._own.model) if layer.trainable_variables]

    def load(self, weights: Arrays) -> None:
        """Begin with these parameters and running statistics."""
        for variable in self._own.model.variables:
            if (name := self._own.name(variable)) in weights:
                variable.assign(weights[name])
        self._own.keep()

    def run(self) -> None:
        """One pass forward and backward, operation by operation."""
        self._own.backward(twin.differentiate)

    def observe(self) -> tuple[OwnPass, Decisions]:
        """The float32 pass with what it decides."""
        operations = Windows(padded=self.row.padded)
        with operations.inside():
            seen = self._own.backward(twin.differentiate, watch=True)
        self._tape, self._sizes, self._decided = operations.tape, operations.sizes, operations.decided
        with twin.float64_by_default():
            self._twin = OwnModelOfKeras(self._home, self._own.seed, twin_of=self._own)
        return seen, operations.decided

    def exact(self, decided: Decisions | None, rounded: int | None = None) -> OwnPass:
        """The float64 pass, with its own decisions or another framework's, rounded as float32 rounds where `rounded` seeds the errors."""
        assert self._twin is not None, "a network is observed before its twin is asked for"
        tape = self._tape if decided is None or not decided.fit(self._decided) else given(self._tape, self._sizes, decided, self.row.padded)
        with twin.float64_by_default(), twin.Operations(tape, rounded).inside():
            return self._twin.backward(twin.differentiate, watch=True)

    def entering(self, name: str, decided: Decisions | None) -> Array:
        """What enters a layer in the float64 pass."""
        entered: list[Array] = []
        call = keras.layers.Layer.__call__

        def watched(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
            if self._name(layer) == name and args and isinstance(args[0], tf.Tensor):
                entered.append(array(args[0]))
            return call(layer, *args, **kwargs)

        with mock.patch.object(keras.layers.Layer, "__call__", watched):
            self.exact(decided)
        return entered[0]

    def loss_at(self, moved: Mapping[str, Array]) -> float:
        """The float64 loss with some parameters moved, kinks where they then are."""
        assert self._twin is not None, "a network is observed before its twin is asked for"
        with twin.float64_by_default():
            return self._twin.loss_at(moved)

    def _name(self, layer: keras.layers.Layer) -> str:
        return named(layer.path or layer.name, self._own.model.name)

    def _layer(self, layer: keras.layers.Layer) -> WeightedLayer:
        held = {name: getattr(layer, name, None) for name in ROLES}
        numbers = {ROLES[name]: v for name, v in held.items() if isinstance(v, keras.Variable)}
        names = {role: self._own.name(v) for role, v in numbers.items()}
        shapes = {role: [int(n) for n in v.shape] for role, v in numbers.items()}
        attributes = {name: getattr(layer, name) for name in ("padding", "groups", "epsilon", "momentum") if hasattr(layer, name)}
        attributes |= {"stride": list(layer.strides)} if hasattr(layer, "strides") else {}
        within = getattr(getattr(layer, "activation", None), "__name__", "linear")
        kind = KINDS.get(type(layer).__name__, type(layer).__name__)
        return WeightedLayer(self._name(layer), kind, names, shapes, False, attributes | ({} if within == "linear" else {"within": within}))


def made(row: Aligned, seed: int) -> dict[str, Any]:
    """The network as its row says, its loss and its images."""
    build = getattr(keras.applications, row.keras)
    size = (row.pixels, row.pixels, 3)
    model = build(weights=None, input_shape=size, classes=CLASSES, classifier_activation=None, **row.keras_options)
    for setting in row.settings:
        if setting.framework == "keras":
            _set(model, row, setting)
    x, labels = images(row, seed, CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "loss": loss, "batch": (np.ascontiguousarray(x.transpose(0, 2, 3, 1)) * np.float32(row.scale), labels)}


def _set(model: keras.Model, row: Aligned, setting: Setting) -> None:
    chosen = [each for each in _each(model) if type(each).__name__ == setting.layers or re.fullmatch(setting.layers, each.name)]
    if not chosen or not all(hasattr(layer, attribute) for layer in chosen for attribute in setting.values):
        raise OwnError(f"aligned:{row.name}: Keras has no {setting.layers} with {', '.join(setting.values)}.")
    for layer in chosen:
        for attribute, value in setting.values.items():
            setattr(layer, attribute, value)


def _each(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers in the order of execution, those of models within as well."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _each(layer)
        else:
            yield layer


class Windows(twin.Operations):
    """Records decisions, also in the form that both frameworks read."""

    def __init__(self, padded: int) -> None:
        """Begin with an empty tape; `padded` pixels stand around an image of which maxima are taken."""
        super().__init__()
        self.decided, self._padded = Decisions(), padded
        self.sizes: list[tuple[int, int]] = []

    def _decided(self, operation: str, inputs: tuple[Any, ...], tensors: list[Any]) -> list[Any]:
        if operation in ("ReluGrad", "Relu6Grad"):
            x = inputs[1].numpy()
            side = np.where(x > 0, 1, -1) if operation == "ReluGrad" else (x >= 6).astype(int) - (x <= 0)
            self.decided.sides.append(_first(side.astype(np.int8)))
        found = super()._decided(operation, inputs, tensors)
        if operation == "MaxPoolGrad":
            height, width, channels = inputs[0].shape[1:]
            self.sizes.append((height, width))
            places = self.tape[-1][1][0].numpy() // channels
            rows, columns = np.divmod(places % (height * width), width)
            inside = [np.clip(each - self._padded, 0, size - 2 * self._padded - 1) for each, size in ((rows, height), (columns, width))]
            self.decided.largest.append(np.stack([_first(each) for each in inside]).astype(np.int32))
        return found


def given(tape: list[twin.Entry], sizes: list[tuple[int, int]], decided: Decisions, padded: int) -> list[twin.Entry]:
    """The same tape with another framework's decisions; `sizes` are those of the padded images that maxima are taken over."""
    sides, largest, found = iter(decided.sides), zip(decided.largest, sizes, strict=True), []
    for operation, kept in tape:
        if operation in ("ReluGrad", "Relu6Grad"):
            side = _last(next(sides), kept[0].shape)
            kept = [tf.constant(side > 0 if operation == "ReluGrad" else side == 0)]
        elif operation == "MaxPoolGrad":
            kept = [_places(kept[0], *next(largest), padded)]
        found.append((operation, kept))
    return found


def _places(own: Any, largest: Array, size: tuple[int, int], padded: int) -> Any:
    """Rows and columns of maxima as TensorFlow numbers them: by image, row, column and channel."""
    rows, columns = (_last(each, own.shape) + padded for each in largest)
    place = (np.arange(own.shape[0]).reshape(-1, 1, 1, 1) * size[0] + rows) * size[1] + columns
    return tf.constant(place * own.shape[-1] + np.arange(own.shape[-1]), own.dtype)


def _first(x: Array) -> Array:
    """Channels first, without axes of one pixel."""
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


def _last(x: Array, shape: Any) -> Array:
    """Channels last, in a shape."""
    return (x.transpose(0, 2, 3, 1) if x.ndim == 4 else x).reshape(shape)
