"""Callbacks: what they do, at which epochs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from models.backends.ways import Ways

X = np.ones((4, 1), np.float32)
LOSSES = [5.0, 3.0, 4.0, 4.0, 2.0, 2.5, 2.5, 2.5]
"""What is monitored, epoch after epoch."""


class Monitored(keras.callbacks.Callback):
    """Puts a loss of ours into the logs that later callbacks see, and notes the learning rate and the weight of every epoch."""

    def __init__(self) -> None:
        """Nothing noted."""
        super().__init__()
        self.rates: list[float] = []
        self.weights: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Another loss than was seen."""
        self.rates.append(float(np.asarray(ops.convert_to_numpy(self.model.optimizer.learning_rate))))
        self.weights.append(float(self.model.get_weights()[0].item()))
        assert logs is not None, "fit gives the logs that later callbacks read"
        logs["watched"] = LOSSES[epoch]


def _fitted(*callbacks: keras.callbacks.Callback, **given: object) -> tuple[keras.Model, Monitored, keras.callbacks.History]:
    """A weight that loses 1 · rate an epoch from 0 on, and what was noted."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, x: ops.sum(x, axis=-1), run_eagerly=True)
    noted = Monitored()
    history = model.fit(X, X, batch_size=4, verbose=0, callbacks=[noted, *callbacks], **{"epochs": len(LOSSES)} | given)
    return model, noted, history


def callbacks() -> Iterator[Ways]:
    """Early stopping, plateaus, schedules, checkpoints, logs and histories, with the monitored loss given."""

    def stopped(**given: object) -> list[object]:
        model, noted, _ = _fitted(keras.callbacks.EarlyStopping("watched", **{"mode": "min"} | given))
        return [len(noted.weights), model.get_weights()[0].item()]

    yield Ways("EarlyStopping patience", {"by hand": lambda: [8, -8.0], "seen": lambda: stopped(patience=3)})
    yield Ways("EarlyStopping patience of 2", {"by hand": lambda: [4, -4.0], "seen": lambda: stopped(patience=2)})
    yield Ways(
        "EarlyStopping restore_best_weights", {"by hand": lambda: [4, -2.0], "seen": lambda: stopped(patience=2, restore_best_weights=True)}
    )
    yield Ways("EarlyStopping start_from_epoch", {"by hand": lambda: [7, -7.0], "seen": lambda: stopped(patience=2, start_from_epoch=4)})
    yield Ways("EarlyStopping min_delta", {"by hand": lambda: [3, -3.0], "seen": lambda: stopped(patience=2, min_delta=3.0)})

    def reduced(**given: object) -> list[object]:
        _, noted, _ = _fitted(keras.callbacks.ReduceLROnPlateau("watched", factor=0.5, patience=2, mode="min", **given))
        return noted.rates

    yield Ways("ReduceLROnPlateau", {"by hand": lambda: [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25], "seen": lambda: reduced()})
    yield Ways("ReduceLROnPlateau min_lr", {"by hand": lambda: [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.4], "seen": lambda: reduced(min_lr=0.4)}, 1)
    yield Ways("ReduceLROnPlateau cooldown", {"by hand": lambda: [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5], "seen": lambda: reduced(cooldown=3)})

    def scheduled() -> list[object]:
        _, noted, _ = _fitted(keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else 0.25), epochs=4)
        return [noted.rates, noted.weights]

    yield Ways(
        "LearningRateScheduler",
        {"by hand": lambda: [[0.25, 0.125, 0.0625, 0.03125], [-0.25, -0.375, -0.4375, -0.46875]], "seen": scheduled},
    )

    def kept(**given: object) -> list[object]:
        with tempfile.TemporaryDirectory() as folder:
            _fitted(
                keras.callbacks.ModelCheckpoint(
                    str(Path(folder) / "{epoch:02d}.weights.h5"), "watched", save_weights_only=True, mode="min", **given
                )
            )
            return [int(path.name[:2]) for path in sorted(Path(folder).iterdir())]

    yield Ways("ModelCheckpoint", {"by hand": lambda: list(range(1, 9)), "seen": lambda: [*kept()]})
    yield Ways("ModelCheckpoint save_best_only", {"by hand": lambda: [1, 2, 5], "seen": lambda: [*kept(save_best_only=True)]})
    yield Ways(
        "ModelCheckpoint initial_value_threshold",
        {"by hand": lambda: [5], "seen": lambda: [*kept(save_best_only=True, initial_value_threshold=3.0)]},
    )

    def logged() -> list[object]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.csv"
            _, _, history = _fitted(keras.callbacks.CSVLogger(str(path)), epochs=3)
            lines = path.read_text(encoding="utf-8").splitlines()
            column = lines[0].split(",").index("loss")
            return [len(lines) - 1, [float(line.split(",")[column]) for line in lines[1:]], history.history["loss"]]

    yield Ways("CSVLogger and History", {"by hand": lambda: [3, [0.0, -1.0, -2.0], [0.0, -1.0, -2.0]], "seen": logged})

    def ended() -> list[object]:
        broken = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        history = model.fit(X * np.nan, X, epochs=5, verbose=0, callbacks=[broken, keras.callbacks.TerminateOnNaN()])
        return [len(history.epoch)]

    yield Ways("TerminateOnNaN", {"by hand": lambda: [1], "seen": ended})

    def called() -> list[object]:
        seen: list[str] = []
        names = ("train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end", "train_end")
        note = keras.callbacks.LambdaCallback(**{f"on_{name}": lambda *given, name=name, **logs: seen.append(name) for name in names})
        _fitted(note, epochs=2)
        return [names.index(name) for name in seen]

    yield Ways("LambdaCallback", {"by hand": lambda: [0, 1, 2, 3, 4, 1, 2, 3, 4, 5], "seen": called})

    def swapped() -> list[object]:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
        model.compile(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), loss=lambda y, x: ops.sum(x, axis=-1), run_eagerly=True)
        model.fit(X, X, batch_size=4, epochs=3, verbose=0, callbacks=[keras.callbacks.SwapEMAWeights()])
        return [model.get_weights()[0].item()]

    yield Ways("SwapEMAWeights", {"no swap": lambda: [-3.0], "seen": swapped}, apart=True)
