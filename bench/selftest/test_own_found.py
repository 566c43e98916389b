"""What own models found in a framework: it is still there, and the judge names it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judging.verdict import FAILED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts


@pytest.mark.parametrize(("clip", "allowed"), [({"clipnorm": 1.0}, 1.0), ({"global_clipnorm": 1.0}, 1.0), ({"clipvalue": 0.5}, 1.5)])
def test_keras_on_tensorflow_clips_an_embedding_before_it_sums_repeated_tokens(clip: dict[str, float], allowed: float) -> None:
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
    tokens = np.array([[1, 1, 1, 2], [1, 3, 1, 1]])
    steps = {}
    for sums_first in (True, False):
        embedding = keras.layers.Embedding(6, 3)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((embedding(tokens) - 5.0) ** 2)
        before, gradient = embedding.embeddings.numpy(), tape.gradient(loss, embedding.embeddings)
        keras.optimizers.SGD(1.0, **clip).apply([tf.convert_to_tensor(gradient) if sums_first else gradient], [embedding.embeddings])
        steps[sums_first] = np.linalg.norm(embedding.embeddings.numpy() - before)
    assert steps[True] == pytest.approx(allowed, rel=1e-5)
    assert steps[False] > 1.5 * allowed, "mended: say from which release on in models/own/README.md"


def test_the_judge_names_the_embedding() -> None:
    red = {
        name: verdict
        for name, verdict in verdicts(evidence("keras", f"{GAUGES}/rarer_keras.py:clipped")).items()
        if verdict.status == FAILED
    }
    assert list(red) == ["update"]
    assert {finding.place.parameter for finding in red["update"].findings if not finding.within} == {"embedding.embeddings"}


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adagrad", "Lamb"])
def test_keras_on_tensorflow_squares_an_embedding_s_gradient_before_it_sums_repeated_tokens(name: str) -> None:
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
    apart = {}
    for tokens in ([[0, 1, 2], [3, 4, 5]], [[1, 1, 1], [1, 3, 1]]):
        ends = []
        for sums_first in (True, False):
            keras.utils.set_random_seed(0)
            embedding, optimizer = keras.layers.Embedding(6, 3), getattr(keras.optimizers, name)(0.1)
            for _ in range(2):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum((embedding(np.array(tokens)) - np.arange(6).reshape(2, 3, 1)) ** 2)
                gradient = tape.gradient(loss, embedding.embeddings)
                optimizer.apply([tf.convert_to_tensor(gradient) if sums_first else gradient], [embedding.embeddings])
            ends.append(embedding.embeddings.numpy())
        apart[tokens[0][0]] = float(np.abs(ends[0] - ends[1]).max())
    assert apart[0] < 1e-5, "tokens that come once"
    assert apart[1] > 1e-4, "mended: say from which release on in models/own/README.md"


@pytest.mark.slow
def test_the_judge_names_the_embedding_of_an_adaptive_optimizer() -> None:
    seen = verdicts(evidence("keras", f"{GAUGES}/layers_keras.py:adaptive"))
    assert [name for name, verdict in seen.items() if verdict.status == FAILED] == ["update"]
    assert {finding.place.parameter for finding in seen["update"].findings if not finding.within} == {"embedding.embeddings"}


def test_pytorch_adds_up_a_layer_norm_s_gradient_in_half_precision() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("it is the CPU's kernel")
    apart = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        layer, rows, slope = torch.nn.LayerNorm(16).to(dtype), torch.randn(4096, 16).to(dtype), (torch.randn(4096, 16) + 0.5).to(dtype)
        layer(rows).backward(slope)
        true = slope.double().sum(0)
        apart[dtype] = float((layer.bias.grad.double() - true).norm() / true.norm())
    assert apart[torch.float32] < 1e-5
    assert apart[torch.bfloat16] > 0.2, "mended: say from which release on in models/own/README.md"


def test_the_judge_names_the_bias_of_a_layer_norm() -> None:
    seen = verdicts(evidence("torch", f"{GAUGES}/half_torch.py:normed_tokens"))
    named = {finding.place.parameter for finding in seen["gradient_parity"].findings if not finding.within}
    assert "0.bias" in named and named <= {"0.bias", "0.weight"}  # of the weight's as much as threads leave to one sum
