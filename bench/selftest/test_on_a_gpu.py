"""What a GPU would meet, told without one: devices and switches that frameworks are given, by stand-ins and in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.backends import call_cost
from models.backends.registry import BACKENDS, lacking
from models.backends.torch import layers
from models.backends.torch.network import Network
from models.backends.torch.scenarios import entry_points, parts, trained
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import environment

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]
TF32_BY_DEFAULT = {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
"""PyTorch then begins with TF32 allowed, as TensorFlow always does."""
PRODUCTS_AFTER_A_SCENARIO = """
import importlib
import numpy as np
from models.backends.ways import Ways
from models.worker.tasks import scenarios
{taken}
if "{backend}" == "torch":
    from models.backends.torch.precision import float32_products
else:
    from models.backends.keras.libraries import LIBRARY
    float32_products = LIBRARY.float32_products
print(float32_products())
"""
SCENARIO = 'scenarios.take("{backend}", "in_pieces", dict(x=np.linspace(-4, 4, 5, dtype=np.float32)))'
PROMISE = 'importlib.import_module("models.backends.{framework}.promises").promise(lambda: iter([Ways("one", dict(one=lambda: 1.0))]))()'
"""What all promises go through, with a number in their place."""
PRODUCTS_OF_AN_OWN_MODEL = """
from models.backends import call_cost
from models.backends.registry import backend_module
from models.own.address import own_models
from pathlib import Path
(model,) = own_models(["bench/selftest/gauges/of_{framework}.py:{function}"], Path())
network = backend_module("{backend}").own_network(model, 0, "cpu")
if "{backend}" == "torch":
    import torch
    assert not torch.backends.cudnn.allow_tf32
    from models.backends.torch.precision import float32_products
else:
    from models.backends.keras.libraries import LIBRARY
    float32_products = LIBRARY.float32_products
print(float32_products())
"""
WITH_A_FRAMEWORK = [
    pytest.param(name, marks=pytest.mark.skipif(bool(lacking(name)), reason=f"{lacking(name)} is absent: tox -e backends has it"))
    for name in BACKENDS
    if name != "numpy"
]


def printed_by(program: str, backend: str) -> str:
    """The last line that a fresh process of this backend prints."""
    surroundings = {**os.environ, **BACKENDS[backend].variables, **TF32_BY_DEFAULT, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("backend", WITH_A_FRAMEWORK)
@pytest.mark.parametrize("taken", [SCENARIO, PROMISE], ids=["scenario", "promise"])
def test_scenarios_and_promises_multiply_in_float32_where_tf32_is_on_by_default(backend: str, taken: str) -> None:
    taken = taken.format(backend=backend, framework=BACKENDS[backend].framework)
    assert printed_by(PRODUCTS_AFTER_A_SCENARIO.format(backend=backend, taken=taken), backend) == "float32"


@pytest.mark.parametrize(("backend", "framework", "function"), [("torch", "torch", "encoder"), ("keras", "keras", "images")])
def test_a_user_s_model_multiplies_in_float32_where_tf32_is_on_by_default(backend: str, framework: str, function: str) -> None:
    program = PRODUCTS_OF_AN_OWN_MODEL.format(backend=backend, framework=framework, function=function)
    assert printed_by(program, backend) == "float32"


def devices_asked_for(monkeypatch: Any) -> list[str]:
    """PyTorch that says it has a GPU, makes every tensor on the CPU, and notes the devices that tensors were asked for."""
    asked: list[str] = []
    make = torch.as_tensor

    def noted(data: Any, dtype: Any = None, device: Any = None) -> Any:
        asked.append(str(device))
        return make(data, dtype=dtype)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "as_tensor", noted)
    return asked


def test_an_activation_is_computed_on_the_gpu(monkeypatch: Any) -> None:
    asked = devices_asked_for(monkeypatch)
    layers.activate(Spec.parse("act=gelu"), np.linspace(-4, 4, 9, dtype=np.float32))
    assert asked == ["cuda"]


def test_an_accuracy_is_counted_on_the_gpu(monkeypatch: Any) -> None:
    network = Network(Spec.parse("depth=2,width=4"))
    asked = devices_asked_for(monkeypatch)
    network.device = "cuda"
    assert network.accuracy(np.eye(3, dtype=np.float32), np.array([0, 1, 0])) == pytest.approx(2 / 3)
    assert asked == ["cuda", "cuda"]


def test_the_time_of_an_entry_point_ends_when_the_device_is_done(monkeypatch: Any) -> None:
    waited: list[None] = []
    monkeypatch.setattr(entry_points, "drain", lambda: waited.append(None))
    spec = Spec.parse("depth=2,width=4")
    x, labels = np.ones((4, spec.features), np.float32), np.zeros(4, int)
    given = {"spec": spec.id, "weights": draw_weights(spec, 0), "x": x, "labels": labels}
    entry_points.entry_points(**given, entries=["step", "forward"], batches=[4, 2], calls=3)
    assert len(waited) == 2 * 2 * (1 + 3)


def test_memory_that_stays_on_the_device_has_grown(monkeypatch: Any) -> None:
    held = iter(range(0, 10**12, 10**9))
    assert call_cost.growth({"step": lambda: None}, ["step"], 1, 1, lambda: next(held))["step"] > 0.9e9


def test_a_scaler_is_of_the_device_that_trains(monkeypatch: Any) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, **_: asked.append(device) or 1 / 0)
    spec = Spec.parse("depth=2,width=4")
    with pytest.raises(ZeroDivisionError), torch.device("meta"):
        trained.train(spec=spec.id, weights=draw_weights(spec, 0), xs=np.zeros((1, 4, 64)), labels=np.zeros((1, 4)), scale=2.0)
    assert asked == ["meta"]


def test_warnings_of_tensorflow_are_kept_where_a_gpu_was_asked_for(monkeypatch: Any) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert environment("keras", "cuda")["TF_CPP_MIN_LOG_LEVEL"] == "1"
    assert environment("keras", "cpu")["TF_CPP_MIN_LOG_LEVEL"] == "2"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert environment("keras", "cuda")["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_an_initializer_s_generator_is_of_the_device_that_it_fills(monkeypatch: Any) -> None:
    asked: list[str] = []

    make = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device: asked.append(str(device)) or make())
    monkeypatch.setattr(parts, "array", lambda tensor: tensor)
    with torch.device("meta"):
        parts.initializer_shared(shape=[3, 4], source="generator")
    assert asked == ["meta"]


def test_a_fused_optimizer_that_refuses_its_first_step_is_left_out(monkeypatch: Any) -> None:
    """PyTorch 2.11 builds a fused Adagrad on CUDA and raises RuntimeError in `step`."""

    class Refusing:
        def __init__(self, parameters: Any, *, fused: bool = False, foreach: bool | None = None) -> None:
            self.refuses = fused

        def step(self) -> None:
            if self.refuses:
                raise RuntimeError("`fused=True` requires all the params to be floating point Tensors of supported devices: ['cpu']")

    monkeypatch.setattr(trained, "OPTIMIZERS", {"Adagrad": (Refusing, {})})
    weights, gradients = [np.ones(2, np.float32)], [[np.ones(2, np.float32)]]
    done = trained.implementations(weights=weights, gradients=gradients)
    assert set(done["Adagrad"]) == {"default", "single", "foreach"}
    monkeypatch.setattr(trained, "OPTIMIZERS", {"Adagrad": (lambda parameters, **_: Refusing(parameters, fused=True), {})})
    with pytest.raises(RuntimeError, match="fused=True"):
        trained.implementations(weights=weights, gradients=gradients)
