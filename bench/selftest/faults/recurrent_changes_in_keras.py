"""What broken recurrent layers of Keras compute: cells, scans and masks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.recurrent_changes import Weights


def keras_blocks(count: int, change: Callable[[Weights], Weights]) -> Callable[[Any], Any]:
    """Change the gates of a kernel, which Keras has along the last axis."""

    def changed(kernel: Any) -> Any:
        from keras import ops

        return ops.concatenate(change(list(ops.split(kernel, count, axis=-1))), axis=-1)

    return changed


def hard_sigmoid(activation: Any) -> Any:
    import keras

    return keras.activations.hard_sigmoid


def state_without_gradient(call: Any) -> Any:
    """A step does not hand gradients back to the step before."""

    @functools.wraps(call)  # Keras reads the signature of `call`
    def called(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:
        from keras import ops

        return call(self, inputs, [ops.stop_gradient(state) for state in states], training=training)

    return called


def begins_at(value: float) -> Callable[[Any], Any]:
    """The first state is not zero."""
    return lambda f: lambda self, batch_size: [state + value for state in f(self, batch_size)]


def unrolled_otherwise(rnn: Any) -> Any:
    def called(*args: Any, unroll: bool = False, **kwargs: Any) -> Any:
        last, outputs, states = rnn(*args, unroll=unroll, **kwargs)
        return last, outputs * 1.001 if unroll else outputs, states

    return called


def masked_loss_doubled(reduce: Any) -> Any:
    """A loss is twice as large where the outputs carry a mask."""
    return lambda values, sample_weight=None, mask=None, **kwargs: (
        reduce(values, sample_weight=sample_weight, mask=mask, **kwargs) * (1 if mask is None else 2)
    )


def first_output_scaled(call: Any) -> Any:
    """A cell's output, and not its state, is a thousandth too long."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        output, after = call(self, inputs, states, training=training, **kwargs)
        return output * 1.001, after

    return called


def state_in_float32(call: Any) -> Any:
    """A step's output and state are rounded to float32."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:
        from keras import ops

        output, after = call(self, inputs, states, training=training)
        near = [ops.cast(ops.cast(each, "float32"), each.dtype) for each in (output, *after)]
        return near[0], near[1:]

    return called


def half_a_gradient_backwards(call: Any) -> Any:
    @functools.wraps(call)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        outputs = call(self, *args, **kwargs)
        return (outputs + ops.stop_gradient(outputs)) / 2 if self.go_backwards else outputs

    return called


def second_bias_twice(bias: Any) -> Any:
    from keras import ops

    return ops.stack([bias[0], 2 * bias[1]])


def mask_ignored_at_the_beginning(rnn: Any) -> Any:
    """A step counts as within a sample where any later one does."""

    def called(*args: Any, mask: Any = None, **kwargs: Any) -> Any:
        from keras import ops

        if mask is not None:
            mask = ops.flip(ops.cumsum(ops.cast(ops.flip(mask, 1), "int32"), 1) > 0, 1)
        return rnn(*args, mask=mask, **kwargs)

    return called


def scanned_otherwise(scan: Any) -> Any:
    def called(*args: Any, **kwargs: Any) -> Any:
        carried, outputs = scan(*args, **kwargs)
        return carried, [1.001 * each for each in outputs]

    return called


def compiled_otherwise(call: Any) -> Any:
    """A cell's output is a thousandth too long in a graph alone."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:
        import tensorflow

        output, after = call(self, inputs, states, training=training)
        return (output if tensorflow.executing_eagerly() else output * 1.001), after

    return called


def handed_on_in_float32(call: Any) -> Any:
    @functools.wraps(call)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        return ops.cast(call(self, *args, **kwargs), "float32")

    return called


def half_learned(solve: Any) -> Any:
    """No gradient passes to the matrix of the equations."""

    def called(a: Any, b: Any) -> Any:
        from keras import ops

        return solve(ops.stop_gradient(a), b)

    return called


def mask_drawn_anew(get: Any) -> Any:
    return lambda self, inputs: self._create_dropout_mask(inputs, self.dropout) if self.dropout > 0 else get(self, inputs)


def carried_state_dropped(call: Any) -> Any:
    """What a GRU carries past its gates is dropped with the first gate's mask as well."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:
        if not (training and self.recurrent_dropout):
            return call(self, inputs, states, training=training)
        before = states[0]
        return call(self, inputs, [before * self.get_recurrent_dropout_mask(before)[0]], training=training)

    return called


def stateful_outputs_scaled(call: Any) -> Any:
    @functools.wraps(call)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = call(self, *args, **kwargs)
        return outputs * 1.001 if self.stateful else outputs

    return called


def mask_ends_late(rnn: Any) -> Any:
    """The first step after a sample's end counts as within it."""

    def called(*args: Any, mask: Any = None, **kwargs: Any) -> Any:
        from keras import ops

        if mask is not None:
            mask = ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, :-1]], axis=1)
        return rnn(*args, mask=mask, **kwargs)

    return called


def mask_not_turned_round(rnn: Any) -> Any:
    """A direction that reads backwards takes the mask forwards."""

    def called(*args: Any, mask: Any = None, go_backwards: bool = False, **kwargs: Any) -> Any:
        from keras import ops

        turned = ops.flip(mask, axis=1) if mask is not None and go_backwards else mask
        return rnn(*args, mask=turned, go_backwards=go_backwards, **kwargs)

    return called


def mean_of_directions(call: Any) -> Any:
    """Both halves of the result are the mean of both directions."""

    @functools.wraps(call)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        forth, back = ops.split(call(self, *args, **kwargs), 2, axis=-1)
        return ops.concatenate([(forth + back) / 2] * 2, axis=-1)

    return called


def state_ignored(call: Any) -> Any:
    @functools.wraps(call)
    def called(self: Any, sequences: Any, initial_state: Any = None, **kwargs: Any) -> Any:
        return call(self, sequences, **kwargs)

    return called


def directions_alike(build: Any) -> Any:
    """The backward direction begins with the forward direction's input weights."""

    @functools.wraps(build)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        build(self, *args, **kwargs)
        self.backward_layer.cell.kernel.assign(self.forward_layer.cell.kernel)

    return called


def gate_by_gate(draw: Any) -> Any:
    """An orthogonal matrix for every gate, where Keras promises one for all."""

    def called(self: Any, shape: Any, dtype: Any = None) -> Any:
        from keras import ops

        square = shape[0], shape[0]
        return ops.concatenate([draw(self, square, dtype) for _ in range(shape[1] // shape[0])], axis=1)

    return called


def gradient_short(activation: Any) -> Any:
    """An activation's gradient is a thousandth too short, its value right."""

    def called(x: Any) -> Any:
        from keras import ops

        y = activation(x)
        return 0.999 * y + 0.001 * ops.stop_gradient(y)

    return called
