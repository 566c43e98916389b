"""What `python -m bench.theory` prints and draws, and the recorded accuracy and literature results that theory stands on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.checks import CHECKS, applies
from bench.selftest.studies.literature import explosion, shattering, trainable_depth
from bench.selftest.studies.literature.__main__ import RECORDED, STUDIES, recorded
from bench.selftest.studies.theory_accuracy import RECORD, report
from bench.theory.__main__ import main, measured
from bench.theory.moments import batch_norm_growth
from fixtures.data.datasets import load
from fixtures.data.mnist_family import holds
from models.matrix import networks
from models.spec import Spec
from models.worker.process import WorkerError

ROOT = Path(__file__).resolve().parents[2]
gain = CHECKS["backward_gain"]


def test_profile_and_diagnosis_are_printed_without_a_framework(capsys):
    code = """
import sys
from bench.theory.__main__ import main, measured
code = main(sys.argv[1:])
assert not {"torch", "keras", "tensorflow"} & set(sys.modules)
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "depth=12,act=sigmoid,init=glorot_uniform"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ +1 +0\.0\d+ +\S+e-0\d +\S+ … \S+$", done.stdout, flags=re.MULTILINE)
    for part in ("fixed point      q* = 0.2647", "ξ_c = 0.346", "vanishing: ", "remedy 1: ", "χ from 0.0"):
        assert part in done.stdout


def test_what_is_drawn_is_computed_on_the_device_that_is_named(monkeypatch):
    """A worker sees its own GPU alone, which it calls cuda."""
    asked = []

    class Noting:
        def __init__(self, backend, device):
            asked.append((backend, device))

        def submit(self, do, kind, **given):
            asked.extend(job.device for job in given["jobs"])
            raise WorkerError("stopped")

        def close(self):
            pass

    monkeypatch.setattr("bench.theory.__main__.Worker", Noting)
    with pytest.raises(WorkerError, match="stopped"):
        measured(Spec.parse("depth=2,width=8"), "torch", load(), range(2), "cuda:1")
    assert asked == [("torch", "cuda:1"), "cuda", "cuda"]


def test_batch_norm_has_its_own_rate(capsys):
    assert main(["depth=6,norm=batch"]) == 0
    text = capsys.readouterr().out
    assert "gradients grow by 1.49" in text and "1.4669 for large batches" in text


def test_a_default_is_each_framework_s_own(capsys):
    assert main(["depth=4,init=default"]) == 0
    assert {"init=torch_default", "init=keras_default"} <= set(re.findall(r"init=\w+_default", capsys.readouterr().out))


@pytest.mark.parametrize(("words", "says"), [
    (["depth=40,act=sigmoit"], "did you mean sigmoid"), (["depth"], "write field=value"),
    (["depth=4", "--backend=mxnet"], "use one or several of"),
    (["depth=4", "--device=gpu"], "use cpu, cuda or cuda:0"),
    (["depth=4", "--backend=torch", "--plot=/nowhere/x.png"], "No such file or directory"),
    (["depth=4", "--backend=torch", "--plot=x.tape"], "is not supported"),
])  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(words, says, capsys):
    assert main(words) == 2
    assert says in capsys.readouterr().err


def test_coverage_counts_every_network_and_names_those_that_no_check_of_theory_judges(capsys):
    assert main(["--coverage=core"]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = [int(number) for number in re.findall(r"(\d+) with", lines[-1])]
    assert sum(counts) == len(lines) - 1 and counts[0] > 60 and counts[1] == 0
    judged = {spec.on(backend).id for spec in networks("core") for backend in ("torch", "keras") if applies(gain, spec, backend)}
    assert {line.split()[0] for line in lines[:-1] if "reference alone" not in line} == judged


def test_bands_are_drawn_with_what_a_framework_does(tmp_path, capsys):
    assert main(["depth=4,init=default", "--backend=torch", f"--plot={tmp_path / 'drawn.png'}"]) == 0
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_recorded_accuracy_reaches_its_goal():
    """At least 99 % of 50 seeds inside the 99 % bands, and no band wider than twice what it holds."""
    last = RECORD.read_text(encoding="utf-8").splitlines()[-2]
    inside, signal, layers = (float(share) for share in re.findall(r"([\d.]+)%", last))
    widest = float(re.search(r"widths [\d.]+ to ([\d.]+)", last)[1])
    assert "× 50 seeds" in last and min(inside, signal, layers) >= 99 and widest <= 2


def test_accuracy_is_measured_anew():
    lines = list(report("smoke", 4))
    assert lines[0].endswith("--cases=smoke --seeds=4") and "1 networks × 4 seeds: inside 100.00%" in lines[-2]


@pytest.mark.parametrize("name", STUDIES)
def test_recorded_results_agree_with_theory(name):
    rows = recorded(name)
    assert rows and not STUDIES[name].outliers(rows)
    assert (RECORDED / f"{name}.png").stat().st_size < 200_000


def test_batch_norm_rates_of_finite_width_stay_near_the_formula():
    """Width 256 changes the rate of Yang et al. by less than 2 % at any batch size."""
    for row in recorded("explosion"):
        assert row["law"] == pytest.approx(batch_norm_growth(row["act"], row["batch"]), rel=0.02)


def test_a_result_that_contradicts_theory_is_found():
    cells = [{**cell, "accuracies": [0.9 - each for each in cell["accuracies"]]} for cell in recorded("trainable_depth")]
    rates = [{**row, "growth": row["growth"] * 1.05} for row in recorded("explosion")]
    curves = [{**curve, "R": [r + 0.4 for r in curve["R"]]} for curve in recorded("shattering")]
    assert trainable_depth.outliers(cells) and explosion.outliers(rates) and shattering.outliers(curves)


@pytest.mark.slow
def test_batch_norm_explodes_at_the_recorded_rate():
    assert not explosion.outliers(explosion.measure(batches=(8, 64)))


@pytest.mark.slow
def test_gradients_shatter_as_recorded():
    assert not shattering.outliers(shattering.measure(depths=(12, shattering.SHOWN)))


@pytest.mark.slow
def test_depth_that_trains_ends_where_it_was_recorded(mnist):
    cells = trainable_depth.measure(mnist, variances=(1.0, 4.0), depths=(8, 40))
    assert not trainable_depth.outliers(cells)
    kept = {(cell["s2"], cell["depth"]): trainable_depth.accuracy(cell) for cell in recorded("trainable_depth")}
    assert all(trainable_depth.accuracy(cell) == pytest.approx(kept[cell["s2"], cell["depth"]], abs=0.1) for cell in cells)


@pytest.fixture
def mnist(request):
    folder = request.config.option.data_dir or os.environ.get("GRADGAUGE_MNIST")
    if not folder or not holds("mnist", Path(folder)):
        pytest.skip("MNIST is not here: name its folder with --data-dir or GRADGAUGE_MNIST")
    return Path(folder)
