"""PyTorch models that keep state, or take gradients, in ways of their own are judged, and are not blamed."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from bench.judging.verdict import FAILED, PASSED, Verdict
from bench.selftest.faults.of_parameters import wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts
from models.own.address import OwnModel

ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation")
KEPT = ("none_buffer", "new_buffer", "new_attribute", "numpy_generator", "torch_generator", "python_generator", "queue")


def _judged(model: str, but: tuple[str, ...] = ()) -> dict[str, Verdict]:
    """Nothing is red, and every check that always applies has judged, `but` some."""
    seen = verdicts(evidence("torch", f"{GAUGES}/torch_kinds.py:{model}"))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if name not in but and (seen[name].status != PASSED or not seen[name].judged)} == {}
    return seen


@pytest.mark.parametrize("model", KEPT)
def test_state_that_a_pass_makes_is_put_back(model: str) -> None:
    _judged(model)


def test_what_is_saved_besides_tensors_is_left_out() -> None:
    _judged("extra_state")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta", "ignore:The PyTorch API of nested tensors is in prototype")
@pytest.mark.parametrize("model", ["graph", "graph_in_rows", "nested"])
def test_sparse_and_nested_inputs_have_no_halves(model: str) -> None:
    _judged(model)


def test_a_parameter_that_the_forward_pass_writes_is_named_and_has_no_derivative() -> None:
    seen = _judged("shortened", but=("derivative",))
    assert seen["derivative"].status != PASSED and "writes into embedding.weight" in seen["derivative"].reason
    assert "writes into embedding.weight" in seen["update"].reason


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("simulated_quantization", "the forward pass of fake_quantize_per_tensor_affine is flat"),
        ("quantization_by_channel", "the forward pass of fake_quantize_per_channel_affine is flat"),
        ("learned_quantization", "the forward pass of _fake_quantize_learnable_per_channel_affine is flat"),
        ("prepared_quantization", "the forward pass of fake_quantize_per_channel_affine is flat"),
        ("gamma", "draws of a gamma distribution have an implicit gradient"),
        ("dirichlet", "draws of a Dirichlet distribution have an implicit gradient"),
    ],
)
def test_gradients_of_pytorch_s_own_that_are_no_derivatives_of_the_loss_are_named(model: str, why: str) -> None:
    seen = _judged(model, but=("derivative",))
    assert seen["derivative"].status != PASSED and why in seen["derivative"].reason


@pytest.mark.parametrize(("model", "parameter"), [("quantization_by_channel", "first.weight"), ("learned_quantization", "scale")])
def test_a_fault_behind_simulated_quantization_is_seen(model: str, parameter: str) -> None:
    address = f"{GAUGES}/torch_kinds.py:{model}"
    assert found("torch", Fault("a gradient", address, "gradient_parity", parameter, wrong_gradient_of(parameter, 1.0001)))[0]


def test_draws_that_nothing_learned_moves_have_a_derivative() -> None:
    _judged("gamma_noise")


@pytest.mark.parametrize("frozen", [slice(0, 1), slice(0, 0), slice(None)])
def test_modes_of_the_factory_are_kept_unless_all_is_in_evaluation(frozen: slice) -> None:
    from bench.selftest.gauges.torch_kinds import normalized
    from models.backends.torch.own.kinds import as_trained
    from models.backends.torch.own.shared import as_first_returned

    model = normalized()
    for module in model[frozen]:
        module.eval()
    if frozen == slice(None):
        model.eval()
    modes = [not (frozen == slice(0, 1) and module is model[0]) for module in model.modules()]
    as_first_returned(model)
    assert [module.training for module in as_trained(model).modules()] == modes
    model.train(frozen == slice(0, 1))
    as_first_returned(model)  # a module that is made once, which the factory returns again
    assert [module.training for module in as_trained(model).modules()] == modes


def test_a_training_leaves_frozen_what_the_factory_froze(tmp_path: Path) -> None:
    from models.backends.torch.own.training import train_own

    gauge = """
        import torch
        from torch import nn
        def net(frozen=True):
            class Told(nn.BatchNorm1d):
                def forward(self, x):
                    assert self.training is not frozen, "in another mode than the factory's"
                    return super().forward(x)
            model = nn.Sequential(Told(4), nn.Dropout(), nn.Linear(4, 2))
            model[0].eval() if frozen else model.eval()
            data = [(torch.randn(8, 4), torch.randint(0, 2, (8,))) for _ in range(2)]
            return dict(model=model, loss=nn.functional.cross_entropy, batch=data[0], data=data, optimizer=lambda p: torch.optim.SGD(p))
        def evaluating():
            return net(False)
    """
    file = tmp_path / "gauge.py"
    file.write_text(dedent(gauge))
    for name in ("net", "evaluating"):
        model = OwnModel(name, str(file), name, str(tmp_path))
        assert len(train_own(model, 0, False, "cpu").losses) == 2
