"""A function as JAX traces it in float32, run operation by operation: recorded, or in float64 with the record's decisions and rounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from models.backends.keras.own.twins.jax_in_numpy import IN_NUMPY
from models.backends.keras.own.twins.jax_operations import (
    WIDER,
    Value,
    function,
    is_chosen,
    is_draw,
    is_float,
    narrowed,
    near,
    order,
    place,
)
from models.backends.keras.own.twins.jax_rounding import EXACT, rounded
from models.own.gauge import NoTwinError, TapeEndsError
from models.own.slopes import FLAT_SHARE, MOVE
from models.own.trees import Tree

if TYPE_CHECKING:
    from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

HALF = "float16", "bfloat16"
CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat": "jaxpr", "remat2": "jaxpr",
         "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}  # fmt: skip
"""Operations that are a function of their own, and the parameter that it is in."""
JUMPS = {"sign", "floor", "ceil", "round"}
"""Operations whose results jump."""
KINDS = "float32", "float64", "bool"
"""Formats of which an operation is computed in NumPy."""
Entry = tuple[str, "Value | list[Value]"]
"""An operation and what it decided or drew: its results, places or an order."""


@dataclass
class Program:
    """What was traced: the operations, the tree of results, and the results that are no tensors, by their place."""

    closed: ClosedJaxpr
    tree: jax.tree_util.PyTreeDef
    plain: dict[int, object]

    def results(self, tensors: list[jax.Array]) -> Tree:
        """The function's result of its tensors."""
        found = iter(tensors)
        return jax.tree_util.tree_unflatten(
            self.tree, [self.plain[n] if n in self.plain else next(found) for n in range(self.tree.num_leaves)]
        )


@dataclass
class Tape:
    """A program and what its float32 run has decided and drawn; `half` names the first operation that computed in less than float32."""

    program: Program | None = None
    entries: list[Entry] = field(default_factory=list)
    draws: bool = False
    half: str = ""


def traced(function: Callable[..., Tree], *values: Tree) -> Program:
    """The function of tensors, in trees, as JAX traces it."""
    tree, plain = jax.tree_util.tree_structure(None), dict[int, object]()

    def tensors(*at: Tree) -> list[jax.Array]:
        nonlocal tree, plain
        leaves, tree = jax.tree_util.tree_flatten(function(*at))
        plain = {n: leaf for n, leaf in enumerate(leaves) if not isinstance(leaf, (jax.Array, np.ndarray))}
        return [leaf for n, leaf in enumerate(leaves) if n not in plain]

    closed = jax.make_jaxpr(tensors)(*values)
    return Program(closed, tree, plain)


class Run:
    """One run of a program."""

    def __init__(self, tape: Tape, *, replays: bool, rounds: int | None = None, held: list[Value] | None = None) -> None:
        """A run that `replays` is in float64 and has the tape's decisions, if it has any; others record. `rounds` seeds the errors."""
        self.tape, self._replays = tape, replays
        self._errors = None if rounds is None else np.random.default_rng(rounds)
        self._read = iter(tape.entries) if replays and tape.entries else None
        self._held = held
        self.stopped: list[Value] = []
        self.near = 0
        self.authors: dict[str, str] | None = None

    def of(self, program: Program, values: Sequence[Value]) -> Tree:
        """The program's result. Raises NoTwinError for an operation that float64 does not have."""
        with jax.enable_x64(True) if self._replays else jax.enable_x64(jax.config.jax_enable_x64):
            given = [self._wide(value) for value in values]
            return program.results([jnp.asarray(each) for each in self._jaxpr(program.closed.jaxpr, program.closed.consts, given)])

    def _jaxpr(self, jaxpr: Jaxpr, consts: list[Value], args: list[Value]) -> list[Value]:
        here: dict[Var, Value] = dict(zip(jaxpr.constvars, map(self._wide, consts), strict=True))
        here.update(zip(jaxpr.invars, args, strict=True))
        read = lambda v: self._wide(v.val) if hasattr(v, "val") else here[v]  # noqa: E731
        for eqn in jaxpr.eqns:
            here.update(zip(eqn.outvars, self._equation(eqn, [read(v) for v in eqn.invars]), strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _equation(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        name, given = eqn.primitive.name, eqn.params
        if is_draw(eqn):
            return self._decided(name, eqn, args, lambda: self._drawn(eqn, args), drawn=True)
        if name in CALLS and CALLS[name] in given:
            inner = given[CALLS[name]]
            if self.authors is not None and name == "custom_vjp_call":
                self._look_at(eqn, inner, args)
            return self._jaxpr(getattr(inner, "jaxpr", inner), getattr(inner, "consts", []), args)
        if name == "scan":
            return self._scan(eqn, args)
        if name == "while":
            return self._while(eqn, args)
        if name == "cond":
            branch = given["branches"][int(np.clip(args[0], 0, len(given["branches"]) - 1))]
            return self._jaxpr(branch.jaxpr, branch.consts, args[1:])
        return self._operation(eqn, args)

    def _operation(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        name = eqn.primitive.name
        floats = [n for n, arg in enumerate(args) if is_float(arg)]
        if self._replays and self._errors is None:
            self.near += near(name, args)
        if name == "select_and_scatter_add":
            return self._maxima(eqn, args)
        if name in ("sort", "top_k") and floats:
            return self._ordered(eqn, args)
        run = lambda: self._bound(eqn, args)  # noqa: E731
        if floats and (name in JUMPS or any(not is_float(v.aval) for v in eqn.outvars)):
            return self._decided(name, eqn, args, run)
        out = run()
        if name == "stop_gradient":
            self.stopped += out
            if self._held is not None and len(self.stopped) <= len(self._held):
                return [self._held[len(self.stopped) - 1]]
        if not self._replays and not self.tape.half and any(str(getattr(each, "dtype", "")) in HALF for each in out):
            self.tape.half = name
        if self._errors is None or name in EXACT:
            return out
        return rounded(eqn, args, out, self._errors)

    def _drawn(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        """A random function in the format that it was traced in: others draw other numbers."""
        if "jaxpr" not in eqn.params:
            return self._bound(eqn, args, narrow=True)
        inner = eqn.params["jaxpr"]
        given = [narrowed(arg, v.aval.dtype) for arg, v in zip(args, eqn.invars, strict=True)]
        return list(map(self._wide, Run(Tape(), replays=False)._jaxpr(inner.jaxpr, inner.consts, given)))

    def _bound(self, eqn: JaxprEqn, args: list[Value], narrow: bool = False) -> list[Value]:
        """The operation itself; `narrow` computes it in float32 in any case, as what makes numbers of bits must be."""
        name, params = eqn.primitive.name, dict(eqn.params)
        if name == "reduce_precision" and self._replays:
            return args
        narrow = narrow or name == "bitcast_convert_type"
        if self._replays and not narrow and name in IN_NUMPY and all(str(v.aval.dtype) in KINDS for v in (*eqn.invars, *eqn.outvars)):
            return [IN_NUMPY[name](*map(np.asarray, args), **params)]
        if self._replays and narrow:
            args = [narrowed(arg, v.aval.dtype) for arg, v in zip(args, eqn.invars, strict=True)]
        elif self._replays:
            params = {key: _widened(value) for key, value in params.items()}
        try:
            out = eqn.primitive.bind(*args, **params)
        except Exception as error:
            if not self._replays:
                raise
            raise NoTwinError(f"{name}{place(eqn)} does not run in float64: {str(error).strip().splitlines()[0][:120]}") from error
        return [self._wide(each) for each in (out if eqn.primitive.multiple_results else [out])]

    def _decided(self, name: str, eqn: JaxprEqn, args: list[Value], run: Callable[[], list[Value]], drawn: bool = False) -> list[Value]:
        """The results, kept on the tape or read from it."""
        if not self._replays:
            out = run()
            self.tape.entries.append((name, out))
            self.tape.draws = self.tape.draws or drawn
            return out
        return run() if self._read is None else [self._wide(each) for each in self._kept(name)]

    def _kept(self, name: str) -> Value | list[Value]:
        assert self._read is not None, "a tape is read by a run that replays"
        entry = next(self._read, ("the end", None))
        if entry[0] != name:
            raise TapeEndsError(f"{name} follows where float32 had {entry[0]}")
        return entry[1]

    def _maxima(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        """The gradient of a pool of maxima, which lie where they lay in float32."""
        if not self._replays:
            self.tape.entries.append((eqn.primitive.name, args[1]))
        elif self._read is not None:
            args = [args[0], self._wide(self._kept(eqn.primitive.name))]
        out = self._bound(eqn, args)
        return out if self._errors is None else rounded(eqn, args, out, self._errors)

    def _ordered(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        """Sorted numbers in the order of float32."""
        name = eqn.primitive.name
        axis = eqn.params.get("dimension", eqn.params.get("axis", -1))
        if not self._replays:
            out = self._bound(eqn, args)
            self.tape.entries.append((name, out[1] if name == "top_k" else order(args, axis, eqn.params["num_keys"])))
            return out
        if self._read is None:
            return self._bound(eqn, args)
        places = np.asarray(self._kept(name))
        if name == "top_k":
            return [np.take_along_axis(np.asarray(args[0]), places, axis), places]
        return [np.take_along_axis(np.asarray(arg), places, axis) for arg in args]

    def _scan(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        given = eqn.params
        consts, carried = _kinds_of(eqn)
        fixed, state, rows = args[:consts], args[consts : consts + carried], args[consts + carried :]
        steps: list[list[Value]] = []
        order = range(given["length"] - 1, -1, -1) if given["reverse"] else range(given["length"])
        for n in order:
            out = self._jaxpr(given["jaxpr"].jaxpr, given["jaxpr"].consts, [*fixed, *state, *(row[n] for row in rows)])
            state = out[:carried]
            steps.append(out[carried:])
        if given["reverse"]:
            steps.reverse()
        empty = [np.zeros(v.shape, v.dtype) for v in given["jaxpr"].out_avals[carried:]]
        columns = [np.stack([np.asarray(each) for each in column]) for column in zip(*steps, strict=True)]
        return [*state, *(columns if steps else [np.zeros((0, *each.shape), each.dtype) for each in empty])]

    def _while(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        given = eqn.params
        first, second = given["cond_nconsts"], given["body_nconsts"]
        of_cond, of_body, state = args[:first], args[first : first + second], args[first + second :]
        cond, body = given["cond_jaxpr"], given["body_jaxpr"]
        while bool(self._jaxpr(cond.jaxpr, cond.consts, [*of_cond, *state])[0]):
            state = self._jaxpr(body.jaxpr, body.consts, [*of_body, *state])
        return state

    def _look_at(self, eqn: JaxprEqn, inner: ClosedJaxpr, args: list[Value]) -> None:
        """Note a function of the user's whose forward pass is flat or changes nothing."""
        assert self.authors is not None, "functions are looked at where they are asked for"
        again = Run(Tape(), replays=False)
        compute = lambda at: again._jaxpr(inner.jaxpr, inner.consts, at)  # noqa: E731
        floats = [n for n, arg in enumerate(args) if is_float(arg)]
        out = np.asarray(compute(args)[0])
        if not floats or not out.size or not np.issubdtype(out.dtype, np.floating):
            return
        moved = [arg * (1 + MOVE) if n in floats else arg for n, arg in enumerate(args)]
        if same := [n for n in floats if np.array_equal(out, args[n])]:
            if is_chosen(eqn, args, same[0]):
                self.authors[function(eqn)] = "changes nothing"
        elif float((np.asarray(compute(moved)[0]) == out).mean()) >= FLAT_SHARE:
            self.authors[function(eqn)] = "is flat"

    def _wide(self, value: Value) -> Value:
        kind = WIDER.get(str(getattr(value, "dtype", ""))) if self._replays else None
        return value if kind is None else np.asarray(value).astype(kind)


def _kinds_of(scan: JaxprEqn) -> tuple[int, int]:
    """How many of a scan's arguments are constants, and how many are carried; JAX 0.11 says it by trees in place of numbers."""
    given = scan.params
    if "num_consts" in given:
        return given["num_consts"], given["num_carry"]
    constants, carried, _ = given["ft_in"].unpack()
    return len(list(constants)), len(list(carried))


def _widened(value: object) -> object:
    """A parameter of an operation for float64: types, and functions of single numbers within it."""
    if isinstance(value, (np.dtype, type)) and str(np.dtype(value)) in WIDER:
        return WIDER[str(np.dtype(value))]
    if hasattr(value, "jaxpr") and hasattr(value, "consts"):
        return _retraced(value.jaxpr, value.consts)
    if hasattr(value, "eqns"):
        return _retraced(value, []).jaxpr
    return value


def _retraced(jaxpr: Jaxpr, consts: list[Value]) -> ClosedJaxpr:
    run = Run(Tape(), replays=False)
    avals = [jax.ShapeDtypeStruct(v.aval.shape, WIDER.get(str(v.aval.dtype), v.aval.dtype)) for v in jaxpr.invars]
    return jax.make_jaxpr(lambda *at: run._jaxpr(jaxpr, consts, list(at)))(*avals)
