"""A place of a law as a script of a few lines: it fails on a planted fault, passes without one, and needs nothing of this suite."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.exit_status import Status
from bench.metamorphic import EQUALITIES
from bench.metamorphic.promised import LAWS
from bench.promises.__main__ import main
from bench.selftest.faults.of_equalities import Broken
from bench.selftest.faults.of_promises import KERAS_PROMISES, TORCH_PROMISES
from bench.selftest.faults.plant import patching
from models.backends.registry import BackendError, backend_module
from models.worker.tasks import scripts

LONGEST = 90
"""Lines of the longest script here: imports, one or two functions, and the comparison."""
AT_ONCE = {"seeds_of_initializers", "norms_in_half_precision", "options_act", "ways_of_writing_layers", "schedules_by_formula"}
"""Laws whose faults in Keras take a second; the others are left to `tox -e slow`."""
PLANTED = [pytest.param("torch", broken, id=f"torch-{broken.equality}") for broken in TORCH_PROMISES] + [
    pytest.param("keras", broken, id=f"keras-{broken.equality}", marks=[] if broken.equality in AT_ONCE else pytest.mark.slow)
    for broken in KERAS_PROMISES
]


def places(backend: str, broken: Broken) -> list[str]:
    """The places of which a fault must name one, as a failure writes them."""
    cases = inspect.unwrap(backend_module(backend).SCENARIOS[broken.equality])
    every = (f"{each.case}: {way} against {next(iter(each.ways))}" for each in cases() for way in list(each.ways)[1:])
    return [where for where in every if broken.where in where][:6]


@contextmanager
def as_in_a_new_process() -> Iterator[None]:
    """Keras as no network of this suite left it, and afterwards as it was; what a script sets in the environment is undone."""
    environment, keras = os.environ.get("KERAS_BACKEND"), sys.modules.get("keras")
    theirs = (keras.config.floatx(), keras.config.dtype_policy()) if keras else None
    if keras:
        keras.utils.clear_session()
    try:
        yield
    finally:
        if keras and theirs:
            keras.config.set_floatx(theirs[0])
            keras.config.set_dtype_policy(theirs[1])
        if environment is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = environment


def status(text: str) -> int | str | None:
    """What the script ends with, run in this process, so that a fault can be planted in it; 1 for what a framework raises."""
    try:
        with as_in_a_new_process():
            exec(compile(text, "script", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        return ended.code
    except Exception as error:  # whatever a fault makes a framework raise ends a process with 1
        if isinstance(error, NameError):
            raise
        return 1
    raise AssertionError("the script does not say how it ends")


@pytest.mark.parametrize(("backend", "broken"), PLANTED)
def test_a_script_fails_on_the_fault_and_passes_without(backend: str, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [scripts.write(backend, broken.equality, "The law", place, 10.0) for place in places(backend, broken)]
    for text in texts:
        assert len(text.splitlines()) <= LONGEST, text
        names = {name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom) for name in _modules(node)}
        assert not names & {"models", "bench", "fixtures"}
        assert status(text) == 0, "red without a fault"
    broken.plant(patching(monkeypatch))
    assert 1 in [status(text) for text in texts]


@pytest.mark.parametrize(("sets", "value"), [("floatx", "float64"), ("policy", "float64"), ("policy", "mixed_float16")])
def test_a_script_computes_in_float32_whatever_was_configured(sets: str, value: str) -> None:
    text = scripts.write("keras", "ways_of_writing_layers", "The law", "Add: + in a model against layer", 10.0)
    keras = pytest.importorskip("keras")
    theirs = keras.config.floatx(), keras.config.dtype_policy()
    setting = keras.config.set_floatx if sets == "floatx" else keras.config.set_dtype_policy
    try:
        setting(value)
        left = keras.config.floatx(), keras.config.dtype_policy().name
        assert status(text) == 0
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == left
    finally:
        keras.config.set_floatx(theirs[0])
        keras.config.set_dtype_policy(theirs[1])


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [(node.module or "").partition(".")[0]] if isinstance(node, ast.ImportFrom) else [n.name.partition(".")[0] for n in node.names]


def test_every_law_of_the_promises_is_one_that_a_script_shows() -> None:
    assert len(LAWS) > 20
    assert set(EQUALITIES) >= LAWS
    for backend in ("torch", "keras"):
        assert all(hasattr(backend_module(backend).SCENARIOS[law], "__wrapped__") for law in LAWS & set(backend_module(backend).SCENARIOS))


def test_nearly_every_case_can_be_written() -> None:
    written, refused = 0, []
    for law in ("seeds_of_draws", "norms_in_half_precision", "saved_and_loaded", "ways_of_writing_losses", "toggled"):
        for each in inspect.unwrap(backend_module("torch").SCENARIOS[law])():
            try:
                scripts.write("torch", law, "The law", each.case, 10.0)
                written += 1
            except BackendError as reason:
                refused.append(str(reason))
    assert written > 50
    assert len(refused) < 0.02 * written, refused


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--script=traces"], "is no law that a script shows on torch: name one of average_by_kernel"),
        (["--script=counted: nothing"], "There is no case 'nothing': name one of DataLoader"),
        (["--script=options_act: Adam: nothing"], "has no way 'nothing' beside 'default': name one of betas"),
        (["--script=layers_by_formula"], "holds on torch: name a place"),
    ],
)
def test_a_place_that_there_is_not_is_refused_in_a_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == Status.BAD_INPUT
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_what_is_wrong_now_becomes_a_script_that_runs_where_the_suite_is_not(tmp_path: Path) -> None:
    file = tmp_path / "sparse.py"
    assert main(["--script=seeds_of_initializers", "-o", str(file)]) == Status.SAME
    done = subprocess.run([sys.executable, "-I", str(file)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "off by" in done.stdout
    assert main(["--script=norms_in_half_precision: LayerNorm float16 of size 300", "-o", str(file)]) == Status.SAME
    done = subprocess.run([sys.executable, "-I", str(file)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
