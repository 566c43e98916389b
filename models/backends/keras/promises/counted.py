"""How `fit`, `evaluate` and `predict` go through data: every sample once, counted right, weighted right, shuffled by the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.ways import Ways

SAMPLES, BATCH = 10, 4
"""Two whole batches and one of two samples."""
X = np.arange(1.0, SAMPLES + 1, dtype=np.float32)[:, None]
Y = np.zeros((SAMPLES, 1), np.float32)
WEIGHTS = np.array([1, 0, 2, 0.5, 3, 1, 1, 0.25, 4, 0], np.float32)
LABELS = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 0])
CLASS_WEIGHT = {0: 1.0, 1: 0.0, 2: 3.0}
"""A class of which nothing may be left."""
Fitted = tuple[Array, Array, int, "keras.Variable | Array"]
"""By epoch the loss, numbers of epochs, iterations counted, and the weight reached."""


class Batches(keras.utils.PyDataset):
    """The samples as a dataset with a length."""

    def __init__(self, *arrays: Array) -> None:
        """Arrays of one length."""
        super().__init__()
        self.arrays = arrays

    def __len__(self) -> int:
        """How many batches."""
        return -(-SAMPLES // BATCH)

    def __getitem__(self, number: int) -> tuple[Array, ...]:
        """The batch of this number."""
        return tuple(each[number * BATCH : (number + 1) * BATCH] for each in self.arrays)


def _generator(*arrays: Array, rounds: int = 1) -> Iterator[tuple[Array, ...]]:
    for _ in range(rounds):
        for number in range(-(-SAMPLES // BATCH)):
            yield tuple(each[number * BATCH : (number + 1) * BATCH] for each in arrays)


class Model(keras.Model):
    """Hands one number on, times a weight that begins at 1, without being built before it is trained."""

    def __init__(self) -> None:
        """One Dense layer without bias."""
        super().__init__()
        self.layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")

    def call(self, x: Tensor) -> Tensor:
        """The product."""
        return self.layer(x)


def _model(rate: float = 0.0, built: bool = True, **given: object) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]) if built else Model()
    # A step that is not compiled takes a tenth of the time that tracing one would; what is compiled counts by the same code.
    options = {"run_eagerly": built and "steps_per_execution" not in given} | given
    model.compile(keras.optimizers.SGD(rate), loss="mse", **options)
    return model


def _fitted(model: keras.Model, *given: object, **options: object) -> Fitted:
    history = model.fit(*given, **{"verbose": 0, "shuffle": False} | options)
    return (
        np.asarray(history.history["loss"], np.float64),
        np.asarray(history.epoch),
        int(np.array(model.optimizer.iterations)),
        model.weights[0],
    )


def _by_hand(rate: float, epochs: int, batches: list[slice], weights: Array | None = None) -> Fitted:
    """The same by NumPy: a loss is the mean over samples of w² x² at the weights each batch met; weights weigh within a batch."""
    w, losses = 1.0, []
    weight = np.ones(SAMPLES) if weights is None else np.asarray(weights, np.float64)
    squares = np.square(X[:, 0].astype(np.float64))
    for _ in range(epochs):
        seen = []
        for place in batches:
            mean = float(np.mean(weight[place] * squares[place]))
            seen.append((w * w * mean, len(squares[place])))
            w -= rate * 2 * w * mean
        losses.append(sum(loss * count for loss, count in seen) / sum(count for _, count in seen))
    return np.asarray(losses), np.arange(epochs), epochs * len(batches), np.array([[w]])


PLACES = [slice(first, min(first + BATCH, SAMPLES)) for first in range(0, SAMPLES, BATCH)]
RATE = 1e-3
SEVERAL_AT_ONCE = keras.backend.backend() != "torch"
"""Whether several steps can be compiled into one."""
SUMS = 64
"""How many roundings part float32 sums over ten samples and six steps from the same in float64."""


def counted() -> Iterator[Ways]:
    """Losses by epoch, epochs, iterations and weights of `fit` by every way of giving it data, and what evaluate and predict say."""
    data: dict[str, Callable[[], object]] = {
        "arrays": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, epochs=2),
        "a model not built": lambda: _fitted(_model(RATE, built=False), X, Y, batch_size=BATCH, epochs=2),
        "PyDataset": lambda: _fitted(_model(RATE), Batches(X, Y), epochs=2),
        "a generator": lambda: _fitted(_model(RATE), _generator(X, Y, rounds=2), steps_per_epoch=3, epochs=2),
        "a generator for a model not built": lambda: _fitted(
            _model(RATE, built=False), _generator(X, Y, rounds=2), steps_per_epoch=3, epochs=2
        ),
        "steps_per_epoch of all": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, epochs=2, steps_per_epoch=3),
        "sample_weight of one": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, epochs=2, sample_weight=np.ones(SAMPLES, np.float32)),
        "class_weight of one": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, epochs=2, class_weight={0: 1.0}),
        "compiled": lambda: _fitted(_model(RATE, run_eagerly=False), X, Y, batch_size=BATCH, epochs=2),
        "two fits": lambda: _two_fits(),
    }
    if SEVERAL_AT_ONCE:
        data["steps_per_execution"] = lambda: _fitted(_model(RATE, steps_per_execution=3), X, Y, batch_size=BATCH, epochs=2)
    yield Ways("fit", {"by hand": lambda: _by_hand(RATE, 2, PLACES)} | data, SUMS)
    one = {"by hand": lambda: _by_hand(RATE, 3, [slice(0, SAMPLES)]), "whole batch": lambda: _fitted(_model(RATE), X, Y, batch_size=SAMPLES, epochs=3), "larger than the data": lambda: _fitted(_model(RATE), X, Y, batch_size=99, epochs=3), "default batch_size": lambda: _fitted(_model(RATE), X, Y, epochs=3)}  # fmt: skip
    yield Ways("fit batch_size", one, SUMS)
    fewer = {"by hand": lambda: _by_hand(RATE, 1, PLACES[:2]), "arrays": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, steps_per_epoch=2), "PyDataset": lambda: _fitted(_model(RATE), Batches(X, Y), steps_per_epoch=2)}  # fmt: skip
    yield Ways("fit steps_per_epoch", fewer, SUMS)
    weighted = {
        "by hand": lambda: _by_hand(RATE, 2, PLACES, WEIGHTS),
        "sample_weight": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, epochs=2, sample_weight=WEIGHTS),
        "in a PyDataset": lambda: _fitted(_model(RATE), Batches(X, Y, WEIGHTS), epochs=2),
        "in a generator": lambda: _fitted(_model(RATE), _generator(X, Y, WEIGHTS, rounds=2), steps_per_epoch=3, epochs=2),
    }
    yield Ways("fit sample_weight", weighted, SUMS)

    def later() -> Fitted:
        losses, epochs, steps, weight = _by_hand(RATE, 2, PLACES)
        return losses, epochs + 3, steps, weight

    yield Ways(
        "fit initial_epoch",
        {"by hand": later, "seen": lambda: _fitted(_model(RATE), X, Y, batch_size=BATCH, initial_epoch=3, epochs=5)},
        SUMS,
    )
    yield Ways("fit validation_freq", {"by hand": lambda: [2, 4.0], "seen": _validated_every_second}, SUMS)
    split = {"by hand": lambda: [(X[:8] ** 2).mean(), (X[8:] ** 2).mean()], "validation_split": lambda: _validated(validation_split=0.2), "validation_data": lambda: _validated(first=8, validation_data=(X[8:], Y[8:]))}  # fmt: skip
    yield Ways("fit validation_split", split, SUMS)
    yield from _class_weighted()
    yield from _evaluated()


def _two_fits() -> Fitted:
    model = _model(RATE)
    first = _fitted(model, X, Y, batch_size=BATCH)
    second = _fitted(model, X, Y, batch_size=BATCH, initial_epoch=1, epochs=2)
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]]), *second[2:]


def _validated_every_second() -> list[object]:
    history = _model().fit(X, Y, epochs=4, verbose=0, validation_data=(X[:1] * 2, Y[:1]), validation_freq=2).history["val_loss"]
    return [len(history), history[-1]]


def _validated(first: int = SAMPLES, **given: object) -> list[object]:
    history = _model().fit(X[:first], Y[:first], batch_size=BATCH, verbose=0, **given).history
    return [history["loss"][0], history["val_loss"][0]]


def _class_weighted() -> Iterator[Ways]:
    targets = np.eye(3, dtype=np.float32)[LABELS]
    by_sample = np.array([CLASS_WEIGHT[int(label)] for label in LABELS], np.float32)
    x = np.random.default_rng(1).standard_normal((SAMPLES, 4)).astype(np.float32)

    def trained(loss: str, y: Array, **given: object) -> list[object]:
        initial = keras.initializers.GlorotUniform(seed=1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer=initial)])
        model.compile(keras.optimizers.SGD(0.1), loss=loss)
        if given.pop("on_batch", False):
            model.train_on_batch(x, y, **given)
        else:
            model.fit(x, y, batch_size=SAMPLES, verbose=0, shuffle=False, **given)
        return list(model.weights)

    sparse = "sparse_categorical_crossentropy"
    yield Ways("class_weight", {
        "sample_weight": lambda: trained(sparse, LABELS, sample_weight=by_sample),
        "class_weight": lambda: trained(sparse, LABELS, class_weight=CLASS_WEIGHT),
        "class_weight of one-hot targets": lambda: trained("categorical_crossentropy", targets, class_weight=CLASS_WEIGHT),
        "train_on_batch class_weight": lambda: trained(sparse, LABELS, class_weight=CLASS_WEIGHT, on_batch=True),
        "train_on_batch sample_weight": lambda: trained(sparse, LABELS, sample_weight=by_sample, on_batch=True),
        "labels in a column": lambda: trained(sparse, LABELS[:, None], class_weight=CLASS_WEIGHT),
    }, SUMS)  # fmt: skip


def _evaluated() -> Iterator[Ways]:
    squares = np.square(X[:, 0].astype(np.float64))
    model = _model()
    yield Ways("evaluate", {
        "by hand": lambda: squares.mean(), "arrays": lambda: model.evaluate(X, Y, batch_size=BATCH, verbose=0),
        "one batch": lambda: model.evaluate(X, Y, verbose=0), "PyDataset": lambda: model.evaluate(Batches(X, Y), verbose=0),
        "a generator": lambda: model.evaluate(_generator(X, Y), steps=3, verbose=0),
        "return_dict": lambda: model.evaluate(X, Y, batch_size=BATCH, verbose=0, return_dict=True)["loss"],
        "not built": lambda: _model(built=False).evaluate(X, Y, batch_size=BATCH, verbose=0),
    }, SUMS)  # fmt: skip
    yield Ways(
        "evaluate steps",
        {"by hand": lambda: squares[:8].mean(), "seen": lambda: model.evaluate(X, Y, batch_size=BATCH, steps=2, verbose=0)},
        SUMS,
    )
    means = sum(float(np.mean(WEIGHTS[p] * squares[p])) * len(squares[p]) for p in PLACES) / SAMPLES
    yield Ways(
        "evaluate sample_weight",
        {"by hand": lambda: means, "seen": lambda: model.evaluate(X, Y, batch_size=BATCH, sample_weight=WEIGHTS, verbose=0)},
        SUMS,
    )
    yield Ways("predict", {
        "by hand": lambda: X, "arrays": lambda: model.predict(X, batch_size=BATCH, verbose=0), "one batch": lambda: model.predict(X, verbose=0),
        "PyDataset": lambda: model.predict(Batches(X), verbose=0), "a generator": lambda: model.predict(_generator(X), steps=3, verbose=0),
        "call": lambda: model(X), "predict_on_batch": lambda: model.predict_on_batch(X), "not built": lambda: _model(built=False).predict(X, batch_size=BATCH, verbose=0),
    })  # fmt: skip
    yield Ways("predict steps", {"by hand": lambda: X[:8], "seen": lambda: model.predict(X, batch_size=BATCH, steps=2, verbose=0)})


def _shown(seed: int, epochs: int = 1, **given: object) -> Array:
    """The order in which `fit` shows the samples: each batch of one moves the weight by its number."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, x: ops.sum(x, axis=-1), run_eagerly=True)
    moved: list[float] = []

    class Noted(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            moved.append(float(np.asarray(self.model.get_weights()[0]).item()))

    model.fit(X, X, batch_size=1, epochs=epochs, verbose=0, callbacks=[Noted()], **given)
    return -np.diff([0.0, *moved])


def shuffled() -> Iterator[Ways]:
    """The order in which `fit` shows samples: by the global seed, another one every epoch, as given without shuffling."""
    for seed in (0, 1, 2**31 - 1):
        yield Ways(f"fit shuffle seed {seed}", {"set": lambda: _shown(seed), "set again": lambda: _shown(seed)})
    yield Ways("fit shuffle differs from seed 0", {"seed 0": lambda: _shown(0), "seed 1": lambda: _shown(1)}, apart=True)
    yield Ways(
        "fit shuffle epoch after epoch", {"first": lambda: _shown(0, 2)[:SAMPLES], "second": lambda: _shown(0, 2)[SAMPLES:]}, apart=True
    )
    yield Ways("fit shuffle shows every sample once", {"all": lambda: X[:, 0], "shown": lambda: np.sort(_shown(0))})
    yield Ways("fit shuffle=False", {"given": lambda: np.tile(X[:, 0], 2), "shown": lambda: _shown(0, 2, shuffle=False)})
