"""An upgrade of a user's own model is told in words, and a wrong gradient in a script of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.exit_status import Status
from bench.imported import ROOT
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import NOT_JUDGED, Verdict
from bench.report import record_file
from bench.report.record import Error, Record
from bench.selftest import made_up
from bench.versions import script, upgrade
from models.own.address import own_models

MODEL = "gauge.py:net"
GAUGES = ROOT / "bench" / "selftest" / "gauges"


def gradients(**sizes: float) -> Verdict:
    """Gradient parity of parameters that are so many roundings off."""
    findings = [Finding(Place(parameter=name.replace("_", ".")), size, 0.0, 10.0, "scaled") for name, size in sizes.items()]
    return made_up.verdict("gradient_parity", "torch", MODEL, findings)


def release(*verdicts: Verdict, memory: float = 500.0, errors: tuple[Error, ...] = ()) -> Record:
    """The record of one set of requirements."""
    made = made_up.made(verdicts=list(verdicts), profiles=[], timings=[], errors=list(errors))
    made.peak_memory_mb = {"torch": memory}
    with tempfile.TemporaryDirectory() as folder:  # as `versions` has it: a file leaves out what an exact law allowed
        return record_file.read(record_file.write(Path(folder), made))


def told(*records: Record) -> str:
    """What is said of upgrading through them."""
    return "\n".join(upgrade.lines({f"torch=={number}": record for number, record in enumerate(records, 1)}))


def test_an_upgrade_on_which_all_is_right_is_safe() -> None:
    text = told(release(gradients(a_weight=1.0, b_weight=2.0)), release(gradients(a_weight=1.5, b_weight=2.0), memory=600))
    assert "✓ gauge.py:net on torch: safe. All 2 numbers of 1 check are right in torch==2." in text
    assert "500 → 600 MB" in text


def test_what_went_wrong_is_told_with_its_release_and_the_one_that_is_right() -> None:
    text = told(
        release(gradients(a_weight=1.0, b_weight=2.0)), release(gradients(a_weight=157.0, b_weight=2.0)),
        release(gradients(a_weight=160.0, b_weight=2.0)),
    )  # fmt: skip
    assert "✗ gauge.py:net on torch: not safe. 1 number of 2 went wrong by torch==3." in text
    assert "gradient_parity a.weight: 160 roundings off its float64 twin, 10 allowed since torch==2; torch==1 is right, 1 roundings" in text
    assert "python -m bench script --model=gauge.py:net --parameter=a.weight" in text


def counted(changed: int) -> Verdict:
    """An exact law of an own model that counts entries, beside a number that is right."""
    findings = [
        Finding(Place("changed gradient entries"), float(changed), 0.0, 0.0),
        Finding(Place(parameter="a.weight"), 1.0, 0.0, 10.0),
    ]
    return made_up.verdict("update", "torch", MODEL, findings)


def test_an_exact_law_that_broke_went_wrong_although_no_record_keeps_where_it_held() -> None:
    text = told(release(counted(0)), release(counted(5)))
    assert "✗ gauge.py:net on torch: not safe. 1 number of 2 went wrong by torch==2." in text
    assert "update changed gradient entries: 5, 0 since torch==2; torch==1 is right, 0, 0" in text
    assert "roundings" not in text, "entries are counted"
    assert "torch==2 mends changed gradient entries: 5, 0 → 0, 0" in told(release(counted(5)), release(counted(0)))
    silent = made_up.verdict("update", "torch", MODEL, [], NOT_JUDGED, "nothing moves")
    assert "an upgrade changes nothing" in told(release(silent), release(counted(5))), "what was not judged did not hold"


def test_a_gradient_that_is_wrong_on_a_gpu_gets_a_script_for_one() -> None:
    records = release(gradients(a_weight=1.0)), release(gradients(a_weight=157.0))
    for record in records:
        record.environment["device"] = "cuda:1"
    assert "--parameter=a.weight --device=cuda:1" in told(*records)


def test_what_was_wrong_before_is_no_reason_against_an_upgrade() -> None:
    wrong = gradients(a_weight=157.0)
    assert "an upgrade changes nothing" in told(release(wrong), release(wrong))
    assert "torch==2 mends a.weight: 157 roundings" in told(release(wrong), release(gradients(a_weight=1.0)))


def test_less_that_is_judged_is_never_safe() -> None:
    silent = made_up.verdict("gradient_parity", "torch", MODEL, [], NOT_JUDGED, "units lie at a kink")
    finite = made_up.verdict("finite", "torch", MODEL, [Finding(Place(parameter="a.weight"), 0.0, 0.0, 0.0)])
    before, after = release(gradients(a_weight=1.0), finite), release(silent, finite)
    assert "cannot tell. gradient_parity was judged in torch==1 and is not in torch==2: units lie" in told(before, after)
    case = f"bench/test_parity.py::test_parity[gradient_parity-torch-cpu-{MODEL}]"
    broken = release(errors=(Error(case, "it has no attribute x\nmore"),))
    assert "✗ gauge.py:net on torch: torch==2 cannot run it: it has no attribute x" in told(before, broken)


def test_networks_of_the_matrix_have_the_table_alone() -> None:
    record = release(made_up.parity("torch", "depth=4"))
    assert told(record, record) == ""


def run_script(model: str, parameter: str, tmp_path: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """The script of a gradient, run without this suite in sight, after a line that plants a fault."""
    file = tmp_path / "issue.py"
    assert script.main([f"--model={model}", f"--parameter={parameter}", "-o", str(file)]) == Status.SAME
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= script.LONGEST
    assert "gradgauge" not in text
    file.write_text(before + text, encoding="utf-8")
    return subprocess.run([sys.executable, file.name], cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("model", "parameter"),
    [
        ("of_torch.py:sensors", "left.weight"),
        ("of_torch.py:recurrent", "lstm.weight_hh_l0"),
        ("of_torch.py:bare", "0.bias"),
        ("of_keras.py:recurrent", "lstm.lstm_cell.recurrent_kernel"),
        ("of_keras.py:sensors", "dense.kernel"),
    ],
)
def test_a_script_finds_a_healthy_gradient_right(model: str, parameter: str, tmp_path: Path) -> None:
    done = run_script(f"{GAUGES}/{model}", parameter, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the gradient of {parameter} in float32 is off by" in done.stdout


def test_a_script_shows_a_gradient_that_float32_alone_has_wrong(tmp_path: Path) -> None:
    planted = (
        "import torch\nright = torch.nn.Linear.forward\n"
        "def wrong(self, x):\n    out = right(self, x)\n"
        "    out.requires_grad and out.dtype == torch.float32 and out.register_hook(lambda g: g * 1.0001)\n    return out\n"
        "torch.nn.Linear.forward = wrong\n"
    )
    done = run_script(f"{GAUGES}/of_torch.py:bare", "2.weight", tmp_path, planted)
    assert done.returncode == 1, done.stderr
    assert "off by 0.0001 of its length" in done.stdout


def test_a_script_for_a_gpu_computes_there_without_tf32(tmp_path: Path) -> None:
    """A factory whose model and batch are on the CPU; `meta` stands for the GPU, on which numbers cannot be read."""
    text = script.script(own_models([f"{GAUGES}/of_torch.py:bare"], tmp_path)[0], "torch", "2.weight", "cuda")
    assert "cudnn.allow_tf32 = False" in text and "in float32 on cuda is off" in text
    noted = "exact, seen = gradient(torch.float64), gradient(torch.float32)"
    text = text.replace("'cuda'", "'meta'").replace(noted, f"{noted}; print('on', seen.device); sys.exit(7)")
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "on meta\n"), done.stderr


def test_a_factory_may_be_a_method_in_a_file_of_any_name(tmp_path: Path) -> None:
    text = (GAUGES / "of_torch.py").read_text(encoding="utf-8")
    (tmp_path / "my-gauge.py").write_text(f"{text}\n\nclass Nets:\n    net = staticmethod(bare)\n", encoding="utf-8")
    done = run_script(f"{tmp_path}/my-gauge.py:Nets.net", "0.bias", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_table_of_several_models_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = f'[tool.gradgauge.models]\na = "{GAUGES}/of_torch.py:bare"\nb = "{GAUGES}/of_torch.py:encoder"\n'
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    assert script.main([f"--model={tmp_path}/pyproject.toml", "--parameter=x"]) == Status.BAD_INPUT
    assert "is 2 models: name one" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:convnext_atto", "keras:MobileNetV3Small"])
def test_a_script_of_a_published_network_is_python(name: str, device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([f"--model={name}", "--parameter=x", f"--device={device}"]) == Status.SAME
    text = capsys.readouterr().out
    compile(text, "issue.py", "exec")
    assert len(text.splitlines()) <= script.LONGEST


def test_a_model_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--model=nowhere.py:net", "--parameter=x"]) == Status.BAD_INPUT
    assert "there is no file" in capsys.readouterr().err
