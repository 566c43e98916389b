"""Metrics over uneven batches, with weights, merged and reset, by their formulas over all samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

SAMPLES = 10
WEIGHTS = np.array([1, 0, 2, 0.5, 3, 1, 1, 0.25, 4, 2], np.float32)
NUMBERS, OTHERS = drawn((SAMPLES, 4), 1), drawn((SAMPLES, 4), 2)
CHANCES = (np.exp(NUMBERS) / np.exp(NUMBERS).sum(1, keepdims=True)).astype(np.float32)
LABELS = np.arange(SAMPLES) % 4
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
MARKS = (OTHERS[:, :1] > 0).astype(np.float32)
GUESSES = (1 / (1 + np.exp(-NUMBERS[:, :1]))).astype(np.float32)
PLACES = (slice(0, 4), slice(4, 8), slice(8, 10))
SUMS = 64
"""How many roundings part float32 sums over ten samples from the same in float64."""
Data = tuple[Array | None, Array]
Value = Callable[[Array], float]
"""A metric from weights of samples."""


def _mean(values: Array) -> Value:
    return lambda weights: float((np.ravel(values) * weights).sum() / weights.sum())


def _counted(numerator: Array, denominator: Array) -> Value:
    return lambda weights: float((np.ravel(numerator) * weights).sum() / (np.ravel(denominator) * weights).sum())


def _double(values: Array) -> Array:
    return np.asarray(values, np.float64)


def _top(k: int) -> Array:
    return np.array([float(label in np.argsort(-row)[:k]) for row, label in zip(CHANCES, LABELS, strict=True)])


X, Y, P = _double(NUMBERS), _double(OTHERS), _double(CHANCES)
G, M = _double(GUESSES)[:, 0], _double(MARKS)[:, 0]
POSITIVE = G > 0.5
METRICS: dict[str, tuple[Callable[[], keras.metrics.Metric], Data, Value]] = {
    "Mean": (lambda: keras.metrics.Mean(), (None, NUMBERS[:, 0]), _mean(X[:, 0])),
    "Sum": (lambda: keras.metrics.Sum(), (None, NUMBERS[:, 0]), lambda w: (X[:, 0] * w).sum()),
    "MeanSquaredError": (lambda: keras.metrics.MeanSquaredError(), (OTHERS, NUMBERS), _mean(np.square(X - Y).mean(1))),
    "MeanAbsoluteError": (lambda: keras.metrics.MeanAbsoluteError(), (OTHERS, NUMBERS), _mean(abs(X - Y).mean(1))),
    "RootMeanSquaredError": (lambda: keras.metrics.RootMeanSquaredError(), (OTHERS[:, 0], NUMBERS[:, 0]), lambda w: np.sqrt(_mean(np.square(X - Y)[:, 0])(w))),
    "Accuracy": (lambda: keras.metrics.Accuracy(), (LABELS, np.argmax(CHANCES, 1)), _mean(P.argmax(1) == LABELS)),
    "SparseCategoricalAccuracy": (lambda: keras.metrics.SparseCategoricalAccuracy(), (LABELS, CHANCES), _mean(P.argmax(1) == LABELS)),
    "CategoricalAccuracy": (lambda: keras.metrics.CategoricalAccuracy(), (ONE_HOT, CHANCES), _mean(P.argmax(1) == LABELS)),
    "BinaryAccuracy": (lambda: keras.metrics.BinaryAccuracy(), (MARKS, GUESSES), _mean(POSITIVE == M)),
    "TopKCategoricalAccuracy": (lambda: keras.metrics.TopKCategoricalAccuracy(2), (ONE_HOT, CHANCES), _mean(_top(2))),
    "SparseTopKCategoricalAccuracy": (lambda: keras.metrics.SparseTopKCategoricalAccuracy(2), (LABELS, CHANCES), _mean(_top(2))),
    "SparseCategoricalCrossentropy": (lambda: keras.metrics.SparseCategoricalCrossentropy(), (LABELS, CHANCES), _mean(-np.log(P[np.arange(SAMPLES), LABELS]))),
    "CategoricalCrossentropy": (lambda: keras.metrics.CategoricalCrossentropy(), (ONE_HOT, CHANCES), _mean(-np.log(P[np.arange(SAMPLES), LABELS]))),
    "BinaryCrossentropy": (lambda: keras.metrics.BinaryCrossentropy(), (MARKS, GUESSES), _mean(-M * np.log(G) - (1 - M) * np.log(1 - G))),
    "Hinge": (lambda: keras.metrics.Hinge(), (np.sign(OTHERS), NUMBERS), _mean(np.maximum(0, 1 - np.sign(Y) * X).mean(1))),
    "CosineSimilarity": (lambda: keras.metrics.CosineSimilarity(), (OTHERS, NUMBERS), _mean((X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1))),
    "TruePositives": (lambda: keras.metrics.TruePositives(), (MARKS, GUESSES), lambda w: (POSITIVE * M * w).sum()),
    "FalsePositives": (lambda: keras.metrics.FalsePositives(), (MARKS, GUESSES), lambda w: (POSITIVE * (1 - M) * w).sum()),
    "TrueNegatives": (lambda: keras.metrics.TrueNegatives(), (MARKS, GUESSES), lambda w: (~POSITIVE * (1 - M) * w).sum()),
    "FalseNegatives": (lambda: keras.metrics.FalseNegatives(), (MARKS, GUESSES), lambda w: (~POSITIVE * M * w).sum()),
    "Precision": (lambda: keras.metrics.Precision(), (MARKS, GUESSES), _counted(POSITIVE * M, POSITIVE)),
    "Recall": (lambda: keras.metrics.Recall(), (MARKS, GUESSES), _counted(POSITIVE * M, M)),
    "KLDivergence": (lambda: keras.metrics.KLDivergence(), (CHANCES[::-1].copy(), CHANCES), _mean((P[::-1] * np.log(P[::-1] / P)).sum(1))),
    "Poisson": (lambda: keras.metrics.Poisson(), (CHANCES[::-1].copy(), CHANCES), _mean((P - P[::-1] * np.log(P)).mean(1))),
    "R2Score": (lambda: keras.metrics.R2Score(), (OTHERS[:, :1], NUMBERS[:, :1]), lambda w: _r2(X[:, 0], Y[:, 0], w)),
    "MeanMetricWrapper": (lambda: keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error), (OTHERS, NUMBERS), _mean(np.square(X - Y).mean(1))),
}  # fmt: skip
"""By metric: how it is made, targets and outputs (or values alone), and its formula."""


def _r2(x: Array, y: Array, w: Array) -> float:
    mean = (y * w).sum() / w.sum()
    return float(1 - (w * np.square(y - x)).sum() / (w * np.square(y - mean)).sum())


def metrics_by_formula() -> Iterator[Ways]:
    """Each metric whole, in uneven batches, after a reset, merged of two, and weighted by samples."""
    for name, (make, (target, outputs), formula) in METRICS.items():

        def updated(
            metric: keras.metrics.Metric, places: Iterable[slice], weights: Array | None = None, data: Data = (target, outputs)
        ) -> keras.metrics.Metric:
            for place in places:
                given = [each[place] for each in data if each is not None]
                metric.update_state(*given, **({} if weights is None else {"sample_weight": weights[place]}))
            return metric

        whole = [slice(0, SAMPLES)]
        yield Ways(name, {
            "formula": lambda: formula(np.ones(SAMPLES)), "whole": lambda: updated(make(), whole).result(), "uneven batches": lambda: updated(make(), PLACES).result(),
            "one by one": lambda: updated(make(), [slice(n, n + 1) for n in range(SAMPLES)]).result(), "after a reset": lambda: _after_reset(lambda m: updated(m, PLACES), make()),
            "called": lambda: make()(*(each for each in (target, outputs) if each is not None)), "from_config": lambda: updated(_configured(name, make()), PLACES).result(),
            "weights of one": lambda: updated(make(), PLACES, np.ones(SAMPLES, np.float32)).result(),
        }, SUMS)  # fmt: skip
        yield Ways(
            f"{name} sample_weight",
            {
                "formula": lambda: formula(_double(WEIGHTS)),
                "whole": lambda: updated(make(), whole, WEIGHTS).result(),
                "uneven batches": lambda: updated(make(), PLACES, WEIGHTS).result(),
            },
            SUMS,
        )


def _after_reset(update: Callable[[keras.metrics.Metric], keras.metrics.Metric], metric: keras.metrics.Metric) -> Tensor:
    update(metric)
    update(metric)
    metric.reset_state()
    return update(metric).result()


def _configured(name: str, metric: keras.metrics.Metric) -> keras.metrics.Metric:
    return metric if name == "MeanMetricWrapper" else type(metric).from_config(metric.get_config())
