"""Gradients with respect to tensors inside a pass, for libraries that differentiate with respect to arguments only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from models.backends.keras.libraries import Side, Tapped, Tensor

Differentiate = Callable[[Callable[[list[Tensor]], tuple[Tensor, Side]], list[Tensor]], tuple[Tensor, Side, list[Tensor]]]
"""Value, side results and gradient of a function of tensors."""


def by_added_zeros(
    gradient: Differentiate, function: Tapped, shapes: Mapping[str, tuple[int, ...]], dtype: str
) -> Callable[..., tuple[Tensor, Side, dict[str, Tensor]]]:
    """Value and side results of a pass, and the gradient with respect to a zero that is added to every tapped tensor."""

    def differentiated(*given: Any) -> tuple[Tensor, Side, dict[str, Tensor]]:  # whatever the pass takes
        zeros = [ops.zeros(shape, dtype=dtype) for shape in shapes.values()]

        def shifted(offsets: list[Tensor]) -> tuple[Tensor, Side]:
            named = dict(zip(shapes, offsets, strict=True))
            return function(lambda name, tensor: tensor + ops.cast(named[name], tensor.dtype), *given)

        value, side, slopes = gradient(shifted, zeros)
        return value, side, dict(zip(shapes, slopes, strict=True))

    return differentiated
