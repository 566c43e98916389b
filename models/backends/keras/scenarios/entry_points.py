"""Entry points as users call them: how long each takes, how often it is traced, and what memory it keeps."""

from __future__ import annotations

import gc
import importlib
import weakref
from collections.abc import Callable

import keras
from keras import ops

from models.arrays import Array, Arrays, Batch, Labels
from models.backends.call_cost import clock, growth, resident
from models.backends.keras.device import device_memory, drain
from models.backends.keras.layers import array
from models.backends.keras.libraries import Tensor
from models.backends.keras.model import Model, optimizer_of
from models.spec import Spec


class Counted(keras.layers.Layer):
    """Hands its input on and counts how often Python came by: once a trace in a compiled step, every time in an eager one."""

    times = 0

    def call(self, x: Tensor) -> Tensor:
        """The input."""
        Counted.times += 1
        return x

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return shape


def _entries(model: keras.Model, x: Batch, labels: Labels) -> dict[str, Callable[[], object]]:
    return {
        "train_on_batch": lambda: model.train_on_batch(x, labels),
        "test_on_batch": lambda: model.test_on_batch(x, labels),
        "predict_on_batch": lambda: model.predict_on_batch(x),
        "fit": lambda: model.fit(x, labels, batch_size=len(x), verbose=0),
        "evaluate": lambda: model.evaluate(x, labels, batch_size=len(x), verbose=0),
        "predict": lambda: model.predict(x, batch_size=len(x), verbose=0),
    }


def _counted(spec: Spec, weights: Arrays) -> keras.Model:
    built = Model(spec, weights)
    built.model = keras.Model(built.model.inputs[0], Counted()(built.model.outputs[0]))
    return built.compile(optimizer_of(spec))


def entry_points(
    *, spec: str, weights: Arrays, x: Batch, labels: Labels, entries: list[str], batches: list[int], calls: int
) -> dict[str, list[dict[str, float]]]:
    """By entry, batch after batch: seconds of the first and of the fastest later call, traces in the first and in all later calls.

    Each entry has a model of its own, which sees the batch sizes one after the other.
    """
    described = Spec.parse(spec)
    seen: dict[str, list[dict[str, float]]] = {}
    for entry in (name for name in _entries(None, x, labels) if name in entries):
        model = _counted(described, weights)
        for batch in batches:
            call = _entries(model, x[:batch], labels[:batch])[entry]
            Counted.times = 0
            first, first_traces = clock(call, drain), Counted.times
            Counted.times = 0
            later = min(clock(call, drain) for _ in range(calls))
            traces = {"first_traces": first_traces, "later_traces": Counted.times}
            seen.setdefault(entry, []).append({"first": first, "later": later, **traces})
    return seen


def called(*, x: Batch, kernel: Array, built_before: bool) -> dict[str, Array]:
    """What a model whose `call` is a tf.function answers to x (batch × units): alone, in a tf.function, and in one compiled by XLA.

    Its only layer is built before or at the first call, and set to `kernel` (units × outputs) after that.
    """
    function = importlib.import_module("tensorflow").function

    class Wrapped(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = keras.layers.Dense(kernel.shape[1], use_bias=False)
            if built_before:
                self.layer.build(x.shape)

        @function
        def call(self, inputs: Tensor) -> Tensor:
            return self.layer(inputs)

    model = Wrapped()
    model(x)
    model.layer.kernel.assign(kernel)
    inputs = ops.convert_to_tensor(x)
    ways = {"alone": model, "in a function": function(model.__call__), "in a jit function": function(model.__call__, jit_compile=True)}
    return {way: array(call(inputs)) for way, call in ways.items()}


def memory(*, spec: str, weights: Arrays, x: Batch, labels: Labels, entries: list[str], warm_up: int, calls: int) -> dict[str, float]:
    """Bytes by which the process grew over `calls` calls of each of `entries` that there is, after `warm_up` calls."""
    model = _counted(Spec.parse(spec), weights)
    return growth(_entries(model, x, labels), entries, warm_up, calls, device_memory)


def dropped(*, spec: str, weights: Arrays, x: Batch, labels: Labels, models: int, steps: int, warm_up: int) -> dict[str, float]:
    """Build, compile and train `models` networks for `steps` steps, dropping each: how many stay alive, and bytes grown after `warm_up`."""
    described = Spec.parse(spec)
    alive, before = [], 0
    for number in range(models):
        if number == warm_up:
            before = resident(device_memory)
        model = _counted(described, weights)
        for _ in range(steps):
            model.train_on_batch(x, labels)
        alive.append(weakref.ref(model))
    del model
    keras.backend.clear_session()
    gc.collect()
    return {"alive": float(sum(each() is not None for each in alive)), "grown": float(resident(device_memory) - before)}
