"""Who judges half precision: rounding bit by bit, underflow told apart from depth with a remedy that works, and what is refused."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.checks.precision import _drift, formats
from bench.evidence.evidence import Evidence
from bench.evidence.probes import scaled_steps
from bench.evidence.reference import ReferenceResult
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED, judge
from bench.report.summary import gains
from bench.selftest.kills import data
from bench.selftest.made_up_gpus import Card, plant
from bench.selftest.test_diagnosis import headline
from bench.theory.diagnosis import LOST, Seen, as_rounded, diagnose, expected
from fixtures.plugin import options
from fixtures.plugin.options import check as check_options
from models.architectures import graph
from models.backends.registry import CONVENTIONS
from models.matrix import left_out, networks
from models.observation import Job, Observation, StepResult, WatchedPass
from models.parts.precisions import BFLOAT16, FLOAT16, FLOAT32, TF32, Format
from models.reference.draws import prepare_forced_steps
from models.reference.network import Reference
from models.spec import Spec, SpecError
from models.worker.process import Worker

HALVES = [spec for spec in networks("core") if spec.format.half]
SICK = Spec.of(precision="mixed_float16", loss_scale=1, act="sigmoid")


def batch(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    return data().x_train[: spec.batch].astype(np.float64), data().y_train[: spec.batch]


def test_a_drift_has_the_spread_it_is_said_to_have_where_all_samples_share_the_errors_of_a_layer() -> None:
    rng, drifts = np.random.default_rng(0), []
    for _ in range(2000):
        w, h, e = rng.standard_normal((64, 64)), 0.5 + 0.1 * rng.random(64), 2**-12 * rng.standard_normal(64)
        near = np.tile(w @ h, (64, 1))
        (finding,) = _drift("", near + w @ e, near, FLOAT16)
        drifts.append(BAND_Z * finding.value / finding.high)
    assert 0.8 < np.std(drifts) < 1.1


def words(spec: Spec) -> list:
    x, labels = batch(spec)
    return diagnose(spec, x, as_rounded(spec, x, labels), expected(spec, x, labels))


@pytest.mark.parametrize("kind", [FLOAT32, TF32, BFLOAT16, FLOAT16])
def test_rounding_is_to_the_nearest_and_ties_go_to_even(kind: Format) -> None:
    x = (np.random.default_rng(0).uniform(1, 2, 5000) * np.geomspace(1e-3, 1e3, 5000)).astype(np.float32)
    near = kind.rounded(x)
    place = 2.0 ** (np.floor(np.log2(np.abs(x.astype(np.float64)))) - kind.digits + 1)
    assert (np.abs(near.astype(np.float64) - x) <= place / 2).all()
    assert (np.mod(near / place, 1) == 0).all()
    between = np.float32(1 + kind.unit) if kind is not FLOAT32 else np.float32(1)
    assert kind.rounded(between) == 1.0
    assert kind is FLOAT32 or kind.rounded(np.float32(1 + 3 * kind.unit)) == 1 + 4 * kind.unit
    assert kind.rounded(np.float32(kind.normal)) == kind.normal
    np.testing.assert_array_equal(kind.rounded(np.array([np.inf, -np.inf, np.nan])), [np.inf, -np.inf, np.nan])


def test_float16_has_a_floor_and_a_ceiling() -> None:
    least = FLOAT16.least
    np.testing.assert_array_equal(FLOAT16.rounded([least, 0.51 * least, 0.5 * least, 65504, 65520]), [least, least, 0, 65504, np.inf])


@pytest.mark.parametrize("spec", HALVES, ids=lambda spec: spec.id)
def test_a_stand_in_that_rounds_as_documented_is_healthy_and_one_that_computes_in_float32_is_not(spec: Spec) -> None:
    """What a framework would be seen to do, done by the reference with sums in an order of their own."""
    forced_steps = prepare_forced_steps(spec, data().x_train, data().y_train, 0)
    for conventions in CONVENTIONS:
        steps = []
        for forced_step in forced_steps:
            done = Reference(spec, forced_step.weights, np.float32, 99, conventions).run(forced_step.x, forced_step.labels)
            passed = WatchedPass(
                forced_step.weights,
                done.loss,
                done.logits,
                done.pre_activations,
                done.pre_activation_gradients,
                formats(spec, conventions, "cpu"),
            )
            steps.append(StepResult(done.loss, done.gradients, {}, forced_step.weights, {}, passed))
        seen = Observation(conventions, native=steps[0].passed, shared=steps[0].passed, forced_steps=steps)
        run = Evidence(spec.id, spec, conventions, seen, ReferenceResult(spec, forced_steps))
        for name in ("rounding", "underflow", "precision"):
            assert judge(CHECKS[name], run).status == PASSED, (name, judge(CHECKS[name], run).worst)
        assert seen.shared
        seen.shared.formats[graph(spec).dense[0].name] = "float32"
        assert judge(CHECKS["precision"], run).status == FAILED


def test_gradients_lost_to_the_floor_are_told_apart_from_those_lost_to_depth() -> None:
    assert headline(words(SICK)) == "underflow, vanishing"
    assert headline(words(SICK.but(loss_scale=2.0**19))) == "vanishing"
    assert headline(words(Spec.of(precision="mixed_float16", loss_scale=2.0**-16))) == "underflow"
    assert headline(words(Spec.of(precision="mixed_float16"))) == headline(words(Spec.of(precision="mixed_bfloat16"))) == "healthy"


@pytest.fixture(scope="module", params=["torch", "keras"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    started = Worker(request.param)
    yield started
    started.close()


def test_units_that_are_off_are_not_gradients_that_are_lost() -> None:
    """A network with more units off than its like: its zeros are float64's as well."""
    spec = Spec.of(precision="mixed_float16")
    (forced_step,) = prepare_forced_steps(spec, data().x_train, data().y_train, 0, steps=1)
    done = Reference(spec, forced_step.weights).run(forced_step.x, forced_step.labels)
    pre_activation_gradients = done.pre_activation_gradients | {
        "dense5": np.where(np.arange(spec.arch.width) < 16, 0.0, done.pre_activation_gradients["dense5"])
    }
    usual = Seen(done.pre_activations, done.pre_activation_gradients, forced_step.labels)
    assert float((pre_activation_gradients["dense5"] == 0).mean() - (done.pre_activation_gradients["dense5"] == 0).mean()) > LOST
    assert "underflow" not in headline(
        diagnose(spec, forced_step.x, replace(usual, pre_activation_gradients=pre_activation_gradients), usual)
    )


@pytest.mark.parametrize(("spec", "lost"), [(Spec.of(precision="mixed_float16"), False), (SICK, True)], ids=["healthy", "sick"])
def test_what_is_lost_is_counted_without_what_is_zero_anyway(spec: Spec, lost: bool, worker: Worker) -> None:
    forced_steps = prepare_forced_steps(spec, data().x_train, data().y_train, 0)
    seen = worker.call("observe", Observation, job=Job(worker.backend, spec, forced_steps=forced_steps))
    found = judge(CHECKS["underflow"], Evidence(spec.id, spec, worker.backend, seen, ReferenceResult(spec, forced_steps)))
    assert found.status == PASSED
    assert (max(finding.value for finding in found.findings) > LOST) is lost
    assert bool(gains([found])) is lost


def test_where_no_loss_scale_can_help_the_remedy_says_so() -> None:
    (first, *_) = words(SICK.but(depth=40))
    assert first.word == "underflow"
    assert "precision=mixed_bfloat16" in str(first.remedies[0])


def test_the_loss_scale_that_is_named_saves_the_gradient_in_the_framework(worker: Worker) -> None:
    remedy = str(words(SICK)[0].remedies[0])
    healed = Spec.parse(f"precision=mixed_float16,act=sigmoid,{remedy.partition(' ')[0]}")
    assert Spec.parse(healed.id) == healed
    for spec, least, most in ((SICK, 0.9, 1.0), (healed, 0.0, 0.05)):
        forced_steps = prepare_forced_steps(spec, data().x_train, data().y_train, 0, steps=1)
        drawn = worker.call("observe", Observation, job=Job(worker.backend, spec, forced_steps=forced_steps)).shared
        exact = Reference(spec, forced_steps[0].weights).run(forced_steps[0].x, forced_steps[0].labels)
        assert least <= float((drawn.pre_activation_gradients["dense1"][exact.pre_activation_gradients["dense1"] != 0] == 0).mean()) <= most


def test_the_loss_scale_is_not_judged_on_nothing() -> None:
    spec = Spec.of(precision="mixed_float16", depth=2)
    forced_steps = prepare_forced_steps(spec, data().x_train, data().y_train, 0)
    assert [np.isinf(FLOAT16.rounded(each.x)).any() for each in scaled_steps(spec, forced_steps)].count(True) == 3
    with pytest.raises(AssertionError, match="0 scaled steps"):
        judge(CHECKS["loss_scale"], Evidence(spec.id, spec, "torch", Observation("torch"), ReferenceResult(spec, forced_steps)))


@pytest.mark.parametrize("norm", ["batch", "layer", "rms", "group"])
def test_normalizations_in_half_precision_are_judged_where_the_step_is_what_is_watched(worker: Worker, norm: str) -> None:
    spec = Spec.of(depth=4, precision="mixed_float16", norm=norm)
    forced_steps = prepare_forced_steps(spec, data().x_train, data().y_train, 0)
    seen = worker.call("observe", Observation, job=Job(worker.backend, spec, forced_steps=forced_steps))
    run = Evidence(spec.id, spec, worker.backend, seen, ReferenceResult(spec, forced_steps))
    statuses = {name: judge(CHECKS[name], run).status for name in ("forward_parity", "rounding", "sum_rules", "gradient_parity")}
    step = PASSED if worker.backend == "torch" else NOT_JUDGED
    assert statuses == {"forward_parity": PASSED, "rounding": PASSED, "sum_rules": PASSED, "gradient_parity": step}


@pytest.mark.parametrize(("norm", "cast"), [("rms", True), ("layer", False), ("group", False), ("batch", False)])
def test_keras_casts_the_scale_of_rms_normalization_alone(norm: str, cast: bool) -> None:
    spec = Spec.of(depth=4, precision="mixed_float16", norm=norm)
    x, labels = batch(spec)
    weights = prepare_forced_steps(spec, data().x_train, data().y_train, 0, steps=1)[0].weights
    ones = weights | {key: np.ones_like(value) for key, value in weights.items() if key.endswith("scale")}
    finer = weights | {key: value * np.float32(1 + 2.0**-13) for key, value in ones.items() if key.endswith("scale")}
    for conventions in CONVENTIONS:
        moved = [Reference(spec, each, np.float32, None, conventions).run(x, labels).logits for each in (ones, finer)]
        assert np.array_equal(*moved) == (cast and conventions == "keras")


def test_cuda_computes_some_norms_in_float32_under_autocast_and_the_cpu_none() -> None:
    spec = Spec.of(precision="mixed_bfloat16", norm="layer")
    here, there = (formats(spec, "torch", device) for device in ("cpu", "cuda:0"))
    assert {here["norm3"], here["act3"], there["dense3"]} == {"bfloat16"}
    assert {there["norm3"], there["act3"]} == {"float32"}
    assert set(formats(spec, "keras", "cuda").values()) == {"bfloat16", "float32"}
    rms = Spec.of(precision="mixed_bfloat16", norm="rms")
    old, new = (formats(rms, "torch", "cuda", version) for version in ("2.11.0+cu130", "2.13.0+cu130"))
    assert (old["norm3"], new["norm3"]) == ("bfloat16", "float32")
    assert formats(spec, "torch", "cuda", "2.11.0") == there


def test_tf32_is_left_out_where_it_does_not_exist() -> None:
    assert Spec.parse("precision=tf32") not in networks("core")
    assert Spec.parse("precision=tf32") in networks("core", device="cuda:0")
    assert "exists on CUDA devices only" in dict(left_out("core"))["precision=tf32"]
    assert "precision=tf32" not in dict(left_out("core", "cuda"))


def test_tf32_is_left_out_where_it_would_be_float32_by_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A T4 is of compute capability 7.5."""
    assert "GPU of 7.5" in dict(left_out("core", "cuda", (7, 5)))["precision=tf32"]
    assert Spec.parse("precision=tf32") in networks("core", device="cuda", capability=(8, 6))
    plant(monkeypatch, Card(name="Tesla T4", capability=(7, 5)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asked = types.SimpleNamespace(
        own=[], network=["precision=tf32"], cases="core", data="digits", device="cuda", seeds=1, backends=["torch"]
    )
    with pytest.raises(SpecError, match="exists from compute capability"):
        options._networks(asked)
    plant(monkeypatch, Card())
    assert options._networks(asked) == [Spec.parse("precision=tf32")]
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with pytest.raises(SpecError, match="unset NVIDIA_TF32_OVERRIDE"):
        options._networks(asked)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss_scale=2", "belong to precision=mixed_float16"),
        ("precision=mixed_float16,loss_scale=3", "power of two"),
        ("precision=mixed_float16,input=huge,lr=1e-16", "65,504"),
        ("precision=half", "use one of"),
    ],
)
def test_nonsense_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec.parse(text)


def test_a_named_network_that_the_device_cannot_run_is_refused(pytestconfig: pytest.Config) -> None:
    option = type(pytestconfig.option)(**{**vars(pytestconfig.option), "network": ["precision=tf32"], "device": "cpu"})
    with pytest.raises(pytest.UsageError, match="use --device=cuda"):
        check_options(option)
