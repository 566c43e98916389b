"""What an operation of JAX is: whether it draws, decides or has a gradient of its own, and where it was called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import core, source_info_util
from jax._src import random as draws  # the names of its functions tell which part of a traced function draws

from models.arrays import Array
from models.own.passes import NEAR
from models.own.slopes import CHOSEN

if TYPE_CHECKING:
    from jax.extend.core import Jaxpr, JaxprEqn

WIDER = {"float32": np.dtype("float64"), "complex64": np.dtype("complex128")}
"""The format of a twin's numbers."""
Value: TypeAlias = jax.Array | Array
"""What an operation takes and gives: in float64 partly computed by NumPy."""
COMPARISONS = {"gt", "lt", "ge", "le"}


def is_draw(eqn: JaxprEqn) -> bool:
    """Whether this draws numbers: one of JAX's own random functions as a whole."""
    name = eqn.params.get("name", "") if eqn.primitive.name in ("jit", "pjit") else ""
    whole = isinstance(name, str) and name.startswith("_") and hasattr(draws, name) and any(_bits(eqn.params["jaxpr"].jaxpr))
    return whole or eqn.primitive.name in ("random_gamma", "rng_uniform")


def _bits(jaxpr: Jaxpr) -> Iterator[bool]:
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name in ("random_bits", "threefry2x32", "rng_bit_generator", "random_gamma")
        for inner in eqn.params.values():
            if hasattr(inner, "jaxpr"):
                yield from _bits(inner.jaxpr)
            elif hasattr(inner, "eqns"):
                yield from _bits(inner)


def is_float(value: object) -> bool:
    """Whether this array or type of arrays is of real or complex numbers."""
    return str(getattr(value, "dtype", "")).startswith(("float", "bfloat", "complex"))


def narrowed(value: Value, dtype: np.dtype) -> Value:
    """A number in the format that it was traced in."""
    return np.asarray(value).astype(dtype) if str(dtype) in WIDER else value


def order(args: list[Value], axis: int, keys: int) -> Array:
    """The order that a stable sort by the first `keys` arguments gives."""
    order = np.broadcast_to(np.expand_dims(np.arange(args[0].shape[axis]), _others(args[0].ndim, axis)), args[0].shape)
    for key in reversed([np.asarray(arg) for arg in args[:keys]]):
        taken = np.argsort(np.take_along_axis(key, order, axis), axis=axis, kind="stable")
        order = np.take_along_axis(order, taken, axis)
    return order


def _others(rank: int, axis: int) -> tuple[int, ...]:
    return tuple(n for n in range(rank) if n != axis % rank)


def near(name: str, args: list[Value]) -> int:
    """How many of an operation's decisions change where its numbers move by NEAR of their rms: what rounding could turn."""
    if name in COMPARISONS and is_float(args[0]):
        x, y = np.broadcast_arrays(*map(np.asarray, args))
        reach = NEAR * max(float(np.sqrt(np.mean(np.square(each)))) for each in (x, y)) if x.size else 0.0
        return int(((np.abs(x - y) < reach) & (x != y)).sum()) if np.isfinite(reach) else 0
    return 0


def place(eqn: JaxprEqn) -> str:
    """`(gauge.py:12)`, where the user's code or Keras called it."""
    frames = list(source_info_util.user_frames(eqn.source_info.traceback))
    frame = next((each for each in frames if "site-packages" not in each.file_name), frames[0] if frames else None)
    return "" if frame is None else f" ({frame.file_name.rpartition('/')[2]}, line {frame.start_line})"


def function(eqn: JaxprEqn) -> str:
    """The name of a function with a gradient of its own, or where it is called."""
    debug = eqn.params["call_jaxpr"].jaxpr.debug_info
    name = getattr(debug, "func_name", "") or "a function"
    return f"a function{place(eqn)}" if name == "wrapped_fun" else name


def is_chosen(eqn: JaxprEqn, args: list[Value], place: int) -> bool:
    """Whether a function that gives out one of its inputs has another gradient than that, by more than an error would change it."""
    if any(isinstance(each, core.Literal) for each in eqn.invars):
        return True  # one that is called with numbers cannot be asked apart
    alone = core.Jaxpr((), eqn.invars, eqn.outvars, [eqn], debug_info=eqn.params["call_jaxpr"].jaxpr.debug_info)
    compute = lambda x: core.eval_jaxpr(alone, (), *args[:place], x, *args[place + 1 :])[0]  # noqa: E731
    out, pull = jax.vjp(compute, jnp.asarray(args[place]))
    given = jnp.asarray(np.random.default_rng(0).standard_normal(out.shape), out.dtype)
    (seen,) = pull(given)
    return float(jnp.linalg.norm(seen - given)) > CHOSEN * float(jnp.linalg.norm(given))
