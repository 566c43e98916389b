"""Duets of users' own models: the same work on both sides is proved, a slower side shows, and what cannot be timed is one sentence."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from bench.exit_status import Status
from bench.timing.duet import __main__ as command
from bench.timing.duet import rounds, sides
from bench.timing.duet.metrics import METRICS
from bench.timing.duet.own import check_alike
from bench.timing.steps import NotTheSameError
from bench.versions.requirements import VersionsError
from fixtures.data.datasets import load
from models.own.address import OwnModel, own_models
from models.worker.process import WorkerError, WorkerLacks

GAUGES = Path(__file__).parent / "gauges"


def own(file: str, name: str) -> OwnModel:
    return own_models([f"{GAUGES / file}.py:{name}"], GAUGES)[0]


def case(model: OwnModel, side: str) -> sides.DuetCase:
    one = sides.parse(side)
    return sides.cases(one, one, [model])[0]


@pytest.mark.parametrize(
    ("file", "name", "side"),
    [
        ("of_torch", "encoder", "torch"),
        ("of_torch", "encoder", "torch --compile"),
        ("of_keras", "images", "keras"),
        ("of_keras", "images", "keras --jit"),
    ],
)
def test_a_model_that_takes_twice_as_long_shows_in_one_restart(file: str, name: str, side: str) -> None:
    asked = case(own(file, name), side)
    variants = (asked.a, dataclasses.replace(asked.b, slowdown=2.0))
    with rounds.fresh(variants) as pair:
        series = rounds.measure(pair, dataclasses.replace(asked, b=variants[1]), load(), restart=0, seconds=2.0)
    assert math.exp(METRICS["step"].log_ratio(series, 0, 1) or 0.0) > 1.2  # by how much is for many restarts to say
    assert min(series.first_step) > 0 and min(series.host) > 50


def test_a_step_learns(tmp_path: Path) -> None:
    asked = case(own("of_torch", "encoder"), "torch")
    with rounds.fresh((asked.a,)) as pair:
        _, weights = rounds._prepare(pair, 0, "it", asked, load())
        again = pair.ask(0, "prepare_own", rounds.Prepared, name="again", model=asked.spec, mode="eager", device="cpu").weights
        pair.ask(0, "timed_block", rounds.Block, name="again", steps=1)
    assert all(np.array_equal(weights[name], again[name]) for name in weights), "the same steps give the same weights"


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ({"w": np.ones(3)}, {"w": np.ones(4)}, r"shapes \[\(3,\)\] are of side A alone, \[\(4,\)\] of side B"),
        ({"w": np.ones(3)}, {"w": np.ones(3), "b": np.ones(1)}, r"shapes \[\] are of side A alone, \[\(1,\)\] of side B"),
        ({"w": np.ones(3)}, {"w": np.array([1, np.nan, 1])}, "w of side B is no finite number"),
    ],
)
def test_sides_that_do_other_work_are_not_timed(a: dict[str, np.ndarray], b: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(NotTheSameError, match=words):
        check_alike("the case", [a, b])
    check_alike("the case", [{"dense": np.ones(3)}, {"dense_1": np.zeros(3)}])


def test_a_model_of_another_framework_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VersionsError, match="is of torch, which not both sides are"):
        case(own("of_torch", "encoder"), "keras")
    address = f"--model={GAUGES / 'of_torch.py'}:encoder"
    assert command.main(["--a", "keras", "--b", "keras", address]) == Status.BAD_INPUT
    assert command.main(["--a", "torch", "--b", "torch", "--model=of_nothing"]) == Status.BAD_INPUT
    assert command.main(["--a", "torch", "--b", "keras", "--model=aligned:resnet50"]) == Status.BAD_INPUT
    said = capsys.readouterr().err
    assert "time torchvision:… or keras:… by itself" in said
    assert "which not both sides are: name it in --a and --b." in said and "has no colon" in said and "Traceback" not in said


def test_what_cannot_be_timed_is_told() -> None:
    asked = case(own("of_torch", "encoder"), "torch")
    with rounds.fresh((asked.a,)) as pair:
        with pytest.raises(WorkerLacks, match="use --eager or --compile"):
            pair.ask(0, "prepare_own", rounds.Prepared, name="it", model=asked.spec, mode="graphs", device="cpu")
        with pytest.raises(WorkerError, match=r"of_torch\.py"):
            pair.ask(0, "prepare_own", rounds.Prepared, name="it", model=own("of_torch", "missing"), mode="eager", device="cpu")
