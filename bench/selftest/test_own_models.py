"""Users' own models in a worker: every form of model is judged, and what is wrong with one is told as theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.checks.own import OWN_CHECKS, absent
from bench.evidence.own import OwnEvidence
from bench.judging.verdict import FAILED, NOT_APPLICABLE, PASSED, Verdict, judge
from bench.selftest.made_up import SCALED_BACKWARD
from models.own.address import own_models
from models.own.observation import OwnJob, OwnObservation
from models.worker.process import Worker, WorkerError

ROOT = Path(__file__).resolve().parents[2]
GAUGES = Path(__file__).parent / "gauges"
MODELS = {
    "torch": ("encoder", "recurrent", "images", "sensors", "bare"),
    "keras": ("images", "recurrent", "regression", "sensors"),
}


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, Worker]]:
    started = {backend: Worker(backend) for backend in MODELS}
    yield started
    for worker in started.values():
        worker.close()


SEEN: dict[str, OwnObservation] = {}


def examined(worker: Worker, address: str) -> OwnObservation:
    if address not in SEEN:
        SEEN[address] = worker.call("examine", OwnObservation, own=OwnJob(own_models([address], GAUGES)[0]))
    return SEEN[address]


def judged(worker: Worker, address: str) -> tuple[OwnObservation, dict[str, Verdict]]:
    seen = examined(worker, address)
    return seen, {name: judge(check, OwnEvidence(address, worker.backend, seen)) for name, check in OWN_CHECKS.items()}


@pytest.mark.parametrize(("backend", "model"), [(backend, model) for backend, models in MODELS.items() for model in models])
def test_a_healthy_model_passes(backend: str, model: str, workers: dict[str, Worker]) -> None:
    seen, verdicts = judged(workers[backend], f"of_{backend}.py:{model}")
    assert seen.no_twin == "" and seen.undecided == ""
    assert [name for name, verdict in verdicts.items() if verdict.status == FAILED] == []
    for name in ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation"):
        assert verdicts[name].status == PASSED and verdicts[name].judged, name
    assert verdicts["forward_parity"].headroom > 0.4 and verdicts["gradient_parity"].headroom > 0.3
    has_optimizer = model not in ("sensors", "bare") or backend == "keras"
    assert verdicts["update"].status == (PASSED if has_optimizer else NOT_APPLICABLE)


def test_parameters_carry_their_own_names(workers: dict[str, Worker]) -> None:
    torch, keras = examined(workers["torch"], "of_torch.py:sensors"), examined(workers["keras"], "of_keras.py:recurrent")
    names = [each.name for each in torch.gradients if each.kind == "gradient"]
    assert names == ["left.weight", "left.bias", "right.weight"], "what is frozen or never used has no gradient"
    assert {each.name for each in torch.forward if each.kind == "output"} == {"hidden", "loss"}
    assert "lstm.lstm_cell.recurrent_kernel" in [each.name for each in keras.gradients]


def test_what_has_no_twin_is_not_applicable_and_the_rest_is_judged(workers: dict[str, Worker]) -> None:
    for backend, model, place in (("torch", "kernel", "kernel does not run in float64: TypeError"), ("keras", "half", "fixed computes in")):
        _, verdicts = judged(workers[backend], f"of_{backend}.py:{model}")
        assert place in verdicts["gradient_parity"].reason and verdicts["gradient_parity"].status == NOT_APPLICABLE
        for name in ("finite", "reproducible", "evaluation"):
            assert verdicts[name].status == PASSED, name


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("shapes", "could not be trained: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("unreduced", r"is no single number but \(4, 2\): return its mean"),
        ("nothing", "the factory returned no PyTorch module but int"),
        ("absent", "of_torch.py has no 'absent'; it has"),
        ("functional", "is no function but a module"),
    ],
)
def test_a_wrong_model_is_told_as_the_users(model: str, said: str, workers: dict[str, Worker]) -> None:
    with pytest.raises(WorkerError, match=said) as raised:
        examined(workers["torch"], f"of_torch.py:{model}")
    assert raised.value.complete and "\n" not in str(raised.value)


def test_an_exception_names_the_last_line_of_the_users_files(tmp_path: Path, workers: dict[str, Worker]) -> None:
    (tmp_path / "models").mkdir()  # a package that is called as one of the suite's own
    (tmp_path / "models" / "net.py").write_text("import torch\n\ndef make():\n    return torch.nn.Linear(2, 2)(torch.ones(3))\n")
    (tmp_path / "gauge.py").write_text("import torch\nfrom models.net import make\n\ndef net():\n    return make()\n")
    with pytest.raises(WorkerError, match=r"could not be built: RuntimeError: .* \(net.py, line 4: return torch.nn.Linear"):
        examined(workers["torch"], f"{tmp_path}/gauge.py:net")
    SEEN.pop("of_torch.py:bare", None)
    assert examined(workers["torch"], "of_torch.py:bare").no_twin == "", "the suite's own package is back"


def test_a_wrong_formula_is_wrong_in_the_twin_as_well_and_seen_by_differences(workers: dict[str, Worker]) -> None:
    _, verdicts = judged(workers["torch"], "of_torch.py:formula")
    assert [name for name, verdict in verdicts.items() if verdict.status == FAILED] == ["derivative"]
    outside = {finding.place.parameter for finding in verdicts["derivative"].findings if not finding.within}
    assert outside == {"first.weight", "first.bias"}


def test_other_operations_in_float64_decide_by_themselves_unless_they_draw(workers: dict[str, Worker]) -> None:
    seen, verdicts = judged(workers["torch"], "of_torch.py:branching")
    assert not seen.no_twin and verdicts["forward_parity"].status == verdicts["gradient_parity"].status == PASSED
    seen, verdicts = judged(workers["torch"], "of_torch.py:branching_draws")
    assert "random draws cannot be given to float64" in seen.no_twin and verdicts["gradient_parity"].status == NOT_APPLICABLE


def test_what_no_own_model_has_is_said() -> None:
    lacking = absent()
    assert lacking["signal_gain"] == "the framework's own initialization" and lacking["clipping"] == "gradient clipping"
    assert not set(lacking) & set(OWN_CHECKS)


def test_a_run_judges_tells_and_records(tmp_path: Path) -> None:
    (tmp_path / "gauge.py").write_text(WRONG)
    command = [sys.executable, "-m", "pytest", "-q", f"--model={tmp_path}/gauge.py:net", f"--model={tmp_path}/gauge.py:broken"]
    done = subprocess.run([*command, f"--report={tmp_path}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    for said in (
        "Each gradient equals that of the model's float64 twin, to rounding: 1 of ",
        "worst at layers.6.weight",
        "looks like a gradient scaled by 1.0001 (parallel to the true gradient)",
        "(gauge.py, line 26: return self.head(x))",
        "vanishing  torch ",
        "decades of gradient from head to layers.0",
        "not applicable: ",
    ):
        assert said in done.stdout, said
    failures = done.stdout.partition("short test summary info")[0]  # which repeats each message whole where CI is set
    assert failures.count("could not be trained") == 1, "a model that cannot run is told once"
    record = json.loads((tmp_path / "latest.json").read_text(encoding="utf-8"))
    wrong = {(verdict["check"], verdict["subject"]) for verdict in record["verdicts"] if verdict["status"] == "failed"}
    assert wrong == {(check, f"{tmp_path}/gauge.py:net") for check in ("gradient_parity", "execution")}
    assert record["profiles"][0]["names"][0] == "layers.0" and "layers.6.weight" in (tmp_path / "report.html").read_text(encoding="utf-8")
    again = next(v["rerun"] for v in record["verdicts"] if v["status"] == "failed")
    assert again.startswith(f"pytest --model='{tmp_path}/gauge.py:net' 'bench/test_parity.py::test_parity[")


WRONG = (
    """
import torch
from torch import nn
from torch.nn import functional

"""
    + SCALED_BACKWARD
    + """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*[part for _ in range(8) for part in (nn.Linear(16, 16), nn.Sigmoid())])
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for place, layer in enumerate(self.layers):
            x = functional.linear(x, Off.apply(layer.weight), layer.bias) if place == 6 else layer(x)
        return self.head(x)


def net():
    batch = torch.randn(8, 16), torch.randint(0, 4, (8,))
    return dict(model=Net(), loss=functional.cross_entropy, batch=batch, optimizer=lambda p: torch.optim.AdamW(p, 1e-3))


def broken():
    made = net()
    made["model"].head = nn.Linear(5, 4)
    return made
"""
)
