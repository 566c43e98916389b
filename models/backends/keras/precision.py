"""In which precision Keras builds and computes what follows."""

from __future__ import annotations

import keras

from models.backends.keras.libraries import LIBRARY, Tensor
from models.spec import Spec


def begin_session() -> None:
    """Forget the models built so far, the training steps that were traced for them included."""
    LIBRARY.forget_traces()
    keras.backend.clear_session()


def compute_in(precision: str) -> None:
    """Build what follows in `precision`, float32 or float64."""
    keras.config.set_floatx(precision)
    LIBRARY.allow_float64(precision == "float64")
    LIBRARY.allow_tf32(False)


def compute_as(spec: Spec) -> None:
    """Build what follows in the spec's precision."""
    compute_in(spec.format.held)
    keras.mixed_precision.set_dtype_policy(spec.format.keras)
    LIBRARY.allow_tf32(spec.format.tf32)


def format_of(tensor: Tensor) -> str:
    """The name of a tensor's format, as NumPy has it."""
    return str(keras.backend.standardize_dtype(tensor.dtype))
