"""What the Keras worker does on older releases, seen on this one: the same training by another way, and parts that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.backends.registry import Absent
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import Worker, WorkerError, WorkerLacks

keras = pytest.importorskip("keras")
SHALLOW = Spec.of(depth=4, norm="layer")


def trained(steps: int = 5) -> tuple[Any, Any, dict[str, Any]]:
    from models.backends.keras.network import Network

    rng = np.random.default_rng(0)
    xs, labels = rng.random((steps, 64, 64), np.float32), rng.integers(0, 10, (steps, 64))
    network = Network(SHALLOW)
    network.load(draw_weights(SHALLOW, 0), fresh=True)
    seen = network.train(xs, labels, np.ones(steps))
    return seen.losses, seen.gradient_norms, network.weights()


def test_older_releases_train_the_same_by_another_way(monkeypatch) -> None:
    from models.backends.keras import releases
    from models.backends.keras.libraries import tensorflow

    losses, norms, weights = trained()
    monkeypatch.setattr(tensorflow, "TRACES_ONCE", (99, 0))
    monkeypatch.setattr(releases, "LOSS_OF_ONE_BATCH", (99, 0))
    other_losses, other_norms, other_weights = trained()
    np.testing.assert_allclose(other_losses, losses, rtol=1e-6)
    np.testing.assert_allclose(other_norms, norms, rtol=1e-5)
    for key, weight in weights.items():
        np.testing.assert_allclose(other_weights[key], weight, atol=1e-6, err_msg=key)


def test_a_layer_that_a_release_lacks_is_named(monkeypatch) -> None:
    from models.backends.keras.network import Network

    monkeypatch.delattr(keras.layers, "RMSNormalization")
    with pytest.raises(Absent, match=r"^Keras [\d.]+ has no RMSNormalization$"):
        Network(Spec.of(depth=4, norm="rms"))


def test_an_attribute_of_our_own_that_is_missing_stays_an_error(monkeypatch) -> None:
    from models.backends.keras.model import Model
    from models.backends.keras.network import Network

    monkeypatch.delattr(Model, "_part")
    with pytest.raises(AttributeError, match="_part"):
        Network(SHALLOW)


def test_the_judge_learns_that_it_is_a_lack_and_no_fault(monkeypatch) -> None:
    worker = Worker("keras")
    try:
        answers = iter(
            [
                {"error": "Keras 3.0.2 has no X", "trace": "", "absent": True, "complete": False},
                {"error": "broke", "trace": "", "absent": False, "complete": False},
            ]
        )
        monkeypatch.setattr("models.worker.messages.receive", lambda *_: next(answers))
        with pytest.raises(WorkerLacks, match="has no X"):
            worker.call("versions")
        with pytest.raises(WorkerError, match="broke") as other:
            worker.call("versions")
        assert not isinstance(other.value, WorkerLacks)
    finally:
        worker.close()


def test_precision_is_set_by_names_that_every_release_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.backends.keras import precision
    from models.backends.keras.own.twins.float64 import float64_by_default

    for name in ("dtype_policy", "set_dtype_policy"):
        monkeypatch.delattr(keras.config, name)  # Keras 3.0.1 and 3.0.2 have them in keras.mixed_precision alone
    precision.compute_as(SHALLOW)
    precision.compute_as_configured()
    with float64_by_default():
        assert keras.mixed_precision.dtype_policy().name == "float64"
    assert keras.mixed_precision.dtype_policy().name == "float32"
