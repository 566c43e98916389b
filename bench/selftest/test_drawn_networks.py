"""Networks that random drawing has shown: healthy frameworks were blamed for what a network, a penalty or its precision does by itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.checks.precision import _drift, _z
from bench.evidence.collect import reference_of
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import FAILED, KNOWN, NOT_JUDGED, PASSED, judge
from bench.selftest.kills import data, seen, verdicts
from models.architectures import graph
from models.backends.registry import Absent
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.precisions import PRECISIONS
from models.reference.arithmetic import Arithmetic
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec

DRAWN = [
    ("torch", "depth=16,width=3,norm=layer"),
    ("torch", "depth=16,width=8,batch=4,norm=batch,skip=two,branch=zero,init=torch_default"),
    ("torch", "depth=4,width=8,batch=4,act=selu,loss=mse,target_scale=1e4,precision=mixed_float16"),
    ("torch", "depth=17,width=3,batch=1,classes=2,act=elu,skip=one,optimizer=sgd,input=huge,precision=mixed_bfloat16"),
    ("torch", "depth=20,width=16,batch=1,classes=20,act=sigmoid,bottleneck=4,init=glorot_uniform,loss=huber,input=shifted,"
              "precision=mixed_float16,loss_scale=32768"),
    ("torch", "depth=6,width=1,batch=4,classes=3,act=gelu,skip=two,loss=hinge,input=tiny,precision=mixed_float16"),
    ("torch", "depth=12,width=4,batch=7,act=gelu_tanh,norm=batch,skip=one,init=lecun_normal,bias=normal,clip=global,input=far,"
              "precision=mixed_bfloat16"),
    ("keras", "depth=12,width=4,batch=7,act=gelu_tanh,norm=batch,skip=one,init=lecun_normal,bias=normal,clip=global,input=far,"
              "precision=mixed_bfloat16"),
    ("torch", "depth=3,width=96,act=silu,norm=batch,norm_at=after,eps=1e-08,skip=one,branch=root2,init=he_uniform,clip=value,clip_at=0.1,"
              "optimizer=amsgrad,lr=1,schedule=cyclic,optimizer_eps=0.001,loss=kl_divergence,input=far,precision=mixed_bfloat16"),
    ("keras", "width=2,batch=7,classes=3,act=hardsigmoid,norm=batch,norm_at=after,momentum=0.5,skip=two,skip_order=pre,branch=rezero,"
              "bias=normal,clip=variable,clip_at=0.1,optimizer=nesterov,schedule=cosine,loss=squared_hinge,input=tiny"),
    ("torch", "depth=19,width=4,batch=4,classes=20,act=linear,norm=layer,norm_at=after,momentum=0.99,groups=2,init=glorot_uniform,"
              "bias=normal,clip=value,clip_at=0.1,lr=0.001,schedule=inverse_time,l2=0.01,loss=binary_cross_entropy_of_probabilities,"
              "input=saturated"),
    ("torch", "depth=6,batch=8,classes=20,act=leaky_relu,norm=layer,norm_at=after,momentum=0.5,groups=1,skip=one,skip_order=pre,"
              "branch=zero,init=torch_default,bias=normal,clip=variable,optimizer=adafactor,schedule=one_cycle,"
              "loss=cross_entropy_of_probabilities,precision=float64"),
    ("torch", "depth=2,width=4,batch=8,norm=layer,schedule=one_cycle,precision=float64"),
    ("keras", "depth=6,width=16,batch=16,act=tanh,norm=group,norm_at=after,skip=one,skip_order=pre,branch=zero,loss=squared_hinge,"
              "input=far,precision=mixed_bfloat16"),
    ("keras", "depth=5,width=32,batch=128,act=hardswish,norm=layer,norm_at=after,eps=0.1,momentum=0,groups=1,skip=one,skip_order=pre,"
              "branch=rezero,init=default,clip_at=0.1,optimizer=sgd,lr=1,schedule=restarts,loss=squared_hinge"),
    ("keras", "depth=11,width=128,batch=7,act=sigmoid,norm=rms,norm_at=after,eps=1e-08,init=he_uniform,bias=normal,clip_at=0.001,"
              "optimizer=ftrl,l1=0.1,loss=cross_entropy_of_probabilities,input=far"),
    ("keras", "depth=16,width=3,norm=layer"),
    ("keras", "depth=8,width=16,batch=16,act=leaky_relu,norm=batch,bottleneck=4,init=small_normal,l2=0.01,loss=huber"),
    ("keras", "depth=6,width=4,batch=8,act=tanh,skip=two,branch=zero,l2=0.01,precision=mixed_bfloat16"),
    ("keras", "depth=6,width=8,batch=16,act=gelu,init=small_normal,l2=0.01,loss=hinge,precision=float64"),
    ("keras", "depth=4,width=8,batch=8,optimizer=nadam,precision=mixed_float16"),
    ("keras", "depth=18,batch=32,classes=2,act=tanh,bottleneck=2,init=he_uniform,precision=mixed_bfloat16"),
    ("keras", "depth=6,width=16,act=gelu,norm=batch,optimizer=nesterov,clip=value,clip_at=0.1,precision=float64"),
    ("keras", "depth=8,width=4,batch=128,act=relu,bottleneck=4,init=glorot_normal,bias=normal,l2=0.01,input=saturated"),
    ("keras", "depth=4,width=4,batch=8,act=tanh,skip=one,skip_order=pre,branch=rezero,l1=0.1,l2=0.01,precision=float64"),
    ("torch", "depth=4,width=4,batch=8,act=tanh,skip=one,skip_order=pre,branch=rezero,l1=0.1,l2=0.01,precision=float64"),
    ("keras", "rnn,layers=2,width=4,length=4,batch=8,clip=variable,clip_at=0.01,lr=1,schedule=warm_cosine,l2=0.0001,precision=float64"),
    ("keras", "depth=8,width=4,batch=1,act=leaky_relu,eps=1e-08,momentum=0.99,bottleneck=4,init=torch_default,bias=normal,clip=value,"
              "clip_at=0.001,schedule=random,input=saturated,precision=float64"),
    ("keras", "depth=8,width=1,batch=1,act=leaky_relu,precision=float64"),
    ("keras", "depth=20,width=2,batch=1,act=leaky_relu,skip=two,precision=float64"),
    ("keras", "depth=4,width=2,batch=4,act=leaky_relu,norm=batch,norm_at=after,bias=normal,input=tiny,precision=float64"),
    ("keras", "conv,depth=3,channels=2,batch=8,clip=global,clip_at=0.01,optimizer=nesterov,schedule=random"),
    ("torch", "depth=2,width=48,batch=16,act=relu6,norm=group,norm_at=after,eps=0.001,groups=1,init=he_uniform,bias=normal,clip_at=100,"
              "lr=0.001,schedule=one_cycle,l2=0.01,loss=hinge,precision=mixed_float16,loss_scale=1"),
    ("torch", "depth=9,width=128,batch=4,classes=20,eps=0.1,groups=1,init=default,clip=value,clip_at=0.001,lr=1,schedule=cyclic,l2=0.0001,"
              "loss=cross_entropy_of_probabilities,input=tiny,precision=mixed_float16,loss_scale=1"),
    ("torch", "depth=4,width=16,batch=16,act=gelu,norm=batch,norm_at=after,momentum=0,skip=two,branch=root2,clip=global,clip_at=100,"
              "optimizer=nadam,schedule=exponential,l1=0.1,loss=hinge,precision=mixed_float16"),
    ("keras", "depth=4,width=32,batch=8,act=rrelu,norm=group,norm_at=after,skip=two,branch=root2,clip=global,optimizer=adafactor"),
    ("keras", "depth=5,width=8,batch=8,classes=2,act=rrelu,norm=layer,norm_at=after,skip=one,branch=root2,loss=hinge"),
    ("keras", "skip=two,branch=root2,precision=mixed_float16"),
    ("torch", "skip=two,branch=root2,precision=mixed_float16"),
    ("keras", "depth=8,skip=one,skip_order=pre,branch=depth,precision=mixed_bfloat16"),
    ("torch", "depth=4,width=8,batch=8,l1=1000,lr=1,loss=mse,precision=mixed_float16"),
    ("keras", "depth=4,width=8,batch=8,l2=1000,lr=10,precision=mixed_float16"),
    ("torch", "depth=4,width=16,batch=32,act=selu,bottleneck=4,init=he_uniform,bias=normal,clip=global,optimizer=adamax,lr=1,"
              "loss=cross_entropy_of_probabilities,input=shifted,precision=mixed_float16"),
    ("torch", "width=96,norm=batch,skip=one,branch=rezero,clip=global,l1=0.1"),
    ("torch", "width=96,norm=batch,skip=one,branch=rezero,clip=global,l1=0.1,precision=float64"),
    ("torch", "batch=4,norm=batch,norm_at=after,skip=one,branch=rezero,l1=0.1,precision=float64"),
    ("keras", "batch=4,norm=batch,norm_at=after,skip=one,branch=rezero,l1=0.1,precision=float64"),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "network"), DRAWN)
def test_a_healthy_framework_is_judged_and_not_blamed(backend: str, network: str) -> None:
    found = verdicts(seen(backend, network, trains=False))
    assert {name: (verdict.worst, verdict.reason) for name, verdict in found.items() if verdict.status == FAILED} == {}
    assert any(verdict.judged for verdict in found.values())


def test_a_probability_that_rounds_to_either_side_of_its_clip_is_judged_in_float64_alone() -> None:
    """PyTorch's sigmoid, 1/(1 + e⁻ˣ) in float32, is under the clip of 1 − 1e-7 up to x = 16.64, where that of real numbers is at 16.12."""
    logits = np.array([[14.0, 15.0, 15.5, 16.0, 16.6, 17.0, 18.0, 40.0, -16.2]])
    wrong, right = np.zeros_like(logits), np.ones_like(logits)
    loss = LOSSES["binary_cross_entropy_of_probabilities"]
    assert loss.blurred is not None
    assert logits[loss.blurred(logits, wrong, 2.0**-24)].tolist() == [15.5, 16.0, 16.6, 17.0]
    assert not loss.blurred(logits, right, 2.0**-24).any() and not loss.blurred(logits, wrong, 2.0**-53).any()
    torch = pytest.importorskip("torch")
    assert loss.torch is not None
    x = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    loss.torch(torch.nn)(x, torch.zeros_like(x)).backward()
    known = x.grad.numpy() * logits.size, loss.df(logits, wrong) * logits.size
    assert logits[np.abs(known[0] - known[1]) > 0.1].tolist() == [16.6]


def test_a_network_that_overflows_of_itself_is_declined_and_a_framework_that_does_is_not() -> None:
    large = seen("torch", "depth=4,width=8,batch=4,loss=mse,target_scale=1e4,precision=mixed_float16", trains=False)
    verdict = judge(CHECKS["finite"], large)
    assert verdict.status == NOT_JUDGED and "leave float16's range of themselves" in verdict.reason
    sick = copy.copy(seen("torch", "depth=4,width=8,batch=4,precision=mixed_float16", trains=False))
    sick.seen = copy.deepcopy(sick.seen)
    sick.seen.forced_steps[0].gradients["dense1.weight"][0, 0] = np.inf
    assert judge(CHECKS["finite"], sick).status == FAILED


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_rule_that_divides_by_a_rate_of_zero_is_told_and_a_framework_is_not_blamed(precision: str) -> None:
    found = verdicts(seen("keras", f"depth=2,width=8,batch=4,optimizer=ftrl,schedule=polynomial,precision={precision}", trains=False))
    assert not [name for name, verdict in found.items() if verdict.status == FAILED]
    assert found["update"].status == NOT_JUDGED and "by the optimizer's own rule at a rate of 0" in found["update"].reason
    others = "sum_rules", "gradient_bound", "forward_parity"
    assert {found[name].status for name in others} == {PASSED}, "no pass overflows, so that whatever looks at passes alone is judged"


def test_a_reference_that_does_not_round_a_branch_s_number_as_keras_does_would_blame_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """1/√2 in float16 is smaller by 1.1e-4, a fifth of the distance between two numbers."""
    monkeypatch.setattr(Arithmetic, "factor", Arithmetic.number)
    found = judge(CHECKS["rounding"], seen("keras", "depth=8,skip=two,branch=root2,precision=mixed_float16", trains=False))
    assert found.status == FAILED and found.worst.note == "towards zero"


def test_a_part_without_a_half_precision_kernel_is_absent_and_no_crash() -> None:
    with pytest.raises(Absent, match="not implemented for 'Half'"):
        seen("torch", "depth=4,width=8,batch=8,act=rrelu,precision=mixed_float16", trains=False)


def test_pytorch_sums_a_layer_normalizations_gradients_in_half_precision_and_that_is_known() -> None:
    found = verdicts(seen("torch", "depth=4,width=16,batch=1024,norm=layer,precision=mixed_bfloat16", trains=False))
    assert found["gradient_parity"].status == KNOWN
    assert "in half precision" in found["gradient_parity"].reason


def test_a_relation_that_rounding_decides_is_counted_and_a_wrong_gradient_beside_it_caught() -> None:
    evidence = copy.copy(seen("torch", "depth=16,width=3,norm=layer", trains=False))
    verdict = judge(CHECKS["sum_rules"], evidence)
    assert verdict.status == PASSED and "rounding is as large as the terms" in verdict.reason
    evidence.seen = copy.deepcopy(evidence.seen)
    evidence.seen.forced_steps[0].gradients["dense16.bias"] *= np.float32(1.0001)
    assert judge(CHECKS["sum_rules"], evidence).status == FAILED


def test_a_penalty_is_taken_off_and_a_missing_one_is_not_forgiven() -> None:
    network = "depth=6,width=8,batch=16,act=silu,skip=two,branch=zero,l2=0.01"
    evidence = copy.copy(seen("keras", network, trains=False))
    assert {judge(CHECKS[name], evidence).status for name in ("gradient_bound", "sum_rules", "gradient_parity")} == {PASSED}
    evidence.seen = copy.deepcopy(evidence.seen)
    evidence.seen.forced_steps[0].gradients["dense2.weight"] *= 0
    assert judge(CHECKS["gradient_bound"], evidence).status == FAILED


@pytest.mark.parametrize("branch", ["zero", "rezero"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_penalty_in_float64_is_taken_off_with_the_factor_that_is_held_and_no_other(branch: str, penalty: str) -> None:
    network = f"depth=6,width=4,batch=8,act=tanh,skip=two,skip_order=pre,branch={branch},{penalty}=0.1,precision=float64"
    evidence = copy.copy(seen("keras", network, trains=False))
    assert judge(CHECKS["gradient_bound"], evidence).status == PASSED
    evidence.seen = copy.deepcopy(evidence.seen)
    evidence.seen.forced_steps[0].gradients["dense2.weight"] *= 1 + 1e-12
    assert judge(CHECKS["gradient_bound"], evidence).status == FAILED


@pytest.mark.parametrize("name", NORMS)
def test_a_normalization_is_the_same_folded(name: str) -> None:
    row, rng = NORMS[name], np.random.default_rng(0)
    z, dy, scale, shift = rng.normal(2, 1, (16, 12)), rng.normal(size=(16, 12)), rng.normal(1, 0.1, 12), rng.normal(size=12)
    sides = []
    for folded in (False, True):
        y, cache = row.forward(z, scale, shift, 1e-5, 4, folded)
        dz, learned = row.backward(dy, cache)
        sides.append([y, dz, *learned.values()])
    for one, other in zip(*sides, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    moments, running = (rng.normal(size=12), rng.uniform(1, 2, 12)), []
    for folded in (False, True):
        running.append(row.evaluate(z, scale, shift, moments, 1e-5, folded))
    np.testing.assert_allclose(running[1], running[0], rtol=0, atol=1e-12)


def test_folded_passes_show_what_cancelling_costs() -> None:
    """Behind weights of zero a batch normalization divides rounding by √ε."""
    spec = Spec.parse("depth=4,width=8,batch=4,norm=batch,skip=two,branch=zero,init=torch_default")
    result = reference_of(spec, data())
    step = result.forced_steps[0]
    off = [
        np.abs(Reference(spec, step.weights, np.float32, order).run(step.x, step.labels).logits - result.exact[0].logits).max()
        for order in (None, 1)  # without an order no term is moved
    ]
    assert off[1] > 2 * off[0]


def test_a_spread_known_from_few_means_reaches_further() -> None:
    assert _z(2) > 1000 > _z(6) > _z(65) > BAND_Z and _z(1) == np.inf
    assert _z(100_000) == pytest.approx(BAND_Z, rel=1e-3)


@pytest.mark.parametrize(
    ("backend", "network", "check"),
    [
        ("torch", "rnn,width=4,length=4,batch=8,direction=both,precision=float64", "sum_rules"),
        ("keras", "rnn,width=4,length=4,batch=8,outputs=all,lengths=uneven,precision=float64", "sum_rules"),
        ("keras", "rnn,width=4,length=2,batch=8,cell=gru,clip=variable,clip_at=0.001,optimizer=sgd", "clipping"),
        ("keras", "rnn,width=4,length=2,batch=8,cell=gru,direction=both,optimizer=lamb", "update"),
        ("torch", "rnn,width=48,batch=1,init=default", "time_scales"),
        ("torch", "conv,depth=4,batch=16,stride=3,act=tanh,read=max", "gradient_parity"),
        ("keras", "rnn,width=1,length=1,batch=1", "gradient_parity"),
        ("keras", "rnn,width=1,length=1,batch=1,classes=5", "gradient_parity"),
    ],
)
def test_what_other_families_brought_is_judged_and_healthy(backend: str, network: str, check: str) -> None:
    verdict = verdicts(seen(backend, network, trains=False))[check]
    assert (verdict.status, verdict.reason, verdict.worst) == (PASSED, "", None)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_weights_with_which_the_reference_overflows_too_are_no_fault(backend: str) -> None:
    """Beyond float64 as well: 64 steps by weights of 1e10 that gradients of an explosion left."""
    verdict = verdicts(seen(backend, "rnn,length=64,cell=relu,recurrent=identity,radius=1.5", trains=False))["forward_parity"]
    assert verdict.status == PASSED and "overflow in evaluation, in the reference as well" in verdict.reason


def test_states_that_tensorflow_takes_for_zero_are_no_fault() -> None:
    verdict = verdicts(seen("keras", "rnn,width=8,length=220,radius=0.5,batch=8", trains=False))["time_gain"]
    assert verdict.status == PASSED and "rounding is as large as what is judged" in verdict.reason


def test_what_is_read_of_a_sequence_is_no_reason_to_judge_nothing_in_float32() -> None:
    evidence = seen("torch", "rnn,width=4,length=4,batch=8,direction=both,lengths=uneven", trains=False)
    judged = {finding.where for finding in judge(CHECKS["sum_rules"], evidence).findings}
    assert "step 0 layer  2 ∂W against δᵀh" in judged


def test_keras_holds_both_biases_of_a_gru_in_one_variable_and_pytorch_in_two() -> None:
    spec = Spec.parse("rnn,width=2,length=2,cell=gru,clip=variable,clip_at=1,optimizer=lion")
    gradients = {key: np.full(shape, 3.0) for key, shape in graph(spec).parameters.items()}
    one, two = "recurrent1.bias", "recurrent1.recurrent_bias"
    keras, torch = (Rule(spec, conventions) for conventions in ("keras", "torch"))
    assert np.linalg.norm([keras.clip(gradients)[key] for key in (one, two)]) == pytest.approx(1)
    assert np.linalg.norm([torch.clip(gradients)[key] for key in (one, two)]) == pytest.approx(2**0.5)
    for rule in (keras, torch):
        moved = rule.step({key: np.ones(shape) for key, shape in graph(spec).parameters.items()}, gradients)
        assert {key: w.shape for key, w in moved.items()} == {key: w.shape for key, w in rule.undecided.items()} == graph(spec).parameters


def test_equal_samples_and_single_units_tell_no_drift() -> None:
    near = np.full((128, 2), 1.0, np.float32)
    seen_away, half = near * (1 + 2.0**-7), PRECISIONS["mixed_bfloat16"].results
    assert list(_drift(Place("drift"), seen_away, near, half)) == []
    assert list(_drift(Place("drift"), seen_away[:, :1], near[:, :1], half)) == []
    different = np.random.default_rng(0).uniform(1, 2, (128, 32))
    cut, rounded = (np.asarray(each(different * 128) / 128, np.float32) for each in (np.floor, np.round))
    (finding,) = _drift(Place("drift"), cut, rounded, half)
    assert not finding.within


def test_a_layer_without_forward_mode_leaves_the_rest_of_the_network_judged() -> None:
    found = verdicts(seen("torch", "rnn,layers=2,width=2,length=2,batch=4,lengths=uneven,precision=float64", trains=False))
    assert found["gradient_parity"].status == PASSED and not [name for name, verdict in found.items() if verdict.status == FAILED]
    assert "no forward mode: PyTorch" in found["derivative"].reason and "_pack_padded_sequence" in found["derivative"].reason
