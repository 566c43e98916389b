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
