"""A compiler that keeps float32 between operations in half precision, as XLA may on a GPU: JAX programs rewritten before it compiles them.

XLA drops a conversion to half precision and back where it is allowed excess precision, which is its default. On a CPU it drops fewer since
JAX 0.4.33. Here every number between products stays in float32; operands and results of products are rounded, as they are tensors in
half precision, and so is what a program hands out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any  # programs are JAX's own classes, which have no public types
from unittest import mock

import jax
import jax.numpy as jnp

from models.backends.registry import backend_module

HALVES = "bfloat16", "float16"
INNER = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""Operations that are programs of their own, and where these stand."""
AS_THEY_ARE = "scan", "while", "cond", "bitcast_convert_type", "iota", "reduce_precision"
"""Operations that are computed as they are written: those of several programs, and those of bits."""


def _half(x: Any) -> str:
    name = str(x.dtype) if hasattr(x, "dtype") else ""
    return name if name in HALVES else ""


def _kept(x: Any) -> Any:
    """A number in half precision as float32 has it."""
    return jnp.asarray(x).astype(jnp.float32) if _half(x) else x


def _rounded(x: Any, half: str) -> Any:
    """Rounded to half precision and kept in float32: what a program itself asks for, XLA does on a CPU since JAX 0.4.33."""
    return x.astype(half).astype(jnp.float32) if half else x


def _run(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    here = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*map(_kept, consts), *args), strict=True))
    read = lambda v: _kept(v.val) if hasattr(v, "val") else here[v]  # noqa: E731
    for eqn in jaxpr.eqns:
        here.update(zip(eqn.outvars, _operation(eqn, [read(v) for v in eqn.invars]), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _operation(eqn: Any, args: list[Any]) -> list[Any]:
    name, params = eqn.primitive.name, dict(eqn.params)
    if name in INNER and INNER[name] in params:
        inner = params[INNER[name]]
        return _run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", []), args)
    if name == "convert_element_type" and (_half(eqn.invars[0].aval) or _half(eqn.outvars[0].aval)):
        wanted = eqn.outvars[0].aval.dtype
        return [args[0].astype(jnp.float32 if _half(eqn.outvars[0].aval) else wanted)]
    if name == "dot_general":
        half = _half(eqn.outvars[0].aval)
        product = eqn.primitive.bind(
            *(_rounded(x, _half(v.aval)) for x, v in zip(args, eqn.invars, strict=True)),
            **params | ({"preferred_element_type": jnp.dtype("float32")} if half else {}),
        )
        return [_rounded(product, half)]
    if name in AS_THEY_ARE:
        args = [x.astype(v.aval.dtype) if _half(v.aval) else x for x, v in zip(args, eqn.invars, strict=True)]
    out = eqn.primitive.bind(*args, **params)
    return [_kept(each) for each in (out if eqn.primitive.multiple_results else [out])]


def excessive(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with float32 between its products."""

    def run(*given: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*given)
        results = _run(closed.jaxpr, closed.consts, [_kept(x) for x in jax.tree_util.tree_leaves(given)])
        stored = [_rounded(x, _half(v.aval)).astype(v.aval.dtype) for x, v in zip(results, closed.jaxpr.outvars, strict=True)]
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shape), stored)

    return run


@contextmanager
def leaving_out_roundings() -> Iterator[None]:
    """Keras on JAX whose compiled functions keep float32 between products."""
    backend_module("keras-jax")  # what Keras compiles when it is imported stays as it is
    jit = jax.jit

    def compiled(function: Callable[..., Any], **options: Any) -> Any:
        return jit(excessive(function))

    with mock.patch.object(jax, "jit", compiled):
        yield
