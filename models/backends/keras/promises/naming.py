"""Parts by name, as class, as object, as function and from their configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import keras
import numpy as np
from keras import layers

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import drawn, layer_pass, stepped
from models.backends.ways import Ways

X, LABELS = drawn((8, 6), 0), np.arange(8) % 3
INITIALIZERS = {
    "glorot_uniform": "GlorotUniform", "glorot_normal": "GlorotNormal", "he_normal": "HeNormal", "he_uniform": "HeUniform", "lecun_normal": "LecunNormal",
    "lecun_uniform": "LecunUniform", "random_normal": "RandomNormal", "random_uniform": "RandomUniform", "truncated_normal": "TruncatedNormal",
    "orthogonal": "Orthogonal", "zeros": "Zeros", "ones": "Ones", "variance_scaling": "VarianceScaling",
}  # fmt: skip
REGULARIZERS = {"l1": "L1", "l2": "L2", "L1L2": "L1L2", "orthogonal_regularizer": "OrthogonalRegularizer"}
CONSTRAINTS = {"max_norm": "MaxNorm", "non_neg": "NonNeg", "unit_norm": "UnitNorm", "min_max_norm": "MinMaxNorm"}

Make = Callable[[], object]
"""A part in one of the forms that Keras takes: name, class, object, function, configuration."""


def _kernel(initializer: Make) -> keras.Variable:
    """What an initializer without seed draws, made after the global seed was set."""
    keras.utils.set_random_seed(1)
    layer = layers.Dense(4, kernel_initializer=initializer())
    layer.build((None, 6))
    return layer.kernel


def _penalty(regularizer: object) -> Tensor:
    layer = layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1), kernel_regularizer=regularizer)
    layer.build((None, 6))
    return layer.losses[0]


def _constrained(constraint: object) -> Tensor:
    return keras.constraints.get(constraint)(3 * X)


def _configured(module: ModuleType, made: object) -> object:
    return module.deserialize(module.serialize(made))


def ways_of_naming() -> Iterator[Ways]:
    """Initializers, regularizers, constraints and everything that `compile` takes."""
    for name, kind_name in INITIALIZERS.items():
        kind = getattr(keras.initializers, kind_name)
        forms: dict[str, Make] = {
            "object": kind,
            "name": lambda: name,
            "class name": lambda: kind_name,
            "class": lambda: kind,
            "config": lambda: {"class_name": kind_name, "config": {}},
            "get": lambda: keras.initializers.get(name),
        }
        yield Ways(f"initializer {name}", {form: lambda each=each: _kernel(each) for form, each in forms.items()})
    for name, kind_name in REGULARIZERS.items():
        kind = getattr(keras.regularizers, kind_name)
        forms = {
            "object": kind,
            "name": lambda: name,
            "get": lambda: keras.regularizers.get(name),
            "deserialized": lambda: _configured(keras.regularizers, kind()),
            "function": lambda: lambda w, kind=kind: kind()(w),
        }
        yield Ways(f"regularizer {name}", {form: lambda each=each: _penalty(each()) for form, each in forms.items()})
    for name, kind_name in CONSTRAINTS.items():
        kind = getattr(keras.constraints, kind_name)
        forms = {
            "object": kind,
            "name": lambda: name,
            "get": lambda: keras.constraints.get(name),
            "deserialized": lambda: _configured(keras.constraints, kind()),
        }
        yield Ways(f"constraint {name}", {form: lambda each=each: _constrained(each()) for form, each in forms.items()})
    yield from _compiled()
    for name, make in {
        "Dense": lambda: layers.Dense(4, "relu", kernel_initializer=keras.initializers.HeNormal(seed=1)),
        "LSTM": lambda: layers.LSTM(
            4, kernel_initializer=keras.initializers.HeNormal(seed=1), recurrent_initializer=keras.initializers.Orthogonal(seed=2)
        ),
    }.items():
        shape = (5, 6) if name == "Dense" else (5, 3, 6)
        kind = getattr(layers, name)
        yield Ways(f"layer {name}", {
            "object": lambda: layer_pass(make, shape), "from_config": lambda: layer_pass(lambda: kind.from_config(make().get_config()), shape),
            "deserialized": lambda: layer_pass(lambda: layers.deserialize(layers.serialize(make())), shape),
        })  # fmt: skip


def _compiled() -> Iterator[Ways]:
    def trained(optimizer: object = "sgd", loss: object = "sparse_categorical_crossentropy", metrics: object = None) -> list[Array | float]:
        initial = keras.initializers.GlorotUniform(seed=1)
        model = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax", kernel_initializer=initial)])
        model.compile(optimizer, loss, metrics=metrics, run_eagerly=True)
        told = model.train_on_batch(X, LABELS, return_dict=True)
        return [*model.get_weights(), *(told[name] for name in sorted(told))]

    losses = {
        "object": lambda: keras.losses.SparseCategoricalCrossentropy(), "name": lambda: "sparse_categorical_crossentropy", "class name": lambda: "SparseCategoricalCrossentropy",
        "function": lambda: keras.losses.sparse_categorical_crossentropy, "own function": lambda: lambda y, x: keras.losses.sparse_categorical_crossentropy(y, x),
        "get": lambda: keras.losses.get("sparse_categorical_crossentropy"), "deserialized": lambda: _configured(keras.losses, keras.losses.SparseCategoricalCrossentropy()),
        "list": lambda: ["sparse_categorical_crossentropy"],
    }  # fmt: skip
    yield Ways("compile loss", {form: lambda each=each: trained(loss=each()) for form, each in losses.items()}, 16)
    for name in ("SGD", "Adam", "RMSprop", "AdamW", "Nadam", "Adagrad"):
        kind = getattr(keras.optimizers, name)
        forms: dict[str, Make] = {
            "object": kind,
            "name": lambda: name.lower(),
            "class name": lambda: name,
            "config": lambda: {"class_name": name, "config": {}},
            "deserialized": lambda: _configured(keras.optimizers, kind()),
        }
        yield Ways(f"compile optimizer {name}", {form: lambda each=each: trained(optimizer=each()) for form, each in forms.items()})
        yield Ways(f"optimizer {name}", {"object": lambda: stepped(kind, 2), "get": lambda: stepped(lambda: keras.optimizers.get(name), 2)})
    accuracies = {
        "object": lambda: keras.metrics.SparseCategoricalAccuracy(), "accuracy": lambda: "accuracy", "acc": lambda: "acc", "name": lambda: "sparse_categorical_accuracy",
        "class name": lambda: "SparseCategoricalAccuracy", "function": lambda: keras.metrics.sparse_categorical_accuracy,
    }  # fmt: skip

    def measured(metric: object) -> list[float]:
        told = trained(metrics=[metric])
        return sorted(float(value) for value in told[2:])

    yield Ways("compile metrics", {form: lambda each=each: [measured(each())] for form, each in accuracies.items()})
    crossed = {
        "object": lambda: keras.metrics.SparseCategoricalCrossentropy(),
        "name": lambda: "sparse_categorical_crossentropy",
        "function": lambda: keras.losses.sparse_categorical_crossentropy,
    }
    yield Ways("compile metrics crossentropy", {form: lambda each=each: [measured(each())] for form, each in crossed.items()}, 16)
