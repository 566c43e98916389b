"""Whatever network a user types is judged by the checks that apply to it, or declined with a reason; a healthy framework is not blamed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence import divergence
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED, judge
from bench.report.profile import profile
from bench.selftest.kills import seen, verdicts
from models.observation import Training
from models.reference.draws import draw_weights
from models.spec import Spec, SpecError

TYPED = (
    "depth=5,width=16,batch=16,classes=3,skip=one,clip=global,loss=huber,input=tiny",
    "depth=3,width=16,batch=16,act=sigmoid,skip=one,branch=root2,loss=mse",
    "depth=6,width=12,batch=8,act=leaky_relu,skip=one,loss=hinge",
    "depth=6,width=12,batch=16,skip=one,skip_order=pre,bias=normal,optimizer=adamw",
    "depth=6,width=12,batch=16,skip=one,skip_order=pre,init=torch_default,loss=huber",
    "depth=4,width=8,batch=8,norm=batch,skip=one,branch=zero",
    "depth=4,width=8,batch=8,skip=one,branch=rezero,norm=batch,clip=variable,optimizer=adam",
    "depth=4,width=8,batch=8,optimizer=adam,l1=0.01,l2=0.001",
    "depth=2,width=16,batch=4,act=selu,norm=batch,norm_at=after,bias=normal,loss=hinge,input=tiny",
)
NARROW = (
    "depth=4,width=1,norm=batch,batch=4",
    "width=1", "depth=2,width=1", "depth=4,width=2,norm=rms", "depth=4,width=1,skip=one", "depth=4,width=4,norm=group,groups=1",
    "depth=4,width=16,batch=1", "depth=4,width=16,batch=4,norm=batch", "depth=2,width=8,batch=1197", "depth=2,width=8,classes=600",
    "bottleneck=64,skip=two,skip_order=pre", "depth=4,width=16,loss=mse,target_scale=1e15",
    "depth=4,width=16,precision=mixed_float16,loss_scale=9.5367431640625e-07",
    "depth=8,width=1,batch=1,act=leaky_relu,precision=float64",
    "depth=20,width=2,classes=20,act=linear,bottleneck=2,init=orthogonal,lr=1e-05,loss=hinge,precision=float64",
)  # fmt: skip
"""Fields at their edges, where units are so few that all of them are off in many random networks, or numbers so small that none is left."""
BEYOND = (
    ("torch", "poisson", "huge", NOT_JUDGED), ("torch", "binary_cross_entropy_of_probabilities", "saturated", PASSED),
    ("torch", "kl_divergence", "far", PASSED), ("keras", "cross_entropy_of_probabilities", "saturated", NOT_JUDGED),
    ("keras", "binary_cross_entropy_of_probabilities", "centred", PASSED),
)  # fmt: skip
"""Losses on logits at which they overflow, or probabilities are clipped, and what becomes of parity."""
DIVERGING = (
    "depth=3,width=16,batch=4,act=selu,norm=layer,norm_at=after,skip=one,skip_order=pre,lr=1,l2=0.01,precision=mixed_float16",
    "depth=6,width=16,batch=16,act=gelu,norm=group,lr=300,precision=mixed_float16",
    "depth=6,width=8,batch=4,act=rrelu,norm=layer,skip=one,branch=zero,bias=normal,lr=300",
    "depth=4,width=16,lr=1000",
)
"""Trainings that leave the range of numbers by themselves."""


@pytest.mark.parametrize("network", TYPED)
def test_a_healthy_framework_is_judged_and_not_blamed(network: str) -> None:
    found = verdicts(seen("torch", network, trains=True))
    assert {"finite", "gradient_parity", "update"} <= set(found)
    assert [(name, verdict.worst) for name, verdict in found.items() if verdict.status == FAILED] == []


@pytest.mark.parametrize("branch", ["zero", "rezero"])
def test_units_that_are_off_and_stay_so_by_exact_zeros_are_judged(branch: str) -> None:
    """A ReLU that is off hands on 0, a branch of zero adds 0, and the next ReLU gets its kink itself, whose slope all take alike."""
    found = verdicts(seen("torch", f"depth=4,width=16,batch=16,skip=two,branch={branch}", trains=False))
    assert (found["gradient_parity"].status, found["gradient_bound"].status) == (PASSED, PASSED)


@pytest.mark.parametrize("network", NARROW)
def test_a_healthy_framework_is_not_blamed_at_the_edges_of_fields(network: str) -> None:
    evidence = seen("torch", network, trains=True)
    found = verdicts(evidence)
    assert [(name, verdict.worst) for name, verdict in found.items() if verdict.status == FAILED] == []
    assert found["update"].status == "passed"
    assert profile(evidence).gradient


@pytest.mark.parametrize(("backend", "loss", "x", "status"), BEYOND)
def test_a_healthy_framework_is_not_blamed_for_what_a_loss_cannot_hold(backend: str, loss: str, x: str, status: str) -> None:
    evidence = seen(backend, f"depth=4,width=16,batch=32,loss={loss},input={x}", trains=False)
    found = verdicts(evidence)
    assert [(name, verdict.worst) for name, verdict in found.items() if verdict.status == FAILED] == []
    assert found["forward_parity"].status == status
    profile(evidence)


PENALIZED = (
    "depth=20,width=2,batch=32,classes=20,act=linear,bottleneck=2,init=orthogonal,l2=0.01,loss=hinge,precision=float64",
    "depth=22,width=128,batch=7,classes=2,act=leaky_relu,bottleneck=4,init=glorot_uniform,bias=normal,l2=0.01,loss=huber,target_scale=10000",
)


@pytest.mark.parametrize("network", PENALIZED)
def test_a_penalty_is_taken_off_as_it_is_held_where_gradients_vanish_beside_it(network: str) -> None:
    verdict = judge(CHECKS["homogeneity"], seen("keras", network, trains=False))
    assert verdict.status == PASSED, verdict.worst


@pytest.mark.parametrize("network", DIVERGING)
def test_a_training_that_diverges_of_itself_is_declined(network: str) -> None:
    found = verdicts(seen("torch", network, trains=True))
    assert [(name, verdict.worst) for name, verdict in found.items() if verdict.status == FAILED] == []
    assert found["training"].status == found["finite"].status == NOT_JUDGED


def test_weights_that_leave_the_range_in_the_last_step_are_the_frameworks_doing_unless_the_references_do() -> None:
    healthy = seen("torch", "depth=2,width=16", trains=True)
    evidence = copy.copy(healthy)
    evidence.seen = copy.deepcopy(healthy.seen)
    evidence.seen.trainings[0].weights = {key: np.full_like(w, np.nan) for key, w in evidence.seen.trainings[0].weights.items()}
    assert judge(CHECKS["evaluation"], healthy).status != FAILED
    assert judge(CHECKS["evaluation"], evidence).status == FAILED
    spec = Spec.parse("depth=2,width=16,features=4,lr=1e30,loss=mse")
    x, labels, places = np.ones((1, 4), np.float32), np.zeros(1, np.int64), np.zeros((1, spec.batch), np.int64)
    steps = Training(0, draw_weights(spec, 0), x, labels, places, np.ones(1))
    assert divergence.overflow(spec, "torch", steps, 1) == 1
    assert divergence.overflow(Spec.parse("depth=2,width=16,features=4"), "torch", steps, 1) is None


def test_a_layer_that_is_zero_in_random_networks_as_well_is_not_judged_and_one_that_is_not_finite_fails() -> None:
    healthy = seen("torch", "depth=4,width=1", trains=False)
    for check in ("signal_gain", "backward_gain"):
        assert judge(CHECKS[check], healthy).reason.startswith("layers whose signal or gradient is zero here")
    sick = copy.copy(healthy)
    sick.seen = copy.deepcopy(healthy.seen)
    for arrays in (sick.native.pre_activations, sick.native.pre_activation_gradients):
        arrays |= {name: np.full_like(values, np.nan) for name, values in arrays.items()}
    assert judge(CHECKS["signal_gain"], sick).status == FAILED
    whole = copy.copy(seen("torch", "depth=4,width=16", trains=False))
    whole.seen = copy.deepcopy(whole.seen)
    whole.native.pre_activation_gradients["dense1"] *= 0
    assert judge(CHECKS["backward_gain"], whole).status == FAILED, "no random network of this width loses its gradient"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("width=1,norm=layer", "over one unit gives zero"), ("width=8,norm=group,groups=8", "over one unit gives zero"),
        ("width=2,norm=layer", "gives 1 or −1"), ("width=8,norm=group,groups=4", "gives 1 or −1"), ("width=1,norm=rms", "gives 1 or −1"),
        ("loss=mse,target_scale=1e20", "beyond float32"),
    ],
)  # fmt: skip
def test_a_network_without_gradient_or_numbers_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Spec.parse(f"depth=4,{text}")
