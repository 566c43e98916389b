"""Users' own Keras models on PyTorch and on JAX have the twin that they have on TensorFlow, and a wrong kernel is named there."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.checks.own import OWN_CHECKS
from bench.evidence.own import OwnEvidence
from bench.judging.verdict import FAILED, NOT_APPLICABLE, PASSED, Verdict, judge
from bench.selftest.made_up import SCALED_BACKWARD
from models.own.address import own_models
from models.own.observation import OwnJob, OwnObservation
from models.worker.process import Worker

GAUGES = Path(__file__).parent / "gauges"
NEEDS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed here: tox -e backends has it")
NEEDS_KERAS = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed here")
ALWAYS = "finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation", "update", "execution"
QUICK = (
    "of_keras.py:sensors",
    "rarer_keras.py:variational",
    "rarer_keras.py:quantized",
    "layers_keras.py:subclassed",
    "layers_keras.py:grouped",
    *(f"late_keras.py:{name}" for name in ("scaled", "scaled_growing", "late_and_built")),
)
SLOW = (
    "of_keras.py:images", "of_keras.py:recurrent", "of_keras.py:regression", "rarer_keras.py:clipped",
    *(f"layers_keras.py:{name}" for name in (
        "sequential", "attention", "recurrent", "several", "augmented", "adaptive", "upsampled", "volumes", "nested", "scheduled",
        "accumulated", "named", "scalar",
    )),
)  # fmt: skip
pytestmark = [NEEDS_KERAS]


@pytest.fixture(scope="module", params=["keras-torch", pytest.param("keras-jax", marks=NEEDS_JAX)])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    started = Worker(request.param)
    yield started
    started.close()


def judged(worker: Worker, address: str, folder: Path = GAUGES) -> tuple[OwnObservation, dict[str, Verdict]]:
    seen = worker.call("examine", OwnObservation, own=OwnJob(own_models([address], folder)[0]))
    return seen, {name: judge(check, OwnEvidence(address, worker.backend, seen)) for name, check in OWN_CHECKS.items()}


@pytest.mark.parametrize("model", [*QUICK, *(pytest.param(model, marks=pytest.mark.slow) for model in SLOW)])
def test_a_healthy_keras_model_passes_on_every_library(model: str, worker: Worker) -> None:
    seen, verdicts = judged(worker, model)
    assert seen.no_twin == "" and seen.undecided == ""
    assert [(name, verdict.worst) for name, verdict in verdicts.items() if verdict.status == FAILED] == []
    undecided = {variant.name: variant.undecided for variant in seen.variants if variant.undecided}
    for name in ALWAYS:
        assert verdicts[name].status == PASSED or (name == "execution" and undecided), (name, verdicts[name].reason)
    assert {each.kind for each in seen.gradients} == {"gradient", "gradient of the signal"}, "layers are looked at as well"


def test_a_gradient_that_its_author_chose_is_not_judged_by_differences(worker: Worker) -> None:
    _, verdicts = judged(worker, "layers_keras.py:binary")
    assert "is flat" in verdicts["derivative"].reason and not verdicts["derivative"].judged
    assert "core.py" not in verdicts["derivative"].reason, "the user's own file or function is named"


def test_half_precision_has_no_twin_and_the_rest_is_judged(worker: Worker) -> None:
    seen, verdicts = judged(worker, "layers_keras.py:half")
    assert "computes in half precision" in seen.no_twin and verdicts["gradient_parity"].status == NOT_APPLICABLE
    assert verdicts["finite"].status == verdicts["reproducible"].status == verdicts["evaluation"].status == PASSED


def test_a_kernel_that_is_wrong_in_float32_is_named_at_its_layer(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "gauge.py").write_text(OF_TORCH if worker.backend == "keras-torch" else OF_JAX)
    _, verdicts = judged(worker, "gauge.py:net", tmp_path)
    check, expected = NAMED[worker.backend]
    assert {finding.where for finding in verdicts[check].findings if not finding.within} == expected


NAMED = {
    "keras-torch": ("gradient_parity", {"second.kernel"}),
    "keras-jax": ("forward_parity", {"loss", "second output", "third output", "of the model"}),
}

MODEL = """
import keras
import numpy as np
from keras import layers

{fault}

def net():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, name="first"), {second}, layers.Dense(3, name="third")])
    batch = np.random.standard_normal((8, 6)).astype("float32"), np.random.standard_normal((8, 3)).astype("float32")
    return dict(model=model, loss="mse", batch=batch, optimizer="adam")
"""
OF_TORCH = MODEL.format(
    fault="""
import torch

"""
    + SCALED_BACKWARD
    + """

class Second(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 8), name="kernel")

    def call(self, x):
        return x @ Off.apply(keras.ops.convert_to_tensor(self.kernel))
""",
    second='Second(name="second")',
)
OF_JAX = MODEL.format(
    fault="""
from jax._src.lax import lax

right = lax.tanh_p.impl
lax.tanh_p.impl = lambda x, **given: right(x, **given) * (1.0001 if x.dtype == "float32" else 1)
""",
    second='layers.Dense(8, activation="tanh", name="second")',
)
