"""How far JAX's float32 operations are off, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Array
from models.backends.keras.own.twins import products
from models.backends.keras.own.twins.jax_operations import Value
from models.own.errors import uniform
from models.own.sums import CHANNELS, off_by_rows, times

if TYPE_CHECKING:
    from jax.extend.core import JaxprEqn

AMPLITUDE = 2.0**-24 * 3**0.5
"""Largest relative change of one rounded number; uniform, its root mean square is float32's unit roundoff."""
EXACT = {
    "broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice", "dynamic_slice", "dynamic_update_slice", "concatenate",
    "pad", "gather", "select_n", "neg", "abs", "max", "min", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min",
    "convert_element_type", "copy", "copy_p", "stop_gradient", "iota", "rev", "sort", "top_k", "sign", "floor", "ceil", "round", "clamp",
    "argmax", "argmin", "real", "imag", "complex", "conj", "device_put", "scatter", "cummax", "cummin", "is_finite", "split",
    "optimization_barrier", "bitcast_convert_type", "empty", "reduce_precision", "select_and_gather_add",
}  # fmt: skip
"""Operations that move, choose or make numbers and round none."""


def rounded(eqn: JaxprEqn, args: list[Value], out: list[Value], errors: np.random.Generator) -> list[Value]:
    """Results of an operation, off by as much as a float32 is."""
    name, params = eqn.primitive.name, eqn.params
    summed, terms = _terms(eqn, args, out), None
    if name == "dot_general" and _is_wide(out[0]):
        summed, terms = products.of_jax(eqn, np.asarray(args[0]), np.asarray(args[1]), np.asarray(out[0]))
        if terms is not None and np.iscomplexobj(out[0]):
            terms = terms * (1 + 1j)  # both parts are off
    roundings = times(summed, int(np.size(out[0])))
    found = [_off(np.asarray(each), roundings, errors, terms) if _is_wide(each) else each for each in out]
    if name == "reduce_sum" and _is_wide(args[0]):
        return [found[0] + _summed(np.asarray(args[0]), tuple(params["axes"]), errors)]
    if name == "scatter-add" and _is_wide(args[0]) and _by_rows(eqn, args):
        return [found[0] + off_by_rows(np.asarray(args[2]), np.asarray(args[1]), tuple(args[0].shape))]
    return found


def _is_wide(value: Value) -> bool:
    return str(getattr(value, "dtype", "")) in ("float64", "complex128") and value.size > 0


def _off(x: Array, roundings: float, errors: np.random.Generator, terms: Array | None = None) -> Array:
    if x.size == 1 and np.all(np.complex64(x) == x):
        return x  # a number that float32 holds is a constant, such as an exponent less 1
    reach = AMPLITUDE * roundings
    noise = uniform(errors, x.shape, reach)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(x), x + (x if terms is None else terms) * noise, x)


def _summed(x: Array, axes: tuple[int, ...], errors: np.random.Generator) -> Array:
    """What a float32 sum is off that adds one term after the other, here in an order of its own."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    terms = np.transpose(x, (*axes, *kept)).reshape(-1, int(np.prod([x.shape[axis] for axis in kept], dtype=int)))
    if len(terms) < 2 or np.iscomplexobj(x) or not np.isfinite(terms).all():
        return np.zeros(())
    terms = errors.permutation(terms, axis=0)
    off: Array = np.cumsum(terms, axis=0, dtype=np.float32)[-1] - terms.sum(axis=0)
    return off.reshape([x.shape[axis] for axis in kept])


def _by_rows(eqn: JaxprEqn, args: list[Value]) -> bool:
    """Whether whole rows of a matrix are added to, as in an embedding's gradient."""
    numbers = eqn.params["dimension_numbers"]
    rank = args[0].ndim
    return bool(args[1].shape[-1] == 1 and numbers.inserted_window_dims == (0,) and len(numbers.update_window_dims) == rank - 1)


def _terms(eqn: JaxprEqn, args: list[Value], out: list[Value]) -> int:
    """How many terms an operation adds one after the other: of a window, and of a kernel's gradient all pixels."""
    name, params = eqn.primitive.name, eqn.params
    if name == "reduce_window_sum":
        return int(np.prod(params["window_dimensions"]))
    if name != "conv_general_dilated":
        return 1
    numbers = params["dimension_numbers"]
    window = [args[1].shape[axis] for axis in numbers.rhs_spec[2:]]
    pixels = [out[0].shape[axis] for axis in numbers.out_spec[2:]]
    channels = args[1].shape[numbers.rhs_spec[1]]
    of_kernel = np.prod(window) > np.prod(pixels)
    return int(np.prod(window)) * (channels if of_kernel else min(channels, CHANNELS))
