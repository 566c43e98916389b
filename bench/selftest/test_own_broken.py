"""What is wrong with a factory is told in one sentence that is its user's to understand, and nothing is judged as if it were right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.judging.verdict import FAILED, NOT_APPLICABLE
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.gauge import OwnError
from models.own.loading import description

ROOT = Path(__file__).resolve().parents[2]
SAID = {
    "raises": r"could not be built: ZeroDivisionError: division by zero \(broken_torch.py, line \d+: return 1 / 0\)",
    "leaves": r"could not be built: SystemExit: no data \(broken_torch.py, line \d+",
    "mute": r"could not be built: Mute \(broken_torch.py, line \d+: raise Mute\)",
    "endless_message": r"could not be built: RuntimeError: x{300} … \(broken_torch.py",
    "no_exception": "could not be built: BaseException: stopped",
    "inference": "was built within torch.inference_mode, so build it outside of that",
    "takes": "takes size, and a factory is called without arguments",
    "gives_none": "returned no PyTorch module but NoneType: return dict",
    "gives_a_class": "returned no PyTorch module but type: return dict",
    "gives_a_tensor": "returned no PyTorch module but Tensor: return dict",
    "gives_a_string": "returned no PyTorch module but str: return dict",
    "gives_keras": "returned no PyTorch module but str: return dict",
    "gives_a_generator": "returned no PyTorch module but generator: return dict",
    "waits": "returned no PyTorch module but coroutine: return dict",
    "no_parameters": "reaches nothing that learns: all is frozen, or outputs are detached",
    "all_frozen": "reaches nothing that learns",
    "detached": "reaches nothing that learns",
    "loss_is_a_number": "is no tensor but float: return the tensor itself",
    "loss_is_a_word": "the loss of .* is str, and in PyTorch it is a function of outputs and targets",
    "loss_of_one": "takes 1 positional argument but 2 were given",
    "batch_is_numpy": "must be Tensor, not numpy.ndarray",
    "batch_is_empty": "the batch has 0 parts",
    "data_is_empty": "data without a single batch",
    "data_ends": "the batch has 3 parts",
    "labels_are_out_of_range": "could not be trained: IndexError: Target 2 is out of bounds",
    "optimizer_is_a_word": "the optimizer of .* is str, and in PyTorch it is a function of parameters",
    "optimizer_of_another": "has none of the model's parameters",
    "optimizer_takes_nothing": "has an optimizer that could not be built: TypeError",
    "optimizer_gives_none": "the optimizer of .* is NoneType, no torch.optim.Optimizer",
    "schedule_is_one": "the schedule of .* is StepLR, and in PyTorch it is a function of an optimizer",
    "endless": "RecursionError: maximum recursion depth exceeded",
    "meta": "could not be put on cpu: NotImplementedError: Cannot copy out of meta tensor",
}


@pytest.mark.filterwarnings("ignore")  # of a coroutine that nobody awaits
@pytest.mark.parametrize("name", SAID)
def test_a_wrong_factory_is_told_in_one_sentence(name: str) -> None:
    with pytest.raises(OwnError, match=SAID[name]) as raised:
        evidence("torch", f"{GAUGES}/broken_torch.py:{name}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["not_a_number", "infinite"])
def test_a_loss_that_is_no_number_is_red_and_no_crash(name: str) -> None:
    seen = verdicts(evidence("torch", f"{GAUGES}/broken_torch.py:{name}"))
    assert seen["finite"].status == FAILED and seen["gradient_parity"].status == FAILED


def test_a_model_that_can_neither_be_copied_nor_built_again_has_no_twin() -> None:
    seen = verdicts(evidence("torch", f"{GAUGES}/broken_torch.py:another_every_time"))
    assert seen["gradient_parity"].status == NOT_APPLICABLE and "builds another one the second time" in seen["gradient_parity"].reason
    assert seen["finite"].judged and seen["reproducible"].judged


def test_what_one_file_sets_for_the_process_is_gone_for_the_next() -> None:
    with pytest.raises(OwnError, match="reaches nothing that learns"):
        evidence("torch", f"{GAUGES}/broken_torch.py:other_defaults")
    seen = evidence("torch", f"{GAUGES}/tried_torch.py:decayed")
    assert seen.seen.precision == "float32" and verdicts(seen)["gradient_parity"].judged


def test_what_a_user_types_wrong_ends_with_one_sentence_and_no_zero(tmp_path: Path) -> None:
    (tmp_path / "relative.py").write_text("import torch\nfrom . import net\n")
    (tmp_path / "gauge.py").write_text("import torch\n")
    for model, status, said in (
        (f"{tmp_path}/absent.py:net", 4, "there is no file"),
        (f"{tmp_path}/gauge.py:absent", 1, "gauge.py has no 'absent'; it has torch"),
        (f"{tmp_path}/relative.py:net", 1, "ImportError: attempted relative import with no known parent package (relative.py, line 2"),
    ):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--model={model}", f"--record-dir={tmp_path}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == status and said in done.stdout + done.stderr, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_what_keras_says_of_a_layer_is_told_with_the_layer_and_without_its_advice() -> None:
    said = (
        "Unable to automatically build the model. Please build it yourself.\nException encountered:\n"
        "'Exception encountered when calling RNN.call().\n\n\x1b[1mwhere requires arrays\x1b[0m\n\nArguments received by RNN.call():'"
    )
    assert description(RuntimeError(said), "/") == "RuntimeError: where requires arrays (in RNN)"
