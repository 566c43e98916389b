"""Losses: value and gradient with respect to the logits, written out, and each framework's own.

All are means over the batch. Regression and hinge losses see targets made from labels: one-hot times `target_scale` for losses of
errors, ±1 for hinges. Losses of probabilities see what softmax, sigmoid or exp makes of the logits, kept `EPSILON` away from 0 as Keras
documents; a framework that has no such clip is given clipped probabilities. Sources: torch.nn and keras.losses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from models.arrays import Array, Labels, Logits, Targets
from models.parts import Namespace, Native
from models.parts.loss_laws import (
    EPSILON,
    LOG_2,
    beyond_clip,
    categorical_hinge,
    categorical_hinge_margin,
    clipped,
    cosine,
    cross_entropy,
    d_binary,
    d_categorical_hinge,
    d_cosine,
    d_cross_entropy,
    each,
    huber,
    msle,
    near_upper_clip,
    one_hot,
    over_epsilon,
    probabilities,
    sigmoid,
    size,
    smoothed,
    through_softmax,
)


@dataclass(frozen=True)
class Loss:
    """`f(logits, target)` per batch, `df` its gradient; `margin` is zero where `df` jumps.

    `target(labels, classes, scale)` makes what the framework's loss is called with; `torch(nn)` and `keras(keras)`
    return a loss called as `loss(logits, target)` and `loss(target, logits)`; PyTorch's is None where it has none.
    `clips(logits, target)` says where the value is that of a clipped probability, which a loss of the logits does not clip.
    `blurred(logits, target, unit)` says where numbers that round by `unit` of themselves may have the gradient of either side of a clip.
    `scaled` says that targets may be scaled, `half` that the frameworks take the loss in mixed precision. `core` says that it joins the
    core matrix, not the full one alone.
    """

    target: Callable[[Labels, int, float], Targets]
    f: Callable[[Logits, Targets], np.number]
    df: Callable[[Logits, Targets], Logits]
    torch: Callable[[Namespace], Native] | None
    keras: Callable[[Namespace], Native]
    margin: Callable[[Logits, Targets], Array] | None = None
    clips: Callable[[Logits, Targets], Array] | None = None
    blurred: Callable[[Logits, Targets, float], Array] | None = None
    scaled: bool = False
    half: bool = True
    core: bool = True


def _of(make: Callable[[Namespace], Native], prediction: str) -> Callable[[Namespace], Native]:
    """Keras's loss of what a function of `keras.ops` makes of the logits, in the format in which losses are held."""

    def build(keras: Namespace) -> Native:
        loss, function = make(keras), getattr(keras.ops, prediction)
        own = loss.call
        loss.call = lambda target, logits: own(target, function(keras.ops.cast(logits, keras.config.floatx())))
        return loss

    return build


def _torch_of(make: Callable[[Namespace], Native], prediction: Callable[[Native], Native]) -> Callable[[Namespace], Native]:
    """PyTorch's loss of what a function makes of the logits, in the format in which losses are held."""

    def build(nn: Namespace) -> Native:
        loss = make(nn)
        return lambda logits, target: loss(prediction(logits.to(target.dtype)), target)

    return build


def _torch_hinge(nn: Namespace) -> Native:
    """PyTorch's one-against-all hinge: HingeEmbeddingLoss of y·f with every label −1 is mean(max(0, 1 − y·f))."""
    loss = nn.HingeEmbeddingLoss(margin=1.0)
    return lambda logits, target: loss(target * logits, (target * target).neg())


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(
        lambda labels, classes, scale: labels,
        cross_entropy,
        d_cross_entropy,
        torch=lambda nn: nn.CrossEntropyLoss(),
        keras=lambda keras: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ),
    "mse": Loss(
        one_hot,
        lambda logits, target: ((logits - target) ** 2).mean(),
        lambda logits, target: 2 * (logits - target) / np.asarray(logits.size, logits.dtype),
        torch=lambda nn: nn.MSELoss(),
        keras=lambda keras: keras.losses.MeanSquaredError(),
        scaled=True,
    ),
    "hinge": Loss(
        lambda labels, classes, scale: 2 * np.eye(classes)[labels] - 1,
        lambda logits, target: np.maximum(0, 1 - target * logits).mean(),
        lambda logits, target: np.where(target * logits < 1, -target, 0) / np.asarray(logits.size, logits.dtype),
        torch=_torch_hinge,
        keras=lambda keras: keras.losses.Hinge(),
        margin=lambda logits, target: 1 - target * logits,
    ),
    "huber": Loss(
        one_hot,
        huber,
        lambda logits, target: np.clip(logits - target, -1, 1) / np.asarray(logits.size, logits.dtype),
        torch=lambda nn: nn.HuberLoss(delta=1.0),
        keras=lambda keras: keras.losses.Huber(delta=1.0),
        scaled=True,
    ),
    "mae": Loss(
        one_hot,
        lambda logits, target: size(logits - target).mean(),
        lambda logits, target: np.sign(logits - target) / each(logits),
        torch=lambda nn: nn.L1Loss(),
        keras=lambda keras: keras.losses.MeanAbsoluteError(),
        margin=lambda logits, target: logits - target,
        scaled=True,
        core=False,
    ),
    "mape": Loss(  # of targets 1 and 2, for none may be zero
        lambda labels, classes, scale: scale * (1 + np.eye(classes)[labels]),
        lambda logits, target: 100 * (size(logits - target) / target).mean(),
        lambda logits, target: 100 * np.sign(logits - target) / target / each(logits),
        torch=None,
        keras=lambda keras: keras.losses.MeanAbsolutePercentageError(),
        margin=lambda logits, target: logits - target,
        scaled=True,
        core=False,
    ),
    "msle": Loss(
        one_hot,
        lambda logits, target: (msle(logits, target) ** 2).mean(),
        lambda logits, target: np.where(logits > EPSILON, 2 * msle(logits, target) / (np.maximum(logits, 0) + 1), 0) / each(logits),
        torch=None,
        keras=lambda keras: keras.losses.MeanSquaredLogarithmicError(),
        margin=lambda logits, target: logits - logits.dtype.type(EPSILON),
        scaled=True,
        core=False,
    ),
    "log_cosh": Loss(
        one_hot,
        lambda logits, target: (size(logits - target) + np.log1p(np.exp(-2 * size(logits - target))) - LOG_2).mean(),
        lambda logits, target: (1 - 2 * sigmoid(-2 * (logits - target))) / each(logits),
        torch=None,
        keras=lambda keras: keras.losses.LogCosh(),
        scaled=True,
        core=False,
    ),
    "squared_hinge": Loss(
        lambda labels, classes, scale: 2 * np.eye(classes)[labels] - 1,
        lambda logits, target: (np.maximum(0, 1 - target * logits) ** 2).mean(),
        lambda logits, target: -2 * target * np.maximum(0, 1 - target * logits) / each(logits),
        torch=None,
        keras=lambda keras: keras.losses.SquaredHinge(),
        core=False,
    ),
    "categorical_hinge": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        categorical_hinge,
        d_categorical_hinge,
        torch=None,
        keras=lambda keras: keras.losses.CategoricalHinge(),
        margin=categorical_hinge_margin,
        core=False,
    ),
    "categorical_cross_entropy": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: -(target * log_softmax(logits, axis=1)).sum(1).mean(),
        lambda logits, target: (softmax(logits, axis=1) - target) / logits.dtype.type(len(logits)),
        torch=lambda nn: nn.CrossEntropyLoss(),
        keras=lambda keras: keras.losses.CategoricalCrossentropy(from_logits=True),
        core=False,
    ),
    "cross_entropy_of_probabilities": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: -(target * np.log(clipped(probabilities(logits), 1 - EPSILON))).sum(1).mean(),
        lambda logits, target: through_softmax(-target / clipped(probabilities(logits)), probabilities(logits), 1 - EPSILON),
        torch=_torch_of(
            lambda nn: lambda logs, target: nn.NLLLoss()(logs, target.argmax(1)),
            lambda logits: logits.softmax(1).clamp(EPSILON, 1 - EPSILON).log(),
        ),
        keras=_of(lambda keras: keras.losses.CategoricalCrossentropy(), "softmax"),
        margin=over_epsilon,
        clips=lambda logits, target: beyond_clip((target * probabilities(logits)).sum(1)),
        core=False,
    ),
    "binary_cross_entropy": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: (np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-size(logits)))).mean(),
        lambda logits, target: (sigmoid(logits) - target) / each(logits),
        torch=lambda nn: nn.BCEWithLogitsLoss(),
        keras=lambda keras: keras.losses.BinaryCrossentropy(from_logits=True),
        core=False,
    ),
    "binary_cross_entropy_of_probabilities": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: (
            -(
                target * np.log(clipped(sigmoid(logits), 1 - EPSILON)) + (1 - target) * np.log(1 - clipped(sigmoid(logits), 1 - EPSILON))
            ).mean()
        ),
        d_binary,
        torch=_torch_of(lambda nn: nn.BCELoss(), lambda logits: logits.sigmoid().clamp(EPSILON, 1 - EPSILON)),
        keras=_of(lambda keras: keras.losses.BinaryCrossentropy(), "sigmoid"),
        margin=lambda logits, target: -np.log(EPSILON) - size(logits),
        clips=lambda logits, target: beyond_clip(sigmoid(logits)),
        blurred=near_upper_clip,
        half=False,
        core=False,
    ),
    "kl_divergence": Loss(  # from a target of which no class is zero
        smoothed,
        lambda logits, target: (target * (np.log(target) - np.log(clipped(probabilities(logits))))).sum(1).mean(),
        lambda logits, target: through_softmax(-target / clipped(probabilities(logits)), probabilities(logits), 1.0),
        torch=_torch_of(lambda nn: nn.KLDivLoss(reduction="batchmean"), lambda logits: logits.softmax(1).clamp(EPSILON, 1).log()),
        keras=_of(lambda keras: keras.losses.KLDivergence(), "softmax"),
        margin=over_epsilon,
        core=False,
    ),
    "poisson": Loss(  # of rates exp(logits)
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: (np.exp(logits) - target * np.log(np.exp(logits) + EPSILON)).mean(),
        lambda logits, target: np.exp(logits) * (1 - target / (np.exp(logits) + EPSILON)) / each(logits),
        torch=_torch_of(lambda nn: nn.PoissonNLLLoss(log_input=False, eps=EPSILON), lambda logits: logits.exp()),
        keras=_of(lambda keras: keras.losses.Poisson(), "exp"),
        core=False,
    ),
    "cosine": Loss(
        lambda labels, classes, scale: np.eye(classes)[labels],
        lambda logits, target: -np.multiply(*cosine(logits, target)[:2]).sum(1).mean(),
        d_cosine,
        torch=lambda nn: lambda logits, target: -nn.CosineSimilarity(dim=1, eps=EPSILON)(logits, target).mean(),
        keras=lambda keras: keras.losses.CosineSimilarity(),
        core=False,
    ),
}
