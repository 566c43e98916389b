"""Who judges the diagnosis: sick networks get their own word, and every remedy does in both frameworks what theory promised."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from bench.judging.tolerance import BAND_Z
from bench.theory import predict
from bench.theory.diagnosis import HEALTHY, NOTABLE, Seen, class_correlation, diagnose, expected, loss_after
from bench.theory.remedies import DECADES, remedies
from fixtures.data.datasets import load
from models.naming import layer_of
from models.observation import ForcedStep, Job, Observation, Training, WatchedPass
from models.reference.draws import draw_weights, rounded
from models.reference.network import Reference
from models.spec import Spec
from models.worker.process import Worker

SICK = ("depth=14,init=glorot_uniform", "depth=8,act=sigmoid,init=glorot_uniform", "depth=12,skip=one,skip_order=pre")
TRIED = 2
"""Of each sick network's remedies, the first so many are applied."""


def headline(found):
    """The words alone: `saturated, vanishing`."""
    return ", ".join(dict.fromkeys(each.word for each in found))


@pytest.fixture(scope="module", params=["torch", "keras"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    started = Worker(request.param)
    yield started
    started.close()


def batch_of(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    digits = load("digits")
    return digits.x_train[: spec.batch].astype(np.float64), digits.y_train[: spec.batch] % spec.classes


def found(text: str) -> list:
    spec = Spec.parse(text)
    x, labels = batch_of(spec)
    return diagnose(spec, x, expected(spec, x, labels))


def own(worker: Worker, spec: Spec, weights: dict | None = None) -> tuple[WatchedPass, WatchedPass]:
    """What the framework does with its own initialization, and with given weights."""
    x, labels = batch_of(spec)
    forced_step = ForcedStep(weights or draw_weights(spec, 0), rounded(spec, x), labels)
    seen = worker.call("observe", Observation, job=Job(worker.backend, spec, forced_steps=[forced_step]))
    return seen.native, seen.shared


def decades(watched: WatchedPass) -> float:
    gradients = watched.pre_activation_gradients
    norms = [np.linalg.norm(gradients[name].astype(np.float64)) for name in sorted(gradients, key=layer_of)]
    return float(np.log10(norms[0] / norms[-1]))


@pytest.mark.parametrize(("text", "word"), [
    ("", HEALTHY), ("act=tanh,init=glorot_uniform", HEALTHY), ("depth=40,act=sigmoid,init=glorot_uniform", "vanishing"),
    ("depth=40,init=glorot_uniform", "poor init"), ("act=linear,lr=1e-6", "poor init"), ("norm=batch", "exploding"),
    ("skip=one,skip_order=pre,lr=1e-6", "unscaled residual"), ("depth=64,lr=0.001", "shattered"), ("lr=1", "learning rate too large"),
    ("loss=mse,target_scale=10", "loss or target scale too large"), ("skip=two,skip_order=pre,branch=depth,norm=layer", HEALTHY),
])  # fmt: skip
def test_each_sickness_has_its_word(text, word):
    assert headline(found(text)) == word


def test_a_diagnosis_names_layer_number_prediction_and_remedies_in_order():
    (each,) = found("depth=40,init=glorot_uniform")
    assert each.value == pytest.approx(each.predicted, abs=0.6) and 1 <= layer_of(each.node) < 40
    assert re.match(
        r"He instead of Glorot initialization moves χ from 0.51 to 1.00: at depth 40 .* goes from \S+e-0[67] to 1$", str(each.remedies[0])
    )
    benefits = [remedy.benefit for remedy in each.remedies]
    assert benefits == sorted(benefits, reverse=True) and len(benefits) >= 3


def test_what_is_not_finite_is_named_first():
    spec = Spec.of(depth=4)
    x, labels = batch_of(spec)
    seen = expected(spec, x, labels)
    seen.pre_activations["dense2"][0, :3] = np.inf
    (each,) = diagnose(spec, x, seen)
    assert (each.word, each.node, each.value) == ("non-finite", "dense2", 3)


def test_an_initializer_that_breaks_its_promise_is_named():
    spec = Spec.of(depth=20)
    x, labels = batch_of(spec)
    other = draw_weights(Spec.of(depth=20, init="lecun_normal"), 0)
    done = Reference(spec, other).run(x, labels)
    (each,) = diagnose(spec, x, Seen(done.pre_activations, done.pre_activation_gradients, labels, other))
    assert each.word == "poor init" and re.search(r"0\.[45]\d times the variance that he_normal promises", each.sentence)
    assert "promises" not in str(
        diagnose(spec, x, Seen(done.pre_activations, done.pre_activation_gradients, labels, draw_weights(spec, 0)))[0]
    )


@pytest.mark.parametrize("text", [SICK[0], *(pytest.param(text, marks=pytest.mark.slow) for text in SICK[1:])])
def test_remedies_do_what_theory_promised(text, worker):
    spec = Spec.parse(text)
    x, _ = batch_of(spec)
    before = decades(own(worker, spec)[0])
    assert abs(before) > NOTABLE
    chosen = remedies(spec, x)[:TRIED]
    assert len(chosen) == TRIED
    for remedy in chosen:
        after, prediction = decades(own(worker, remedy.spec)[0]), predict(remedy.spec, x)
        assert prediction is not None
        low, high = prediction.backward_total.interval(BAND_Z)
        assert low * DECADES <= after <= high * DECADES, remedy.text
        assert abs(after) < abs(before) - remedy.benefit / 2, remedy.text


def test_a_smaller_rate_calms_the_loss(worker):
    """The reference foretells both losses; a framework takes the very steps."""
    (each,) = found("lr=1")
    for rate, calm in ((1.0, False), (each.predicted, True)):
        spec = Spec.of(lr=rate)
        x, labels = batch_of(spec)
        steps = Training(0, draw_weights(spec, 0), rounded(spec, x), labels, np.stack([np.arange(len(x))] * 6), np.ones(6))
        job = Job(worker.backend, spec, trainings=[steps], x_test=rounded(spec, x), labels_test=labels)
        losses = worker.call("observe", Observation, job=job).trainings[0].losses
        foretold = loss_after(spec, x, labels)
        assert (losses[-1] < losses[0]) == calm == (foretold[1] < foretold[0])
        assert losses[0] == pytest.approx(foretold[0], rel=1e-4)


def test_unit_targets_shrink_gradients(worker):
    large, small = (own(worker, Spec.of(loss="mse", target_scale=scale))[1] for scale in (10.0, 1.0))
    ratio = np.linalg.norm(large.pre_activation_gradients["dense16"]) / np.linalg.norm(small.pre_activation_gradients["dense16"])
    (each,) = found("loss=mse,target_scale=10")
    assert ratio == pytest.approx(each.value / each.predicted, rel=1e-3)


def test_units_that_cannot_die(worker):
    """Biases far below zero kill ReLU units, the leaky ones of the remedy live."""
    seen = {}
    for act in ("relu", "leaky_relu"):
        spec = Spec.of(act=act, depth=8)
        weights = {key: w - 30 if key == "dense4.bias" else w for key, w in draw_weights(spec, 0).items()}
        x, labels = batch_of(spec)
        drawn = own(worker, spec, weights)[1]
        seen[act] = diagnose(spec, x, Seen(drawn.pre_activations, drawn.pre_activation_gradients, labels), expected(spec, x, labels))
    assert (seen["relu"][0].word, seen["relu"][0].node, seen["relu"][0].value) == ("dead units", "dense4", 1.0)
    assert seen["relu"][0].predicted < 0.75 and "leaky_relu" in str(seen["relu"][0].remedies[0])
    assert "dead units" not in headline(seen["leaky_relu"])


def test_batch_normalization_frees_saturated_units(worker):
    spec = Spec.of(act="tanh", depth=8, init="glorot_normal")
    weights = {key: 30 * w if key.endswith("weight") else w for key, w in draw_weights(spec, 0).items()}
    x, labels = batch_of(spec)
    drawn = own(worker, spec, weights)[1]
    each = diagnose(spec, x, Seen(drawn.pre_activations, drawn.pre_activation_gradients, labels), expected(spec, x, labels))[-2]
    assert each.word == "saturated" and each.value > 0.5 > each.predicted and "norm=batch" in str(each.remedies[0])
    normed = spec.but(norm="batch")
    z = own(worker, normed, draw_weights(normed, 0) | weights)[1].pre_activations[each.node].astype(np.float64)
    flat = 1 - np.tanh((z - z.mean(0)) / z.std(0)) ** 2 < 0.05
    assert flat.mean() < 0.1


@pytest.mark.slow
def test_scaled_skips_keep_gradients_together(worker):
    plain = Spec.of(depth=32)
    _, labels = batch_of(plain)
    correlation = [
        class_correlation(own(worker, spec)[0].pre_activation_gradients["dense1"], labels)
        for spec in (plain, Spec.parse("depth=32,skip=two,skip_order=pre,branch=depth"))
    ]
    assert correlation[1] > correlation[0] + 0.25
