"""In which precision Keras builds and computes what follows."""

from __future__ import annotations

import keras

from models.backends.keras.libraries import LIBRARY, Tensor
from models.spec import Spec

_theirs: list[tuple[str, keras.DTypePolicy]] = []
"""What was configured before this suite's own networks set another precision; empty while they have set none."""


def begin_session() -> None:
    """Forget the models built so far, the training steps that were traced for them included."""
    LIBRARY.forget_traces()
    keras.backend.clear_session()


def compute_in(precision: str) -> None:
    """Build what follows in `precision`, float32 or float64."""
    _keep_theirs()
    keras.config.set_floatx(precision)
    LIBRARY.allow_float64(precision == "float64")
    LIBRARY.allow_tf32(False)


def compute_as(spec: Spec) -> None:
    """Build what follows in the spec's precision."""
    compute_in(spec.format.held)
    build_with(spec.format.keras)
    LIBRARY.allow_tf32(spec.format.tf32)


def build_with(policy: str) -> None:
    """Build layers that follow with this policy of Keras's."""
    _keep_theirs()
    keras.mixed_precision.set_dtype_policy(policy)


def compute_as_configured() -> None:
    """Build what follows as `keras.json` or the user's own code says, whatever this suite built before in the same process."""
    if _theirs:
        floatx, policy = _theirs.pop()
        keras.config.set_floatx(floatx)
        keras.mixed_precision.set_dtype_policy(policy)
        LIBRARY.allow_float64(floatx == "float64")
    LIBRARY.allow_tf32(False)


def _keep_theirs() -> None:
    if not _theirs:
        _theirs.append((keras.config.floatx(), keras.mixed_precision.dtype_policy()))


def format_of(tensor: Tensor) -> str:
    """The name of a tensor's format, as NumPy has it."""
    return str(keras.backend.standardize_dtype(tensor.dtype))
