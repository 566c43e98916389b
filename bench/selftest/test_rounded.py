"""Half precision through time: every operation of the reference's cells rounds, and rounds what PyTorch's own layers round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.selftest.kills import data
from models.backends.torch.network import Network
from models.parts.precisions import BFLOAT16, FLOAT16, Format
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.reference.rounded import KINDS, rounded
from models.spec import Spec

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b, "product": lambda a, b: a * b, "number less it": lambda a, b: 1 - a, "matrices": lambda a, b: a @ b.T,
    "function": lambda a, b: np.tanh(a), "rows": lambda a, b: a.sum(0),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_float32s_rounded_once(kind: Format, name: str) -> None:
    a, b = (rounded(kind, np.random.default_rng(seed).standard_normal((7, 5)).astype(np.float32)) for seed in (0, 1))
    plain = OPERATIONS[name](np.asarray(a), np.asarray(b))
    seen = OPERATIONS[name](a, b)
    assert isinstance(seen, KINDS[kind]) and seen.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(seen), kind.rounded(plain))
    assert np.any(np.asarray(seen) != plain), "nothing was rounded"


def test_what_is_joined_of_rounded_arrays_rounds_on() -> None:
    a = rounded(FLOAT16, np.ones((2, 3), np.float32))
    for joined in (np.concatenate([a, a]), np.stack([a, a]), np.split(a, 3, axis=1)[0], np.zeros_like(a), a.reshape(-1)):
        assert type(joined) is KINDS[FLOAT16]
    assert type(np.asarray(a)) is np.ndarray and (a > 0).dtype == bool
    assert np.isinf(rounded(FLOAT16, np.float32([300.0])) ** 2).all() and np.isfinite(rounded(BFLOAT16, np.float32([300.0])) ** 2).all()


@pytest.mark.parametrize(("network", "least"), [
    ("rnn,precision=mixed_bfloat16", 0.99), ("rnn,precision=mixed_float16", 0.99), ("rnn,cell=gru,precision=mixed_bfloat16", 0.0),
])  # fmt: skip
def test_the_reference_rounds_what_pytorch_rounds(network: str, least: float) -> None:
    """A simple cell's outputs have the same bits; errors of any cell's outputs and of what it hands back are as large, within a half."""
    spec = Spec.parse(network)
    weights, x, labels = draw_weights(spec, 0), data().x_train[:64], data().y_train[:64]
    framework = Network(spec)
    framework.load(weights, fresh=True)
    seen, exact = framework.watch(x, labels), Reference(spec, weights).run(x, labels)
    near = Reference(spec, weights, np.float32, conventions="torch").run(x, labels)
    assert float((seen.pre_activations["recurrent1"] == near.pre_activations["recurrent1"]).mean()) >= least
    for of, node in (("pre_activations", "recurrent1"), ("pre_activation_gradients", "steps")):
        true, *others = (getattr(each, of)[node] for each in (exact, seen, near))
        one, other = (float(np.linalg.norm(each - true)) for each in others)
        assert 0 < one < 1.5 * other and other < 1.5 * one
