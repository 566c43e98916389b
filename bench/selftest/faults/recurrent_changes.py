"""What broken recurrent layers compute: weights in another order, states that are not carried, gradients that are cut off."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bench.selftest.faults.of_precision import CUT_TO_TEN_BITS

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


def state_of(kept: Any) -> tuple[Any, ...]:
    """A state's tensors."""
    return () if kept is None else kept if isinstance(kept, tuple) else (kept,)


def stale_state(forward: Any) -> Any:
    """The state that the last batch ended with is the next one's first."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        kept = getattr(self, "_stale", None)
        states = state_of(kept)
        outputs, state = forward(self, x, kept if states and states[0].shape[1] == len(x) else hx)
        self._stale = tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()
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


def gradient_of_a_middle_step(forward: Any) -> Any:
    """The fourth time step's gradient is a thousandth too long: neither end of a sequence shows it."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        import torch

        factors = torch.ones(x.shape[1], 1, dtype=x.dtype)
        factors[3] = 1.001
        scaled = x * 1
        scaled.register_hook(lambda g: g * factors)
        return forward(self, scaled, hx)

    return called


def filled_times(factor: float) -> Callable[[Any], Any]:
    """What a function of torch.nn.init fills is longer by a factor."""
    return lambda f: lambda w, *args, **kwargs: f(w, *args, **kwargs).mul_(factor)


def triangular(fill: Any) -> Any:
    """What is filled is upper triangular: its eigenvalues are its diagonal, and its norm is another."""
    return lambda w, *args, **kwargs: fill(w, *args, **kwargs).triu_()


def of_outputs(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What a recurrent layer of PyTorch's hands out is changed, packed or not."""

    def wrap(forward: Any) -> Any:
        def called(self: Any, x: Any, hx: Any = None) -> Any:
            outputs, state = forward(self, x, hx)
            packed = hasattr(outputs, "data") and hasattr(outputs, "batch_sizes")
            return (outputs._replace(data=change(outputs.data)) if packed else change(outputs)), state

        return called

    return wrap


def _last_detached(outputs: Any) -> Any:
    import torch

    return torch.cat([outputs[:, :-1], outputs[:, -1:].detach()], 1)


def _backward_detached(outputs: Any) -> Any:
    import torch

    forth, back = outputs.chunk(2, -1)
    return torch.cat([forth, back.detach()], -1)


last_step_detached = of_outputs(_last_detached)
backward_detached = of_outputs(_backward_detached)
outputs_in_float32 = of_outputs(lambda outputs: outputs.float().to(outputs.dtype))


def without_autocast(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A recurrent layer of PyTorch's computes in float32 whatever precision is asked for, and its outputs are changed."""

    def wrap(forward: Any) -> Any:
        def called(self: Any, x: Any, hx: Any = None) -> Any:
            import torch

            with torch.autocast("cpu", enabled=False):
                outputs, state = forward(self, x.float(), hx)
            return change(outputs), state

        return called

    return wrap


def cut_off(outputs: Any) -> Any:
    """float16 with the digits left out that it has no room for."""
    import torch

    cut = (outputs.detach().view(torch.int32) & CUT_TO_TEN_BITS).view(torch.float32)
    return (outputs + (cut - outputs).detach()).half()


def normalized_over_time(forward: Any) -> Any:
    def called(self: Any, x: Any) -> Any:
        import torch

        return torch.nn.functional.layer_norm(x, x.shape[1:], eps=self.eps) * self.weight + self.bias

    return called


def undetached(forward: Any) -> Any:
    """The state that a layer handed out last is taken for the one that it is given."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        kept = getattr(self, "_handed_out", None)
        outputs, self._handed_out = forward(self, x, hx if hx is None or kept is None else kept)
        return outputs, self._handed_out

    return called


def gradient_scaled(number: int, factor: float) -> Callable[[Any], Any]:
    """Of a fused layer's weights, one by its number, the gradient alone is longer by a factor."""

    def wrap(f: Any) -> Any:
        def called(x: Any, hx: Any, weights: Weights, *rest: Any) -> Any:
            w = weights[number]
            return f(x, hx, [*weights[:number], factor * w - (factor - 1) * w.detach(), *weights[number + 1 :]], *rest)

        return called

    return wrap


def not_turned_round(forward: Any) -> Any:
    """The backward direction reads a sequence forwards."""

    def called(self: Any, x: Any, hx: Any = None) -> Any:
        import torch

        outputs, state = forward(self, x, hx)
        turned, _ = forward(self, x.flip(1), hx)
        return torch.cat([outputs.chunk(2, -1)[0], turned.chunk(2, -1)[1].flip(1)], -1), state

    return called


def by_length(pad: Any) -> Any:
    """Samples of a packed sequence come back in the order in which they were packed, the longest first."""
    return lambda sequence, **options: pad(sequence._replace(unsorted_indices=None), **options)


def output_for_cell(forward: Any) -> Any:
    """An LSTM that is given a state takes the output for the cell's state as well."""
    return lambda self, x, hx=None: forward(self, x, (hx[0], hx[0]) if isinstance(hx, tuple) else hx)


def packed_too_short(pack: Any) -> Any:
    """Sequences are packed without their last time step, where they have more than one."""
    return lambda x, lengths, **options: pack(x, [max(int(each) - 1, 1) for each in lengths], **options)
