"""The script for a GPU machine goes on where it was cut off, ends what takes too long, and says what did not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import psutil
import pytest
from packaging.requirements import Requirement

from bench.selftest import device_faults
from bench.selftest.faults import FAULTS
from bench.timing.duet import __main__ as duet
from bench.versions.requirements import group
from models.matrix import refuse_without_device
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "gpu"


@pytest.fixture(scope="module")
def script() -> Any:
    sys.path.insert(0, str(SCRIPT.parent))  # where a script finds its neighbours
    loader = SourceFileLoader("ci_gpu", str(SCRIPT))
    module = module_from_spec(spec_from_loader("ci_gpu", loader))
    sys.modules["ci_gpu"] = module  # where dataclasses look for their module
    loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    return module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], cwd=ROOT, capture_output=True, text=True)


def test_a_stage_that_ended_is_not_repeated(tmp_path: Path) -> None:
    words = "--device=cpu", "--backend=numpy", "--only=doctor", f"--out={tmp_path}"
    first = run(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "doctor       green" in (tmp_path / "table.txt").read_text()
    assert "Fit for a run." in first.stdout
    written = (tmp_path / "doctor.log").stat().st_mtime_ns
    again = run(*words)
    assert "doctor       green" in again.stdout
    assert (tmp_path / "doctor.log").stat().st_mtime_ns == written


def test_no_lane_at_all_is_refused_in_a_sentence(tmp_path: Path) -> None:
    done = run("--device=cpu", "--backend=numpy", "--lanes=0", f"--out={tmp_path}")
    assert done.returncode == 2 and "--lanes=0 must be at least 1." in done.stderr and "Traceback" not in done.stderr


def test_what_found_no_time_is_told_and_runs_the_next_time(tmp_path: Path) -> None:
    done = run("--device=cpu", "--backend=numpy", "--only=doctor,smoke", f"--out={tmp_path}", "--seconds=1")
    assert done.returncode == 1
    assert (tmp_path / "table.txt").read_text().count("did not run") == 2


def test_a_stage_whose_time_is_up_is_ended_with_all_that_it_began(tmp_path: Path, script: Any) -> None:
    stage = script.Stage("slow", 1.0, ("-c", "import time; print('begun', flush=True); time.sleep(60)"))
    result = script.run(stage, 1.0, tmp_path, dict(os.environ))
    assert (result.status, result.line) == (124, "KeyboardInterrupt")
    assert (tmp_path / "slow.log").read_text().startswith("begun")
    assert "time was up" in script.table([stage], {"slow": result})
    assert script.read(tmp_path / "results.json") == {}


def test_a_stage_ends_with_the_script_that_began_it(tmp_path: Path) -> None:
    """Two runs on one device at once would disturb each other; the next one begins the same stage anew."""
    wait = f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(60)"
    program = (
        f"import os, pathlib, sys\nsys.path.insert(0, {str(SCRIPT.parent)!r})\nfrom importlib.machinery import SourceFileLoader\n"
        f"from importlib.util import module_from_spec, spec_from_loader\n"
        f"loader = SourceFileLoader('ci_gpu', {str(SCRIPT)!r})\nmodule = module_from_spec(spec_from_loader('ci_gpu', "
        "loader))\nsys.modules['ci_gpu'] = module\nloader.exec_module(module)\n"
        f"module.run(module.Stage('slow', 60.0, ('-c', {wait!r})), 60.0, pathlib.Path({str(tmp_path)!r}), dict(os.environ))"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.05)
        process.kill()
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_status_is_right_where_it_is_the_expected_one(script: Any) -> None:
    stage = script.Stage("planted", 1.0, (), right=10)
    assert "green" in script.table([stage], {"planted": script.Result("planted", 10, 1.0, "slower")})
    assert "status 0" in script.table([stage], {"planted": script.Result("planted", 0, 1.0, "same")})


def test_every_stage_is_a_command_that_takes_its_options(script: Any, tmp_path: Path) -> None:
    planned = script.stages("cuda", ["torch", "keras-jax"], tmp_path)
    judging = {"smoke", "core", "equalities", "precision", "faults", "own", "determinism"}
    alone = {"doctor", "step-times", "duet-same", "duet-planted", "duet-modes", "overhead", "memory", "spread", "recording"}
    assert {stage.name for stage in planned if stage.alone} == alone
    assert {stage.name for stage in planned if not stage.alone} == judging
    assert any("precision=tf32" in word for stage in planned for word in stage.words)
    assert not any("tf32" in word for stage in script.stages("cpu", ["torch"], tmp_path) for word in stage.words)
    for stage in planned:
        for path in (word for word in stage.words if word.startswith("bench/")):
            assert (ROOT / path).exists()


COLLECT = """
import contextlib, io, json, sys
import pytest
for name, words in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as told:
        status = pytest.main([*words, "--collect-only", "-qq"])
    print(json.dumps([name, int(status), told.getvalue().count("::")]))
"""


def test_stages_of_pytest_collect_something_and_duets_understand_their_options(script: Any, tmp_path: Path) -> None:
    """What a stage would do is only collected here; `test_the_whole_way` runs all of them."""
    planned = script.stages("cpu", ["torch"], tmp_path)
    collected = [(stage.name, list(stage.words[2:])) for stage in planned if stage.words[1] == "pytest" and stage.name != "spread"]
    done = subprocess.run([sys.executable, "-c", COLLECT], input=json.dumps(collected), cwd=ROOT, capture_output=True, text=True)
    found = {name: (status, count) for name, status, count in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == dict(collected).keys(), done.stdout + done.stderr
    assert all(status == 0 and count >= 1 for status, count in found.values()), found
    assert found["determinism"][1] == 2 and found["core"][1] >= 900 and found["equalities"][1] > 20
    assert found["memory"][1] == 2
    for stage in script.stages("cuda", ["torch"], tmp_path):
        if stage.words[1] == "bench.timing.duet":
            given = duet._parser().parse_args(stage.words[2:])
            assert given.budget + 10 < stage.seconds


def test_networks_of_all_stages_exist_on_a_gpu(script: Any) -> None:
    for name in script.FORMATS:
        refuse_without_device(Spec.parse(name), "cuda:0")


def test_a_run_that_was_killed_goes_on_with_the_stage_that_it_was_in(tmp_path: Path) -> None:
    """Results are written after each stage, whole or not at all."""
    words = [sys.executable, str(SCRIPT), "--device=cpu", "--backend=numpy", "--only=doctor,equalities", f"--out={tmp_path}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("doctor       green")
        process.kill()
    assert [each["name"] for each in json.loads((tmp_path / "results.json").read_text())] == ["doctor"]
    written = (tmp_path / "doctor.log").stat().st_mtime_ns
    again = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert again.stdout.count("doctor       green") == 1 and "equalities   " in again.stdout
    assert (tmp_path / "doctor.log").stat().st_mtime_ns == written


def wheel(folder: Path, name: str, content: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name.split('-')[0]}.py", content)


def test_only_what_a_container_lacks_is_unpacked(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy is here, the judge's pytest too old, and the third was never heard of."""
    for name in ("numpy-2.0.0", "pytest-9.2.0", "never_heard_of-1.2"):
        wheel(tmp_path, name, "SEEN = 7\n")
    version = script.carried.importlib.metadata.version
    monkeypatch.setattr(script.carried.importlib.metadata, "version", lambda name: "8.4.1" if name == "pytest" else version(name))
    into = tmp_path / "packages"
    into.mkdir()
    assert script.carried.unpack(tmp_path, into) == ["never-heard-of 1.2", "pytest 9.2.0"]
    assert (into / "never_heard_of.py").read_text() == "SEEN = 7\n"
    assert not (into / "numpy.py").exists()
    (into / "never_heard_of.py").unlink()
    assert script.carried.unpack(tmp_path, into) and not (into / "never_heard_of.py").exists(), "unpacked twice"


@pytest.mark.parametrize(("limit", "status"), [(10**6, 0), (10, 1)])
def test_what_is_packed_leaves_out_what_is_there_and_is_not_too_large(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, limit: int, status: int
) -> None:
    asked: list[str] = []

    def download(words: list[str]) -> subprocess.CompletedProcess[str]:
        asked.extend(words)
        for name in ("keras-3.15.1", "msgspec-0.22.0", "scipy-1.18.1", "numpy-2.5.2"):
            wheel(tmp_path, name, "")
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(script.carried.subprocess, "run", download)
    monkeypatch.setattr(script.carried, "LARGEST", limit)
    assert script.carried.pack(tmp_path, "3.12") == status
    assert {path.name.split("-")[0] for path in tmp_path.glob("*.whl")} == {"keras", "msgspec"}
    assert "2 wheels" in capsys.readouterr().out
    assert {"keras==3.15.1", *(str(each) for each in group("judge"))} <= {str(Requirement(word)) for word in asked if word[:1].isalpha()}


def test_ten_faults_and_more_of_every_part_are_planted_on_a_device() -> None:
    faults = device_faults.chosen("torch", 12)
    assert len({fault.name for fault in faults}) == 12
    assert len({part for part, rows in FAULTS["torch"].items() if set(rows) & set(faults)}) >= 8
    assert not any(fault.trains for fault in faults)


def test_faults_on_a_device_that_is_not_there_are_one_sentence(capsys: Any) -> None:
    assert device_faults.main(["--device=gpu"]) == 14
    assert "--device=gpu is not known" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_way_runs_on_a_cpu(tmp_path: Path) -> None:
    """Every stage with its own command, on PyTorch; what a GPU alone has is left out."""
    done = run("--device=cpu", "--backend=torch", f"--out={tmp_path}", "--slower=10", "--seconds=7200")
    assert done.returncode == 0, done.stdout
