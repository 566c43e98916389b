"""Equalities of this suite's own networks, once more in the words of Keras alone, for scripts that show one: trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from models.backends.keras.promises.defaults import drawn
from models.backends.keras.promises.single_layers import grouped_convolution, pointwise_convolution, stateful_halves, unrolled
from models.backends.ways import Ways

LABELS = np.arange(8) % 3
UNEVEN = 22
"""Samples of which the last batch of 8 is smaller."""
TRAINED = 100
"""How many roundings may part two trainings of three steps: what the reference strays when it sums in another order, doubled."""
Model = Any


def net(optimizer: Any, **given: Any) -> Model:
    """A small smooth network, compiled, the same every time; `given` are arguments of its layers."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, "tanh", **given), layers.Dense(3, **given)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def trained(optimizer: Any, parts: int = 1, copies: int = 1) -> Any:
    """Weights after three steps, each of a batch in `parts` micro-batches, with every sample in it `copies` times."""
    model = net(optimizer)
    for number in range(3):
        x, labels = np.tile(drawn((8, 6), number), (copies, 1)), np.tile(LABELS, copies)
        for some, theirs in zip(np.split(x, parts), np.split(labels, parts), strict=True):
            model.train_on_batch(some, theirs)
    return model.get_weights()


def micro_batches() -> Iterator[Ways]:
    """A batch against its micro-batches, clipped."""
    for name, make in (
        ("adamw with clip=global", lambda **k: keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.1, **k)),
        ("momentum with clip=value", lambda **k: keras.optimizers.SGD(0.1, 0.9, clipvalue=0.02, **k)),
    ):
        ways = {
            "whole": lambda make=make: trained(make()),
            "four parts": lambda make=make: trained(make(gradient_accumulation_steps=4), 4),
        }
        yield Ways(name, ways, TRAINED)


def micro_batches_schedule() -> Iterator[Ways]:
    """The same under a schedule of the learning rate."""
    make = lambda **k: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.02, 1, 0.5), **k)  # noqa: E731
    yield Ways(
        "micro-batches", {"whole": lambda: trained(make()), "parts": lambda: trained(make(gradient_accumulation_steps=4), 4)}, TRAINED
    )


def micro_batches_average() -> Iterator[Ways]:
    """The same of an average of weights."""

    def averaged(parts: int, options: dict[str, Any]) -> Any:
        optimizer = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8, **options)
        model = net(optimizer)
        for number in range(3):
            for some, theirs in zip(np.split(drawn((8, 6), number), parts), np.split(LABELS, parts), strict=True):
                model.train_on_batch(some, theirs)
        optimizer.finalize_variable_values(model.trainable_variables)
        return model.get_weights()

    ways = {"whole": lambda: averaged(1, {}), "parts": lambda: averaged(4, {"gradient_accumulation_steps": 4})}
    yield Ways("micro-batches", ways, TRAINED)


def duplicated_batch() -> Iterator[Ways]:
    """A batch against one in which every sample stands twice."""
    ways = {"once": lambda: trained(keras.optimizers.SGD(0.1, 0.9)), "twice": lambda: trained(keras.optimizers.SGD(0.1, 0.9), 1, 2)}
    yield Ways("momentum with norm=none", ways, TRAINED)


def loss_scaling() -> Iterator[Ways]:
    """A loss as it is against one that is scaled, by an optimizer round another, by a factor, and by both."""
    scaled = lambda optimizer: keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)  # noqa: E731
    for name, clip in (("clip=none", {}), ("clip=global", {"global_clipnorm": 0.1})):
        plain = lambda clip=clip: trained(keras.optimizers.SGD(0.1, **clip))  # noqa: E731
        factor = lambda clip=clip: trained(keras.optimizers.SGD(0.1, loss_scale_factor=8.0, **clip))  # noqa: E731
        both = lambda clip=clip: trained(scaled(keras.optimizers.SGD(0.1, loss_scale_factor=8.0, **clip)))  # noqa: E731
        yield Ways(f"{name} dynamic scale round a fixed factor", {"plain": plain, "scaled": both}, TRAINED)
        yield Ways(
            f"{name} dynamic scale",
            {"plain": plain, "scaled": lambda clip=clip: trained(scaled(keras.optimizers.SGD(0.1, **clip)))},
            TRAINED,
        )
        yield Ways(f"{name} fixed factor", {"plain": plain, "scaled": factor}, TRAINED)


def by_formula(model: Model, x: Any, labels: Any) -> tuple[Any, Any]:
    """Mean cross-entropy and accuracy of what a model says now, in NumPy."""
    logits = np.asarray(ops.convert_to_numpy(model(x)), np.float64)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -logs[np.arange(len(labels)), labels].mean(), (logits.argmax(1) == labels).mean()


def reported(ways_of: Callable[[Model, Any, Any], Any], seen: bool) -> Any:
    """Loss and accuracy of the third of three batches, as the model says it, or by formula, before it steps."""
    model = net(keras.optimizers.SGD(0.5))
    for number in range(2):
        ways_of(model, drawn((8, 6), number), LABELS)
    expected = by_formula(model, drawn((8, 6), 2), LABELS)
    told = ways_of(model, drawn((8, 6), 2), LABELS)
    return list(told) if seen else list(expected)


def reported_train_on_batch() -> Iterator[Ways]:
    """What train_on_batch returns, against the batch's own loss and accuracy."""
    step = lambda model, x, labels: model.train_on_batch(x, labels)  # noqa: E731
    yield Ways("step 2", {"formula": lambda: reported(step, False), "returned": lambda: reported(step, True)}, 20)


def reported_test_on_batch() -> Iterator[Ways]:
    """What test_on_batch returns, against the batch's own loss and accuracy."""
    step = lambda model, x, labels: model.test_on_batch(x, labels)  # noqa: E731
    yield Ways("batch 2", {"formula": lambda: reported(step, False), "returned": lambda: reported(step, True)}, 20)


def fitted(seen: bool) -> Any:
    """Loss and accuracy that fit reports of an epoch in which no weight moves, or by formula."""
    model = net(keras.optimizers.SGD(0.0))
    x, labels = drawn((UNEVEN, 6), 1), np.arange(UNEVEN) % 3
    history = model.fit(x, labels, batch_size=8, verbose=0).history
    return [history["loss"][0], history["accuracy"][0]] if seen else list(by_formula(model, x, labels))


def reported_fit() -> Iterator[Ways]:
    """What fit reports of uneven batches, against the mean over samples."""
    yield Ways("epoch 0", {"formula": lambda: fitted(False), "reported": lambda: fitted(True)}, 20)


def evaluated(seen: bool) -> Any:
    """Loss and accuracy that evaluate reports, or by formula."""
    model = net(keras.optimizers.SGD(0.1))
    x, labels = drawn((UNEVEN, 6), 1), np.arange(UNEVEN) % 3
    return model.evaluate(x, labels, batch_size=8, verbose=0) if seen else list(by_formula(model, x, labels))


def reported_evaluate() -> Iterator[Ways]:
    """What evaluate reports of uneven batches, against the mean over samples."""
    yield Ways("evaluate", {"formula": lambda: evaluated(False), "reported": lambda: evaluated(True)}, 20)


def iterations() -> Iterator[Ways]:
    """Iterations after two epochs of three uneven batches."""

    def counted() -> int:
        model = net(keras.optimizers.SGD(0.1))
        model.fit(drawn((UNEVEN, 6), 1), np.arange(UNEVEN) % 3, batch_size=8, epochs=2, verbose=0)
        return int(ops.convert_to_numpy(model.optimizer.iterations))

    yield Ways("two epochs", {"batches": lambda: 6, "counted": counted})


def steps_per_execution() -> Iterator[Ways]:
    """Several steps in an execution against one, with a remainder."""

    def fit(executions: int) -> Any:
        model = net(keras.optimizers.SGD(0.1, 0.9))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(model.optimizer, loss, metrics=["accuracy"], steps_per_execution=executions)
        history = model.fit(drawn((UNEVEN, 6), 1), np.arange(UNEVEN) % 3, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        return [*model.get_weights(), *history["loss"], int(ops.convert_to_numpy(model.optimizer.iterations))]

    yield Ways("weights", {"one": lambda: fit(1), "four": lambda: fit(4)}, TRAINED)


def penalty_once() -> Iterator[Ways]:
    """The loss with a penalty less the loss without, against the penalty by its formula."""

    def loss(batch: int, given: dict[str, Any]) -> Any:
        return net(keras.optimizers.SGD(0.1), **given).train_on_batch(drawn((batch, 6), 1), np.arange(batch) % 3)[0]

    def kernels(batch: int) -> Any:
        weights = net(keras.optimizers.SGD(0.1)).get_weights()
        return loss(batch, {}) + 0.05 * sum(np.square(w, dtype=np.float64).sum() for w in weights[::2])

    def activities(batch: int) -> Any:
        model = net(keras.optimizers.SGD(0.1))
        hidden = np.asarray(ops.convert_to_numpy(model.layers[0](drawn((batch, 6), 1))), np.float64)
        outputs = np.asarray(ops.convert_to_numpy(model(drawn((batch, 6), 1))), np.float64)
        return loss(batch, {}) + 0.05 * (np.square(hidden).sum() + np.square(outputs).sum()) / batch

    for batch in (5, 50):
        penalized = lambda batch=batch: loss(batch, {"kernel_regularizer": keras.regularizers.L2(0.05)})  # noqa: E731
        active = lambda batch=batch: loss(batch, {"activity_regularizer": keras.regularizers.L2(0.05)})  # noqa: E731
        yield Ways(f"batch {batch} kernel penalty in the loss", {"formula": lambda batch=batch: kernels(batch), "reported": penalized}, 50)
        yield Ways(
            f"batch {batch} activity penalty in the loss", {"formula": lambda batch=batch: activities(batch), "reported": active}, 50
        )


def frozen() -> Iterator[Ways]:
    """A layer that is frozen before or after it is built, against itself after a training."""

    def first(before: bool, steps: int) -> Any:
        keras.utils.set_random_seed(2)
        layer = layers.Dense(8, trainable=not before)
        model = keras.Sequential([keras.Input((6,)), layer, layers.Dense(3)])
        if not before:
            layer.trainable = False
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        for _ in range(steps):
            model.train_on_batch(drawn((8, 6), 1), LABELS)
        return layer.get_weights()

    for when, before in (("before", True), ("after", False)):
        yield Ways(f"frozen {when}", {"begun": lambda b=before: first(b, 0), "trained": lambda b=before: first(b, 3)})


def initializer_shared() -> Iterator[Ways]:
    """An initializer without a seed, asked twice, which must give other numbers."""
    initializer = lambda: keras.initializers.GlorotUniform()  # noqa: E731

    def asked(times: int) -> Any:
        keras.utils.set_random_seed(1)
        made = initializer()
        return [made((8, 8)) for _ in range(times)][-1]

    yield Ways("unseeded", {"first": lambda: asked(1), "second": lambda: asked(2)}, apart=True)


def early_stopping_again() -> Iterator[Ways]:
    """Epochs of a first fit against those of a second under the same callback."""

    def epochs(fits: int) -> int:
        stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=2)
        lasted = 0
        for _ in range(fits):
            model = net(keras.optimizers.SGD(0.01))
            lasted = len(model.fit(drawn((8, 6), 1), LABELS, epochs=12, verbose=0, callbacks=[stopping]).epoch)
        return lasted

    yield Ways("epochs of the second fit", {"first": lambda: epochs(1), "second": lambda: epochs(2)})


def extreme_gradients() -> Iterator[Ways]:
    """A step with gradients whose squares overflow, clipped together, against the step of their length."""

    def step(size: float) -> Any:
        variable = keras.Variable(np.zeros(4, np.float32))
        optimizer = keras.optimizers.SGD(1.0, global_clipnorm=0.5)
        optimizer.apply([ops.convert_to_tensor(np.full(4, size, np.float32))], [variable])
        return variable

    yield Ways("clip=global gradient 1e+30", {"1": lambda: step(1.0), "1e+30": lambda: step(1e30)}, 10)


def confidently_wrong() -> Iterator[Ways]:
    """The step of a softmax layer that is far off, against softmax less the label."""

    def moved(gap: float) -> Any:
        layer = layers.Dense(3, "softmax")
        model = keras.Sequential([keras.Input((1,)), layer])
        layer.set_weights([np.zeros((1, 3), np.float32), np.array([gap, 0.0, -gap], np.float32)])
        model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
        model.train_on_batch(np.zeros((1, 1), np.float32), np.array([2]))
        return layer.get_weights()[1]

    def formula(gap: float) -> Any:
        logits = np.array([gap, 0.0, -gap])
        return logits - np.exp(logits) / np.exp(logits).sum() + np.array([0.0, 0.0, 1.0])

    for gap in (5.0, 30.0):
        yield Ways(f"logit gap {gap:g}", {"formula": lambda gap=gap: formula(gap), "step": lambda gap=gap: moved(gap)}, 50)


RELATIONS = {
    cases.__name__: cases
    for cases in (
        micro_batches, micro_batches_schedule, micro_batches_average, duplicated_batch, loss_scaling, reported_train_on_batch,
        reported_test_on_batch, reported_fit, reported_evaluate, iterations, steps_per_execution, penalty_once, frozen, initializer_shared,
        early_stopping_again, extreme_gradients, confidently_wrong, unrolled, stateful_halves, grouped_convolution, pointwise_convolution,
    )
}  # fmt: skip
