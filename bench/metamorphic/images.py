"""Layers of images: one layer as another with other weights, and the same layer on images that are turned, cut or laid out otherwise.

A scenario takes one layer forward and back. Both sides of a law are such layers; images, kernels and gradients are rearranged here, so
that frameworks do nothing but compute. Arrays are (batch × channels × height × width) and kernels (channels, channels below, k, k).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from bench.evidence.reference import ROUNDINGS, rms_error
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.metamorphic.scenarios import UNIT, Scenarios
from models.arrays import Array, Arrays
from models.nodes import INPUT, Conv
from models.parts.precisions import PRECISIONS
from models.reference import convolution
from models.reference.arithmetic import Arithmetic
from models.reference.operations import Execution

BATCH, BELOW, CHANNELS, SIZE = 2, 4, 6, 6
OUTPUTS, OF_X, OF_WEIGHT, OF_BIAS = "outputs", "gradient of x", "gradient of weight", "gradient of bias"


def pointwise_convolution(scenarios: Scenarios) -> Iterator[Finding]:
    """A 1 × 1 convolution is a dense layer on every pixel."""
    x, (w, b), pull = _image(), _kernel(BELOW, 1), _pull(SIZE)
    flat = _layer(scenarios, "dense", convolution.pixels(x), convolution.pixels(pull), w[:, :, 0, 0], b)
    dense = flat | {name: convolution.images(flat[name], SIZE) for name in (OUTPUTS, OF_X)}
    conv = _layer(scenarios, "conv", x, pull, w, b)
    yield from _same("pointwise", conv, dense | {OF_WEIGHT: flat[OF_WEIGHT][:, :, None, None]})


def whole_image(scenarios: Scenarios) -> Iterator[Finding]:
    """A convolution whose kernel is as large as the image is a dense layer on it."""
    x, (w, b), pull = _image(), _kernel(BELOW, SIZE), _pull(1)
    flat = _layer(scenarios, "dense", x.reshape(BATCH, -1), pull.reshape(BATCH, -1), w.reshape(CHANNELS, -1), b)
    shapes = {OUTPUTS: pull.shape, OF_X: x.shape, OF_WEIGHT: w.shape, OF_BIAS: b.shape}
    conv = _layer(scenarios, "conv", x, pull, w, b)
    yield from _same("whole image", conv, {name: flat[name].reshape(shape) for name, shape in shapes.items()})


def grouped_convolution(scenarios: Scenarios) -> Iterator[Finding]:
    """A convolution in groups is a convolution of each group's channels by itself."""
    x, (w, b), pull = _image(), _kernel(BELOW // 2, 3), _pull(SIZE - 2)
    halves = [
        _layer(scenarios, "conv", *each)
        for each in zip(np.split(x, 2, 1), np.split(pull, 2, 1), np.split(w, 2), np.split(b, 2), strict=True)
    ]
    axes = {OUTPUTS: 1, OF_X: 1, OF_WEIGHT: 0, OF_BIAS: 0}
    joined = {name: np.concatenate([half[name] for half in halves], axis) for name, axis in axes.items()}
    yield from _same("groups", _layer(scenarios, "conv", x, pull, w, b, groups=2), joined)


def depthwise_convolution(scenarios: Scenarios) -> Iterator[Finding]:
    """A depthwise convolution is one with a group for each channel, and one whose kernel is zero between channels."""
    x, (w, b), pull = _image(), _kernel(1, 3, BELOW), _pull(SIZE - 2, BELOW)
    depthwise, full = _layer(scenarios, "depthwise", x, pull, w, b), np.zeros((BELOW, BELOW, 3, 3), np.float32)
    own = np.arange(BELOW)
    full[own, own] = w[:, 0]
    yield from _same("groups of one", _layer(scenarios, "conv", x, pull, w, b, groups=BELOW), depthwise)
    spread = _layer(scenarios, "conv", x, pull, full, b)
    yield from _same("zeros between channels", spread | {OF_WEIGHT: spread[OF_WEIGHT][own, own][:, None]}, depthwise)


def dilated_convolution(scenarios: Scenarios) -> Iterator[Finding]:
    """A dilated convolution is one whose kernel has zeros between its taps."""
    x, (w, b), pull = _image(), _kernel(BELOW, 3), _pull(SIZE - 4)
    wide = np.zeros((CHANNELS, BELOW, 5, 5), np.float32)
    wide[:, :, ::2, ::2] = w
    spread = _layer(scenarios, "conv", x, pull, wide, b)
    yield from _same(
        "dilated", _layer(scenarios, "conv", x, pull, w, b, dilation=2), spread | {OF_WEIGHT: spread[OF_WEIGHT][:, :, ::2, ::2]}
    )


def strided_convolution(scenarios: Scenarios) -> Iterator[Finding]:
    """A convolution with a stride gives every second number of one without."""
    x, (w, b), pull = _image()[:, :, 1:, 1:], _kernel(BELOW, 3), _pull(SIZE - 3)
    pull[:, :, 1::2] = pull[:, :, :, 1::2] = 0
    whole = _layer(scenarios, "conv", x, pull, w, b)
    yield from _same(
        "strided", _layer(scenarios, "conv", x, pull[:, :, ::2, ::2], w, b, stride=2), whole | {OUTPUTS: whole[OUTPUTS][:, :, ::2, ::2]}
    )


def translated_image(scenarios: Scenarios) -> Iterator[Finding]:
    """A convolution of an image's part is that part of the image's convolution."""
    x, (w, b), pull = _image(), _kernel(BELOW, 3), _pull(SIZE - 2)
    pull[:, :, :1] = pull[:, :, :, :2] = 0
    whole = _layer(scenarios, "conv", x, pull, w, b)
    part = _layer(scenarios, "conv", x[:, :, 1:, 2:], pull[:, :, 1:, 2:], w, b)
    yield from _same("part", part, whole | {OUTPUTS: whole[OUTPUTS][:, :, 1:, 2:], OF_X: whole[OF_X][:, :, 1:, 2:]})


def average_by_kernel(scenarios: Scenarios) -> Iterator[Finding]:
    """Average pooling is a depthwise convolution with a constant kernel."""
    x, pull = _image(), _pull(SIZE // 2, BELOW)
    constant, zero = np.full((BELOW, 1, 2, 2), 0.25, np.float32), np.zeros(BELOW, np.float32)
    conv = _layer(scenarios, "depthwise", x, pull, constant, zero, stride=2)
    pooled = _layer(scenarios, "average", x, pull, stride=2)
    yield from _same("average", pooled, {name: conv[name] for name in pooled})


def mirrored_pooling(scenarios: Scenarios) -> Iterator[Finding]:
    """Pooling of a mirrored image is the mirror image of its pooling."""
    x, pull = _image(), _pull(SIZE // 2, BELOW)
    for kind in ("max", "average"):
        done = _layer(scenarios, kind, x, pull, stride=2)
        mirrored = _layer(scenarios, kind, x[..., ::-1, :].copy(), pull[..., ::-1, :].copy(), stride=2)
        yield from _same(f"mirrored {kind}", {name: value[..., ::-1, :] for name, value in mirrored.items()}, done)


def memory_order(scenarios: Scenarios) -> Iterator[Finding]:
    """A convolution gives the same whether channels stand first or last in memory."""
    x, (w, b), pull = _image(), _kernel(BELOW, 3), _pull(SIZE - 2)
    yield from _same("channels", *(_layer(scenarios, "conv", x, pull, w, b, order=order) for order in ("first", "last")))


def _layer(
    scenarios: Scenarios, kind: str, x: Array, pull: Array, weight: Array | None = None, bias: Array | None = None, **options: object
) -> Arrays:
    """Outputs and gradients of Σ pull ⊙ outputs."""
    given = {"x": x, "pull": pull, "weight": weight, "bias": bias}
    found = scenarios("image_layer", kind=kind, **{name: value for name, value in given.items() if value is not None}, **options)
    return {name: np.asarray(value) for name, value in found.items()}


def _same(scope: str, seen: Arrays, other: Arrays) -> Iterator[Finding]:
    """How far apart two layers are, array by array, relative to its size."""
    if set(seen) != set(other):
        raise AssertionError(f"{sorted(set(seen) ^ set(other))} are missing or unknown in {scope}")
    for name, value in other.items():
        size = float(np.linalg.norm(value)) or 1.0
        off = float(np.linalg.norm(np.asarray(seen[name], np.float64) - value)) / size
        yield Finding(Place(name, scope=f"{scope}:"), off, 0.0, ROUNDING_MULTIPLE * _rounding()[name])


def _image() -> Array:
    return np.random.default_rng(1).standard_normal((BATCH, BELOW, SIZE, SIZE)).astype(np.float32)


def _kernel(below: int, size: int, channels: int = CHANNELS) -> tuple[Array, Array]:
    rng = np.random.default_rng([2, below, size])
    return rng.standard_normal((channels, below, size, size)).astype(np.float32), rng.standard_normal(channels).astype(np.float32)


def _pull(size: int, channels: int = CHANNELS) -> Array:
    """What outputs are multiplied with before they are summed."""
    return np.random.default_rng([3, size]).standard_normal((BATCH, channels, size, size)).astype(np.float32)


@cache
def _rounding() -> dict[str, float]:
    """What float32 may be off in a layer of these sizes: rms over orders of summing, or one rounding if that is more."""
    x, (w, b), pull = _image(), _kernel(BELOW, 3), _pull(SIZE - 2)
    node = Conv("conv1", (INPUT,), CHANNELS, SIZE - 2, SIZE, 3, 1, "valid", channels_below=BELOW)

    def computed(dtype: DTypeLike, order: int | None) -> Arrays:
        at = Execution(Arithmetic(dtype, PRECISIONS["float32"], order), {node.weight: w.astype(dtype), node.bias: b.astype(dtype)})
        outputs, kept = convolution.convolve(at, node, x.astype(dtype))
        (back,) = convolution.convolve_back(at, node, kept, pull.astype(dtype))
        return {OUTPUTS: outputs, OF_X: back, OF_WEIGHT: at.out.gradients[node.weight], OF_BIAS: at.out.gradients[node.bias]}

    exact, rounded = computed(np.float64, None), [computed(np.float32, order) for order in range(ROUNDINGS)]
    sizes = {name: float(np.linalg.norm(value)) for name, value in exact.items()}
    return {name: max(rms_error(value, [each[name] for each in rounded]) / sizes[name], UNIT) for name, value in exact.items()}
