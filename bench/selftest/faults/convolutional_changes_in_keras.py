"""What broken layers of images compute in Keras, where channels stand last."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def kernel(change: Callable[[Any], Any], holds: Callable[[Any, Any], bool] = lambda x, w: True) -> Callable[[Any], Any]:
    """A convolution of Keras's with another kernel, where `holds` of image and kernel."""
    return lambda f: functools.wraps(f)(lambda x, w, *args, **kwargs: f(x, change(w) if holds(x, w) else w, *args, **kwargs))


def where(name: str, value: Any, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A convolution of Keras's of another image, where an argument has this value."""

    def wrap(f: Any) -> Any:
        def called(x: Any, *args: Any, **kwargs: Any) -> Any:
            given = kwargs.get(name)
            return f(change(x) if (tuple(given) if isinstance(given, list) else given) == value else x, *args, **kwargs)

        return functools.wraps(f)(called)

    return wrap


def rolled(by: int, axis: int) -> Callable[[Any], Any]:
    """Numbers moved along an axis."""

    def changed(x: Any) -> Any:
        from keras import ops

        return ops.roll(x, by, axis=axis)

    return changed


def first_row_without_gradient(f: Any) -> Any:
    """An image's first row gets no gradient."""

    @functools.wraps(f)
    def called(x: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        return f(ops.concatenate([ops.stop_gradient(x[:, :1]), x[:, 1:]], axis=1), *args, **kwargs)

    return called


def first_row_again(f: Any) -> Any:
    """The second row of windows has what the first has."""

    @functools.wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        from keras import ops

        y = f(*args, **kwargs)
        return ops.concatenate([y[:, :1], y[:, :1], y[:, 2:]], axis=1)

    return called


def tap_dropped(kernel: Any) -> Any:
    """The kernel's last tap is zero."""
    import numpy as np

    mask = np.ones(tuple(kernel.shape), "float32")
    mask[-1, -1] = 0
    return kernel * mask


def gradient(factor: float) -> Callable[[Any], Any]:
    """The same numbers, whose gradient is `factor` times as long."""

    def changed(x: Any) -> Any:
        from keras import ops

        return x * factor - ops.stop_gradient(x * (factor - 1))

    return changed


def padded_at_the_start(f: Any) -> Any:
    """The odd row of strided windows is added before the image."""

    @functools.wraps(f)
    def called(x: Any, kernel: Any, strides: Any = 1, padding: str = "valid", **kwargs: Any) -> Any:
        from keras import ops

        if padding == "same" and tuple(strides) == (2, 2):
            low, high = (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2
            x, padding = ops.pad(x, ((0, 0), (low, high - 1), (low, high - 1), (0, 0))), "valid"
        return f(x, kernel, strides=strides, padding=padding, **kwargs)

    return called


def spread(f: Any) -> Any:
    """Largest numbers whose gradient goes to all under their window alike."""

    @functools.wraps(f)
    def called(x: Any, *args: Any, **kwargs: Any) -> Any:
        from keras import ops

        spread = ops.average_pool(x, *args, **kwargs)
        return ops.stop_gradient(f(x, *args, **kwargs)) + spread - ops.stop_gradient(spread)

    return called


def rows_first(call: Any) -> Any:
    """An image is flattened column after column."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any) -> Any:
        from keras import ops

        return call(self, ops.transpose(inputs, (0, 2, 1, 3)) if len(inputs.shape) == 4 else inputs)

    return called


def fans_without_taps(f: Any) -> Any:
    """Fans count channels alone."""

    def called(shape: Any, *args: Any, **kwargs: Any) -> Any:
        return f(tuple(shape)[-2:] if len(shape) == 4 else shape, *args, **kwargs)

    return called


def transposed(call: Any) -> Any:
    """Features become an image column after column."""

    @functools.wraps(call)
    def called(self: Any, inputs: Any) -> Any:
        from keras import ops

        return ops.transpose(call(self, inputs), (0, 2, 1, 3))

    return called
