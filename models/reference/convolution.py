"""Images in the reference: convolutions as products of patches and kernels, pooling, and flattening, with their ways back.

A patch is what lies under the window at one place. Patches of all samples and places are rows of one matrix for each group of channels,
and the way back adds each tap's gradient to the pixel it was read from.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Array, Batch, Images, Units
from models.nodes import Conv, Flatten, Image, Pool, Windowed
from models.parts.activations import ACTIVATIONS
from models.parts.paddings import PADDINGS

if TYPE_CHECKING:
    from models.reference.arithmetic import Arithmetic
    from models.reference.operations import Execution


def image(at: Execution, node: Image, x: Batch) -> tuple[Images, None]:
    """Features as pixels, row after row."""
    return x.reshape(len(x), *node.per_sample), None


def image_back(at: Execution, node: Image, saved: None, d: Images) -> tuple[Batch, ...]:
    """Pixels as features."""
    return (d.reshape(len(d), -1),)


def convolve(at: Execution, node: Conv, h: Images) -> tuple[Images, Array]:
    """The product of patches and kernels, group by group."""
    a = at.arithmetic
    rows, bias = patches(node, a.operand(h)), a.result(at.weights[node.bias])
    parts = [a.product(patch, kernel.T) for patch, kernel in zip(rows, _kernels(at, node), strict=True)]
    z = images(np.concatenate(parts, axis=1), node.size)
    return a.result((a.result(z) if a.conventions == "keras" else z) + bias[:, None, None]), rows


def convolve_back(at: Execution, node: Conv, rows: Array, d: Images) -> tuple[Images, ...]:
    """∂b = Σ δ and ∂W = Σ δ · patch over samples and places; ∂h adds W · δ up where patches overlap."""
    a, out, size = at.arithmetic, at.out, float(np.linalg.norm(d))
    flat = pixels(d)
    out.gradients[node.bias] = a.result(a.sums(flat))
    out.sizes |= {node.weight: size * float(np.linalg.norm(rows)), node.bias: size * len(flat) ** 0.5}
    by_group = np.split(a.operand(flat), node.groups, axis=1)
    weight = [a.product(each.T, patch) for each, patch in zip(by_group, rows, strict=True)]
    out.gradients[node.weight] = a.result(np.concatenate(weight)).reshape(node.parameters["weight"])
    taps = [a.product(each, kernel) for each, kernel in zip(by_group, _kernels(at, node), strict=True)]
    windows = np.concatenate(taps, axis=1).reshape(len(d), node.size, node.size, node.channels_below, node.kernel, node.kernel)
    return (a.result(_gathered(a, node, windows.transpose(0, 3, 1, 2, 4, 5))),)


def pool(at: Execution, node: Pool, h: Images) -> tuple[Images, Array]:
    """The first of the largest numbers under each window, or their mean; kept is which it was, or how many the mean is of."""
    a = at.arithmetic
    taps = _taps(windows(node, h, -np.inf if node.largest else 0.0))
    if not node.largest:
        inside = _taps(windows(node, np.ones((1, 1, node.size_below, node.size_below), a.dtype), 0.0))
        counts = np.full_like(inside[..., 0], node.kernel**2) if node.counted else inside.sum(axis=-1)
        return a.result(a.total(taps, -1)[..., 0] / counts), counts
    chosen = taps.real.argmax(axis=-1)[..., None]
    at.out.bends[node.name] = _leads(node, taps.real)
    return np.take_along_axis(taps, chosen, axis=-1)[..., 0], chosen


def pool_back(at: Execution, node: Pool, kept: Array, d: Images) -> tuple[Images, ...]:
    """To the number that was taken, or to all alike."""
    a, shape = at.arithmetic, (*d.shape, node.kernel, node.kernel)
    if node.largest:
        taps = np.zeros((*d.shape, node.kernel**2), d.dtype)
        np.put_along_axis(taps, kept, d[..., None], axis=-1)
        return (_gathered(a, node, taps.reshape(shape)),)
    return (a.result(_gathered(a, node, np.broadcast_to((d / kept)[..., None, None], shape))),)


def flatten(at: Execution, node: Flatten, h: Images) -> tuple[Units, None]:
    """Pixels of one channel after those of another, or channels of one pixel after those of another."""
    return (h if node.order == "channels_first" else h.transpose(0, 2, 3, 1)).reshape(len(h), -1), None


def flatten_back(at: Execution, node: Flatten, saved: None, d: Units) -> tuple[Images, ...]:
    """Units as channels of pixels."""
    if node.order == "channels_first":
        return (d.reshape(len(d), node.channels, node.size, node.size),)
    return (d.reshape(len(d), node.size, node.size, node.channels).transpose(0, 3, 1, 2),)


def windows(node: Windowed, h: Images, fill: float) -> Array:
    """What lies under the window at each place (batch × channels × size × size × kernel × kernel); zeros wrap where padding does."""
    pads = ((0, 0), (0, 0), node.pads, node.pads)
    padded = np.pad(h, pads, mode="wrap") if PADDINGS[node.padding].wrap else np.pad(h, pads, constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (node.reach, node.reach), axis=(2, 3))
    return seen[:, :, :: node.stride, :: node.stride, :: node.dilation, :: node.dilation]  # type: ignore[no-any-return]


def patches(node: Conv, h: Images) -> Array:
    """Patches as rows, group by group: (groups × batch · places × taps)."""
    seen = windows(node, h, 0.0).transpose(0, 2, 3, 1, 4, 5)
    return np.moveaxis(seen.reshape(-1, node.groups, node.fan_in), 1, 0)


def pixels(h: Images) -> Array:
    """Pixels of all samples as rows: (batch · pixels × channels)."""
    return np.moveaxis(h, 1, -1).reshape(-1, h.shape[1])


def images(rows: Array, size: int) -> Images:
    """The same back, of `size` × `size` pixels."""
    return np.moveaxis(rows.reshape(-1, size, size, rows.shape[1]), -1, 1)


def _kernels(at: Execution, node: Conv) -> Array:
    """Weights by group: (groups × channels of a group × taps)."""
    return at.arithmetic.operand(at.weights[node.weight]).reshape(node.groups, -1, node.fan_in)


def _taps(seen: Array) -> Array:
    return seen.reshape(*seen.shape[:4], -1)


def _leads(node: Pool, taps: Array) -> Units:
    """By how much each largest number leads the next: without a bound where a window holds one number alone.

    Where an activation is flat, numbers are alike and none gets a gradient, so that it does not matter which is taken.
    """
    if taps.shape[-1] == 1:
        return np.full((len(taps), taps[0].size), np.inf)
    second, first = np.moveaxis(np.partition(taps, -2, axis=-1)[..., -2:], -1, 0)
    row = ACTIVATIONS[node.behind] if node.behind else None
    flat = row.f(np.array(row.kinks)) if row else np.zeros(0)
    return np.where((first == second) & np.isin(first, flat), np.inf, first - second).reshape(len(taps), -1)


def _gathered(a: Arithmetic, node: Windowed, seen: Array) -> Images:
    """What each pixel gets from all windows that it lies under: the transpose of `windows`."""
    (low, high), size, last = node.pads, node.size_below, node.stride * (node.size - 1) + 1
    padded = np.zeros((*seen.shape[:2], size + low + high, size + low + high), seen.dtype)
    places = list(product(range(node.kernel), repeat=2))
    for row, column in (places[number] for number in a.order(len(places))):
        top, left = row * node.dilation, column * node.dilation
        padded[:, :, top : top + last : node.stride, left : left + last : node.stride] += seen[..., row, column]
    if not PADDINGS[node.padding].wrap:
        return padded[:, :, low : low + size, low : low + size]
    for axis in (2, 3):
        before, inside, behind = np.split(padded, [low, low + size], axis=axis)
        padded = inside.copy()
        np.moveaxis(padded, axis, 0)[size - low :] += np.moveaxis(before, axis, 0)
        np.moveaxis(padded, axis, 0)[:high] += np.moveaxis(behind, axis, 0)
    return padded
