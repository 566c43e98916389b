"""Models of every build run whole: no traceback, no false alarm, and what cannot be judged is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.judging.verdict import FAILED, NOT_APPLICABLE, PASSED, Verdict
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.address import own_models
from models.spec import Spec

ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation", "update")
WHOLE = {
    "layers_torch.py": (
        "translation", "cells", "normalized", "upsampled", "sequences_of_signals", "volumes", "weight_normed", "spectral_normed",
        "old_weight_norm", "pruned", "residual", "skipping", "attending", "distances",
    ),
    "forms_torch.py": (
        "several", "losing", "scalar", "moving", "tied", "frozen", "grouped", "bound", "loaded", "growing", "uncopied",
    ),
    "wrapped_torch.py": (
        "functions", "complex_numbers", "traced", "parallel", "averaged", "checkpointed", "checkpointed_reentrant",
        "autocast",
    ),
    "layers_keras.py": ("subclassed", "spectral"),
}  # fmt: skip
"""Models that every check of ALWAYS judges."""
SLOWLY = {
    "layers_torch.py": ("texts",),
    "wrapped_torch.py": ("compiled", "compiled_in_place"),
    "layers_keras.py": (
        "sequential", "attention", "recurrent", "several", "augmented", "upsampled", "nested", "scheduled", "accumulated", "named",
        "scalar",
    ),
}  # fmt: skip
"""More of them, which take long."""
PARTLY = (
    ("wrapped_torch.py:binary", "derivative", "the forward pass of Clipped is flat"),
    ("wrapped_torch.py:reversed_gradient", "derivative", "the forward pass of Reversed changes nothing"),
    ("forms_torch.py:curved", "update", "LBFGS computes gradients itself"),
    ("wrapped_torch.py:double", "gradient_parity", "its parameters are float64"),
    ("wrapped_torch.py:scripted", "gradient_parity", "does not run in float64"),
    ("layers_keras.py:binary", "derivative", "the forward pass of sign is flat"),
    ("layers_keras.py:half", "gradient_parity", "computes in half precision"),
    ("layers_keras.py:rotated", "gradient_parity", "random_rotation does not run in float64"),
)
"""Models that one check does not judge, and the words of its reason; no check is red."""


def judged(address: str) -> dict[str, Verdict]:
    file, _, name = address.partition(":")
    return verdicts(evidence(file.removesuffix(".py").partition("_")[2], f"{GAUGES}/{file}:{name}"))


def cases() -> list[Any]:
    quick = [f"{file}:{name}" for file, names in WHOLE.items() for name in names]
    slow = [pytest.param(f"{file}:{name}", marks=pytest.mark.slow) for file, names in SLOWLY.items() for name in names]
    return [*quick, *slow]


@pytest.mark.filterwarnings("ignore")  # of the user's own model, such as an old form of weight normalization
@pytest.mark.parametrize("address", cases())
def test_a_model_of_any_build_is_judged_whole(address: str) -> None:
    seen = judged(address)
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("address", "check", "said"), PARTLY)
def test_what_cannot_be_judged_says_why(address: str, check: str, said: str) -> None:
    seen = judged(address)
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert said in seen[check].reason and not seen[check].judged
    assert check == "derivative" or seen[check].status == NOT_APPLICABLE


def test_a_model_is_built_as_configured_after_networks_of_the_matrix() -> None:
    keras = pytest.importorskip("keras")
    from models.backends.keras import precision

    theirs = keras.config.floatx(), keras.config.dtype_policy().name
    precision.compute_as(Spec.parse("depth=2,precision=float64"))
    precision.compute_as(Spec.parse("depth=2,precision=mixed_float16"))
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "mixed_float16")
    precision.compute_as_configured()
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == theirs
    keras.config.set_floatx("float64")  # as a user's file may say
    precision.compute_as_configured()
    assert keras.config.floatx() == "float64"
    keras.config.set_floatx(theirs[0])


def test_settings_of_the_matrix_are_not_taken_for_those_that_the_process_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    from models.backends.keras import own, precision
    from models.backends.keras.own.settings import SETTINGS

    precision.compute_as_configured()
    theirs = keras.config.floatx(), keras.config.dtype_policy().name
    monkeypatch.setattr(SETTINGS, "_first", [])
    (model,) = own_models([f"{GAUGES}/layers_keras.py:spectral"], Path())
    for _ in range(2):
        precision.compute_as(Spec.parse("depth=2,precision=float64"))
        own.own_network(model, 0, "cpu")
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == theirs
