"""A float64 twin of a Keras model on TensorFlow: built again where float64 is the default, each operation rounded as float32 rounds.

TensorFlow's eager operations pass through one of two functions. While these are replaced here, their results can be rounded, and what
they decide and draw can be kept in float32 and given to float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import tensorflow as tf
from tensorflow import Tensor
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import execute

from models.arrays import Array
from models.backends.keras.libraries import Side
from models.backends.keras.own.twins import products
from models.backends.keras.own.twins.depthwise import depthwise_in_float64
from models.backends.keras.own.twins.float64 import float64_by_default as float64_by_default
from models.backends.keras.own.twins.tensorflow_functions import surrogates as by_their_authors
from models.own.errors import uniform
from models.own.gauge import TapeEndsError
from models.own.passes import NEAR
from models.own.sums import CHANNELS, off_by_rows, times

AMPLITUDE = 2.0**-24 * 3**0.5
"""Largest relative change of one rounded number; uniform, its root mean square is float32's unit roundoff."""
EXECUTE = "TFE_Py_FastPathExecute"
EXACT = {
    "Identity", "Reshape", "Cast", "ReadVariableOp", "Relu", "Relu6", "ReluGrad", "Relu6Grad", "MaxPool", "MaxPoolGrad", "ConcatV2",
    "StridedSlice", "StridedSliceGrad", "Slice", "Transpose", "Fill", "Tile", "Pad", "PadV2", "MirrorPad", "GatherV2", "SelectV2",
    "Select", "Neg", "ExpandDims", "Squeeze", "Pack", "Unpack", "Split", "SplitV", "BroadcastTo", "StopGradient", "ResourceGather",
    "OneHot", "Range", "ZerosLike", "OnesLike", "Maximum", "Minimum", "AssignVariableOp", "ReverseV2", "Sign", "Floor", "Round", "Ceil",
    "Max", "Min", "Abs", "PreventGradient", "EnsureShape", "TopKV2", "DynamicStitch", "SpaceToBatchND", "BatchToSpaceND", "LinSpace",
    "ConjugateTranspose", "LeakyRelu", "Const", "TensorListStack", "Where", "MatrixDiagV3", "MatrixBandPart",
}  # fmt: skip
"""Operations that move, choose or make numbers and round none."""
CONVOLUTIONS = {
    "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2",
    "DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput", "DepthwiseConv2dNativeBackpropFilter",
}  # fmt: skip
"""Operations that add up a window, with channels last."""
JUMPS = {"Sign", "Floor", "Round", "Ceil", "Rint"}
"""Operations whose results jump."""
REBUILT = True
"""The model is built again in float64."""
TAKES_ALL = False
"""What is not given is read where it is."""


def _largest(x: Tensor, output: Tensor, g: Tensor, *settings: object) -> Tensor:
    """Where in x the largest number of each window is."""
    given = dict(zip(settings[::2], settings[1::2], strict=False))
    window = given["ksize"], given["strides"], given["padding"]
    return tf.nn.max_pool_with_argmax(tf.cast(x, tf.float32), *window, include_batch_in_index=True).argmax


def _to_the_largest(places: Tensor, x: Tensor, output: Tensor, g: Tensor, *settings: object) -> Tensor:
    """The gradient of each window's largest number, put where it was."""
    size = tf.constant([x.shape.num_elements()], places.dtype)
    return tf.reshape(tf.scatter_nd(tf.reshape(places, [-1, 1]), tf.reshape(g, [-1]), size), x.shape)


KINKS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "ReluGrad": (lambda g, x: x > 0, lambda zone, g, x: tf.where(zone, g, tf.zeros_like(g))),
    "Relu6Grad": (lambda g, x: (x > 0) & (x < 6), lambda zone, g, x: tf.where(zone, g, tf.zeros_like(g))),
    "MaxPoolGrad": (_largest, _to_the_largest),
    "LeakyReluGrad": (lambda g, x, *_: x > 0, lambda zone, g, x, _, alpha: tf.where(zone, g, alpha * g)),
}
"""Gradients that jump: on which side of its kink each input lies, and the slope given the sides."""

Entry = tuple[str, list[Tensor]]
"""An operation and what it decided."""
Input = Any
"""An argument of an operation: a tensor, or a setting of any kind."""
Result: TypeAlias = Tensor | list[Tensor] | object
"""What an operation returns: a tensor or several, or a handle of something else."""


def differentiate(
    loss_of: Callable[..., tuple[Tensor, Side]], values: list[Tensor]
) -> tuple[Tensor, Side, list[Tensor | None], dict[str, Tensor]]:
    """Value, side results and gradients of variables and of every tapped layer, by one tape."""
    tapped: dict[str, Tensor] = {}
    with tf.GradientTape() as tape:
        tape.watch(values)

        def tap(name: str, tensor: Tensor) -> Tensor:
            tapped[name] = tf.identity(tensor)
            return tapped[name]

        loss, side = loss_of(values, tap)
    slopes, deltas = tape.gradient(loss, (values, tapped))
    return loss, side, slopes, deltas


class Operations:
    """Stands in the place of TensorFlow's eager execution: records decisions and draws, or replays them, and rounds results."""

    def __init__(self, tape: list[Entry] | None = None, rounded: int | None = None, held: list[Tensor] | None = None) -> None:
        """Without a `tape` decisions are recorded on a new one; with it they are replayed. `rounded` seeds the errors.

        Values whose gradient the model stops are kept in `stopped`; where they are `held`, those take their places.
        """
        self.tape: list[Entry] = [] if tape is None else tape
        self.half, self.near, self.counts_near = "", 0, False
        self._place, self._replays = 0, bool(tape)
        self.stopped: list[Tensor] = []
        self._held = held
        self._errors = None if rounded is None else np.random.default_rng(rounded)
        self._execute: Callable[..., Result] = getattr(pywrap_tfe, EXECUTE)
        self._execute_slowly: Callable[..., Result] = execute.execute
        self._busy = False

    @contextlib.contextmanager
    def inside(self) -> Iterator[Operations]:
        """Operations in here pass through this object. Raises NoTwinError where this TensorFlow executes otherwise."""
        with (
            mock.patch.object(pywrap_tfe, EXECUTE, self._run),
            mock.patch.object(execute, "execute", self._run_slowly),
            depthwise_in_float64(),
        ):
            yield self

    differentiate = staticmethod(differentiate)

    def evaluate(self, function: Callable[[list[Tensor]], Side], values: Iterable[Array]) -> Side:
        """The function of tensors."""
        return function([tf.convert_to_tensor(value) for value in values])

    def _run(self, context: object, operation: str, name: object, *inputs: Input) -> Result:
        if self._busy:
            return self._execute(context, operation, name, *inputs)
        result = self._execute(context, operation, name, *inputs)
        self._busy = True
        try:
            return self._changed(operation, inputs, result)
        finally:
            self._busy = False

    def _run_slowly(
        self, op_name: str | bytes, num_outputs: int, inputs: list[Input], attrs: tuple[Input, ...] | None, ctx: object, name: object = None
    ) -> Result:
        """What the fast function does not take: lists in the place of tensors, for example, and compiled functions."""
        operation = op_name if isinstance(op_name, bytes) else str(op_name).encode()
        result = self._execute_slowly(op_name, num_outputs, inputs=inputs, attrs=attrs, ctx=ctx, name=name)
        if self._busy:
            return result
        self._busy = True
        try:
            return self._changed(operation.decode(), (*inputs, *(attrs or ())), result)
        finally:
            self._busy = False

    def _changed(self, operation: str, inputs: tuple[Input, ...], result: Result) -> Result:
        several = isinstance(result, list)
        tensors = [each for each in (result if isinstance(result, list) else [result]) if isinstance(each, tf.Tensor)]
        if not tensors:
            return result
        if not self.half and any(each.dtype in (tf.float16, tf.bfloat16) for each in tensors):
            self.half = operation
        if self.counts_near:
            self.near += _near(operation, inputs)
        if operation == "StopGradient":
            self.stopped += tensors
            if self._held is not None and len(self.stopped) <= len(self._held):
                tensors = [self._held[len(self.stopped) - 1]]
                return tensors if several else tensors[0]
        if _decides(operation, inputs, tensors):
            tensors = self._decided(operation, inputs, tensors)
        if self._errors is not None and operation not in EXACT and "Random" not in operation:
            terms, summed = _terms(operation, inputs), _summed_terms(operation, inputs)
            if operation in products.TURNED and tensors[0].dtype == tf.float64:
                left, right, *given = inputs
                summed, size = products.of_tensorflow(operation, left, right, given, tensors[0])
                terms = {} if size is None else {0: tf.constant(size)}
            tensors = [
                self._rounded(each, terms.get(place), times(summed, each.shape.num_elements() or 1)) for place, each in enumerate(tensors)
            ]
            if operation in ("Sum", "Mean", "BiasAddGrad"):
                tensors = [self._summed(operation, inputs, tensors[0])]
            if operation == "UnsortedSegmentSum" and tensors[0].dtype == tf.float64:
                tensors = [tensors[0] + tf.constant(off_by_rows(inputs[0].numpy(), inputs[1].numpy(), tuple(tensors[0].shape)))]
        return tensors if several else tensors[0]

    def _decided(self, operation: str, inputs: tuple[Input, ...], tensors: list[Tensor]) -> list[Tensor]:
        if not self._replays:
            kept = [KINKS[operation][0](*inputs)] if operation in KINKS else tensors
            self.tape.append((operation, kept))
            return tensors
        entry = self.tape[self._place] if self._place < len(self.tape) else ("the end", [])
        self._place += 1
        if entry[0] != operation or (operation not in KINKS and [e.shape for e in entry[1]] != [t.shape for t in tensors]):
            raise TapeEndsError(f"{operation} follows where float32 had {entry[0]}")
        if operation in KINKS:
            return [KINKS[operation][1](entry[1][0], *inputs)]
        if operation == "TopKV2":
            return [tf.gather(inputs[0], entry[1][1], batch_dims=entry[1][1].ndim - 1), entry[1][1]]
        return [tf.cast(kept, here.dtype) for kept, here in zip(entry[1], tensors, strict=True)]

    def _rounded(self, x: Tensor, terms: Tensor | None, roundings: float) -> Tensor:
        if x.dtype != tf.float64 or not x.shape.num_elements() or (x.shape.num_elements() == 1 and np.all(np.float32(x) == x)):
            return x  # a number that float32 holds is a constant, such as an exponent less 1
        assert self._errors is not None, "rounding takes errors"
        reach = AMPLITUDE * roundings
        if terms is not None:
            return x + tf.stop_gradient(terms) * tf.constant(uniform(self._errors, tuple(x.shape), reach))
        return x * tf.constant(uniform(self._errors, tuple(x.shape), reach, around=1.0))

    def _summed(self, operation: str, inputs: tuple[Input, ...], out: Tensor) -> Tensor:
        """A sum as TensorFlow's CPU kernels make it along outer axes: one term after the other in float32, here in an order of its own.

        Measured on 2.21: over 1,600 and 102,400 terms `reduce_sum` is 5 and 41 roundings off, and a bias's gradient 10 and 260.
        """
        x = inputs[0]
        if x.dtype != tf.float64 or x.shape.num_elements() in (0, None):
            return out
        kept = (x.ndim - 1,) if operation == "BiasAddGrad" else tuple(sorted(set(range(x.ndim)) - _axes(inputs[1], x.ndim)))
        summed = tuple(axis for axis in range(x.ndim) if axis not in kept)
        terms = np.transpose(x.numpy(), (*summed, *kept)).reshape(-1, int(np.prod([x.shape[axis] for axis in kept], dtype=int)))
        if len(terms) < 2:
            return out
        assert self._errors is not None, "rounding takes errors"
        terms = self._errors.permutation(terms, axis=0)
        off = (np.cumsum(terms, axis=0, dtype=np.float32)[-1] - terms.sum(axis=0)) / (len(terms) if operation == "Mean" else 1)
        return out + tf.constant(off.reshape(out.shape))


def _summed_terms(operation: str, inputs: tuple[Input, ...]) -> int:
    """How many terms a pooling, a convolution, its input's or its kernel's gradient adds one after the other; 1 of other operations."""
    if operation in ("AvgPool", "AvgPool3D"):
        return int(np.prod(dict(zip(inputs[1::2], inputs[2::2], strict=False))["ksize"]))
    if operation not in CONVOLUTIONS or not all(isinstance(each, tf.Tensor) for each in inputs[:2]):
        return 1
    if operation.startswith(("Conv2DBackpropFilter", "Conv3DBackpropFilter", "DepthwiseConv2dNativeBackpropFilter")):
        g = inputs[2]
        return g.shape.num_elements() // g.shape[-1]
    *window, below, above = inputs[1].shape
    channels = 1 if operation.startswith("Depthwise") else above if "Backprop" in operation else below
    return min(channels, CHANNELS) * int(np.prod(window))


def _axes(axes: Tensor | Array, rank: int) -> set[int]:
    """The axes that a reduction sums over."""
    return {int(axis) % rank for axis in np.ravel(axes.numpy() if isinstance(axes, tf.Tensor) else axes)}


def _terms(operation: str, inputs: tuple[Input, ...]) -> dict[int, Tensor]:
    """How large the terms are that a fused operation's results are differences of, by the result's number.

    One rounding of a result says too little of 1 − p for a probability p near 1: the float32 kernel rounds p.
    """
    if operation not in ("SparseSoftmaxCrossEntropyWithLogits", "SoftmaxCrossEntropyWithLogits"):
        return {}
    logits = inputs[0]
    label = tf.one_hot(inputs[1], logits.shape[-1], dtype=logits.dtype) if operation.startswith("Sparse") else inputs[1]
    return {0: tf.reduce_max(tf.abs(logits), -1) + tf.abs(tf.reduce_logsumexp(logits, -1)), 1: tf.nn.softmax(logits) + label}


def _near(operation: str, inputs: tuple[Input, ...]) -> int:
    """How many of an operation's decisions change where its numbers move by NEAR of their rms: what rounding could turn."""
    if operation in KINKS and operation != "MaxPoolGrad":
        x, at = inputs[1], 6.0 if operation == "Relu6Grad" else 0.0
        reach = NEAR * tf.sqrt(tf.reduce_mean(tf.square(x)))
        found = tf.abs(x - at) < reach
        return int(tf.reduce_sum(tf.cast((found | (tf.abs(x) < reach)) & (x != 0), tf.int32)))
    if operation == "MaxPoolGrad":
        x, output, *rest = tf.cast(inputs[0], tf.float32), *inputs[1:]
        reach = tf.cast(NEAR * tf.sqrt(tf.reduce_mean(tf.square(output))), tf.float32)
        noise = tf.sign(tf.random.stateless_uniform(x.shape, (0, 1), -1.0, 1.0)) * reach
        places = [_largest(each, output, *rest) for each in (x, x + noise, x - noise)]
        # Among equal numbers either may be chosen: those are dead units or copies, and no decision.
        values = [tf.gather(tf.reshape(x, [-1]), place) for place in places]
        return int(tf.reduce_sum(tf.cast((values[0] != values[1]) | (values[0] != values[2]), tf.int32)))
    return 0


def _decides(operation: str, inputs: tuple[Input, ...], tensors: list[Tensor]) -> bool:
    if operation in KINKS or operation in JUMPS or "Random" in operation or operation == "Multinomial":
        return operation != "StatelessRandomGetKeyCounter"
    floats = any(isinstance(each, tf.Tensor) and each.dtype.is_floating for each in inputs)
    places = any(each.dtype.is_bool or each.dtype.is_integer for each in tensors)
    return floats and places and operation not in ("Shape", "ShapeN", "Size", "Rank")


recording = Operations
"""A float32 pass whose decisions and draws are kept."""
replay = Operations
"""A pass of the model that was built in float64."""


def draws(tape: list[Entry]) -> bool:
    """Whether any number of the pass is random."""
    return any("Random" in operation for operation, _ in tape)


def surrogates(run: Callable[[Operations], object]) -> dict[str, str]:
    """Functions of the user's that are flat or change nothing, by name."""
    with by_their_authors() as found:
        run(Operations())
    return found
