"""How long a free run trains, and at which learning rates."""

from __future__ import annotations

import numpy as np

from models.arrays import PerStep
from models.fields import plain
from models.spec import Spec

STEPS = {"digits": 300, "mnist": 3000, "fashion_mnist": 3000, "kmnist": 3000, "clusters": 300, "teacher": 300}
"""Training steps on each data set. On digits these are 16 epochs at the reference batch, on the MNIST family three: depth=4 ends at 0.961
after 1,000 steps and at 0.972 after 2,000, and sixteen layers at 0.944 and 0.959 (PyTorch, seed 1000)."""
WARM_UP = 0.3
"""Share of the steps over which the learning rate rises."""
PEAK = 2.0
"""Where it rises to, in learning rates of the network: what a warm-up lets most networks bear (Goyal et al. 2017)."""
PEAKS = {
    "loss=mse,target_scale=1": 24.0, "loss=mse,target_scale=10": 0.7, "norm=batch": 8.0, "norm=layer,norm_at=after": 1.5,
    "norm=group": 1.5, "batch=256,precision=mixed_bfloat16": 1.0, "init=keras_default": 0.5, "optimizer=adagrad": 1.0,
    "optimizer=nesterov": 0.7, "loss=huber": 32.0, "skip=one": 16.0, "loss=hinge": 3.0, "act=silu": 3.0, "clip=global,clip_at=1": 8.0,
    "clip=value": 8.0, "act=selu": 4.0, "act=linear": 4.0, "clip=variable": 4.0, "width=16": 4.0,
    "init=lecun_normal": 4.0, "init=glorot_normal": 4.0, "init=glorot_uniform": 4.0,
    "cell=tanh": 8.0, "cell=lstm": 8.0, "cell=gru": 8.0, "init=orthogonal": 4.0, "batch=16": 0.35, "optimizer=sgd": 0.5, "depth=32": 0.5,
    "depth=64": 0.25, "depth=100": 0.25, "lr=0.001": 8.0,
}  # fmt: skip
"""Where networks of these fields have theirs; the first row that fits holds. Found as what trained best, and of those the one whose
executions strayed least: accuracies of `batch=16` by 0.012 at a peak of 1, and by 0.006 at 0.35 (PyTorch, 24 and 48 seeds)."""


def peak(spec: Spec) -> float:
    """The highest learning rate of a training, in learning rates of the network."""
    fields = {name: plain(value) for name, value in spec.fields.items()}
    fitting = (rate for text, rate in PEAKS.items() if all(fields.get(name) == value for name, _, value in _items(text)))
    return next(fitting, PEAK)


def schedule(spec: Spec, steps: int) -> PerStep:
    """What the learning rate is multiplied with in every step: a linear rise to `peak`, then half a cosine to 0.

    Without the rise, deep networks diverge or part in their first steps. Without the fall (Loshchilov & Hutter 2017), accuracies have the
    noise of their last batches.
    """
    rise = max(1, round(WARM_UP * steps))
    step = np.arange(steps)
    fall = 0.5 * (1 + np.cos(np.pi * (step - rise) / (steps - rise)))
    return peak(spec) * np.where(step < rise, (step + 1) / rise, fall)


def _items(text: str) -> list[tuple[str, str, str]]:
    return [item.partition("=") for item in text.split(",")]
