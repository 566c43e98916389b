"""What broken recurrent layers compute: weights in another order, states that are not carried, gradients that are cut off."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Weights = list[Any]


def torch_weights(change: Callable[[Weights], Weights], holds: Callable[..., bool] = lambda *rest: True) -> Callable[[Any], Any]:
    """A fused layer of PyTorch's on other weights; `holds(*rest)` is asked with what follows weights: biases, layers, dropout, train,
    bidirectional, batch first.
    """
    return lambda f: lambda x, hx, weights, *rest: f(x, hx, change(list(weights)) if holds(*rest) else weights, *rest)


def blocks(count: int, change: Callable[[Weights], Weights]) -> Callable[[Weights], Weights]:
    """Change the gates of every weight and bias."""

    def changed(weights: Weights) -> Weights:
        import torch

        return [torch.cat(change(list(w.chunk(count)))) for w in weights]

    return changed


def forget_bias_lost(weights: Weights) -> Weights:
    return [*weights[:2], *blocks(4, lambda gate: [gate[0], 0 * gate[1], *gate[2:]])(weights[2:])]


def stale_state(forward: Any) -> Any:
    """The state that the last batch ended with is the next one's first."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        kept = getattr(self, "_stale", None)
        outputs, state = forward(self, x, kept if kept is not None and kept.shape[1] == len(x) else hx)
        self._stale = state.detach()
        return outputs, state

    return called


def first_step_detached(forward: Any) -> Any:
    """Truncation one step too early: nothing passes back into the first time step's state."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        import torch

        first, state = forward(self, x[:, :1], hx)
        rest, state = forward(self, x[:, 1:], tuple(each.detach() for each in state))
        return torch.cat([first, rest], 1), state

    return called


def reset_before(gru: Any) -> Any:
    """PyTorch's GRU with the reset gate applied before the product."""

    def called(x: Any, hx: Any, weights: Weights, *rest: Any) -> Any:
        import torch

        (w, r, b, c), h, outputs = weights, hx[0], []
        for step in x.unbind(1):
            (xr, xz, xn), (hr, hz, _) = (step @ w.T + b).chunk(3, 1), (h @ r.T + c).chunk(3, 1)
            reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            n = torch.tanh(xn + (reset * h) @ r.chunk(3)[2].T + c.chunk(3)[2])
            h = (1 - update) * n + update * h
            outputs.append(h)
        return torch.stack(outputs, 1), h[None]

    return called


def in_the_first_call(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A fault that shows once, until a layer has warmed up."""

    def wrap(original: Any) -> Any:
        changed, count = change(original), [0]

        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            return (changed if count[0] == 1 else original)(*args, **kwargs)

        return called

    return wrap


def gradient_by_time(forward: Any) -> Any:
    """Each time step's gradient is a thousandth larger than the next one's, beside what it should be."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        import torch

        factors = 1.001 ** torch.arange(x.shape[1], 0, -1, dtype=x.dtype)[None, :, None]
        scaled = x * 1
        scaled.register_hook(lambda g: g * factors)
        return forward(self, scaled, hx)

    return called


def filled_times(factor: float) -> Callable[[Any], Any]:
    """What a function of torch.nn.init fills is longer by a factor."""
    return lambda f: lambda w, *args, **kwargs: f(w, *args, **kwargs).mul_(factor)


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


def first_output_scaled(call: Any) -> Any:
    """A cell's output, and not its state, is a thousandth too long."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        output, after = call(self, inputs, states, training=training, **kwargs)
        return output * 1.001, after

    return called
