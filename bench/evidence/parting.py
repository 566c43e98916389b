"""Which of two frameworks is wrong where their float64 passes first part: by NumPy's own layer, and by differences of the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from models.arrays import Array, Arrays
from models.own.aligned import BOTH, Aligned
from models.own.carried import CONVOLUTION, DEPTHWISE, Pair
from models.own.layer import Padding, entered_by, layer_output, padding_of

STEP = 1e-5
"""How far parameters move for a difference of the loss, as a share of their length; then half as far."""
TELLS = 4.0
"""A framework is wrong where the truth is so many times nearer to the other one."""


@dataclass(frozen=True)
class Parting:
    """Where two float64 passes first part on the `way` forward or backward, `whose` fault that is, and what tells.

    `whose` is empty where nothing tells.
    """

    way: str
    where: str
    whose: str
    because: str


def whose_output(
    row: Aligned,
    pair: Pair,
    before: Pair | None,
    entering: dict[str, Array],
    outputs: dict[str, Array],
    weights: Arrays,
    allowed: float,
    last: Array,
) -> Parting:
    """By NumPy's layer, given what entered it in each framework; where both are right, by what lies between two layers.

    `last` is the output of the layer before, on which both agree, or the images.
    """
    name_of = f"{pair.torch.name} = {pair.keras.name}"
    where = f"at {name_of}"
    parameters = {role: weights[pair.torch.parameters[role]].astype(np.float64) for role in pair.roles()}
    inputs = {name: entered_by(pair, name, entering[name]) for name in BOTH}
    padded = inputs["keras"].shape[2:] > inputs["torch"].shape[2:]
    if padded:  # by a layer of its own, whose border is no matter of the image
        inputs["keras"] = _inside(inputs["keras"], inputs["torch"].shape)
    wrong = {}
    for name in BOTH:
        images = pair.keras.kind in (CONVOLUTION, DEPTHWISE)
        padding = padding_of(pair.torch if padded else pair.of(name), inputs[name].shape) if images else Padding()
        true = layer_output(row, pair, inputs[name], parameters, padding)
        wrong[name] = true.shape != outputs[name].shape or not np.linalg.norm(true - outputs[name]) <= allowed
    if wrong["torch"] != wrong["keras"]:
        whose = BOTH[wrong["keras"]]
        return Parting("forward", where, whose, "NumPy's layer gives the other one's output from what entered it")
    if all(wrong.values()):
        return Parting("forward", where, "", "NumPy's layer gives neither's output")
    between = f"between {before.torch.name} = {before.keras.name} and {name_of}" if before else f"before {name_of}"
    fits = {name: [word for word in (IDENTITY, *row.activations) if _is_like(KNOWN[word](last), inputs[name])] for name in BOTH}
    if bool(fits["torch"]) != bool(fits["keras"]):
        whose, right, what = BOTH[not fits["keras"]], fits["torch"] or fits["keras"], "the output before" if before else "the images"
        return Parting("forward", between, whose, f"{right[0]} of {what} is what enters in the other one")
    said = " and ".join(f"{' or '.join(fits[name]) or 'something else'} in {name}" for name in BOTH)
    return Parting("forward", between, "", f"what enters is {said}")


def whose_gradient(
    pair: Pair, behind: Pair | None, gradients: dict[str, tuple[Array, Array]], weights: Arrays, loss_at: Callable[[Arrays], float]
) -> Parting:
    """By the difference of the loss as parameters move along what the two gradients differ by."""
    where = f"at {pair.torch.name} = {pair.keras.name}"
    if behind is not None:
        where += f", from {behind.torch.name} = {behind.keras.name} on"
    apart = {name: t - k for name, (t, k) in gradients.items()}
    length = np.sqrt(sum(float(np.sum(a * a)) for a in apart.values()))
    size = np.sqrt(sum(float(np.sum(np.square(weights[name].astype(np.float64)))) for name in apart)) or 1.0
    along = {name: a * (size / length) for name, a in apart.items()}
    slopes = [sum(float(np.sum(each[side] * along[name])) for name, each in gradients.items()) for side in (0, 1)]
    coarse, fine = (
        (loss_at({n: h * a for n, a in along.items()}) - loss_at({n: -h * a for n, a in along.items()})) / (2 * h) for h in (STEP, STEP / 2)
    )
    true = (4 * fine - coarse) / 3
    off = [abs(slope - true) for slope in slopes]
    gap, blur = abs(slopes[0] - slopes[1]), abs(true - fine)
    said = f"the loss changes by {true:.6g} where PyTorch's gradient says {slopes[0]:.6g} and Keras's {slopes[1]:.6g}"
    if blur * TELLS < gap and max(off) > TELLS * min(off):
        return Parting("backward", where, BOTH[int(np.argmax(off))], said)
    return Parting("backward", where, "", said)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


IDENTITY = "the identity"
KNOWN: dict[str, Callable[[Array], Array]] = {
    IDENTITY: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}
"""What may stand between two layers."""
ALIKE = 1e-12
"""How far what enters a layer may be from a function of the output before it, as a share of its length."""


def _inside(x: Array, shape: tuple[int, ...]) -> Array:
    """The middle of an image."""
    row, column = ((have - want) // 2 for have, want in zip(x.shape[2:], shape[2:], strict=True))
    return x[:, :, row : row + shape[2], column : column + shape[3]]


def _is_like(one: Array, other: Array) -> bool:
    return one.size == other.size and bool(np.linalg.norm(one.ravel() - other.ravel()) <= ALIKE * np.linalg.norm(one))
