"""Recorded seeds beside themselves: how often a healthy run is outside, what is seen, and when more seeds are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.baselines import recording
from bench.baselines.metrics import KINDS, NAME, kind_of, metrics
from bench.baselines.pairs import CAUGHT, LOOKS, Recorded
from bench.baselines.samples import Baseline, BaselineError, File
from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult
from bench.judging.tolerance import ACCURACIES_PER_RUN, MEANS_PER_RUN, METRICS_PER_RUN, SEEDS_PER_RUN
from bench.judging.verdict import FAILED, PASSED, Verdict, judge
from fixtures.plugin.options import SEEDS as FIRST_SEEDS
from models.matrix import networks
from models.observation import Evaluated, History, Observation
from models.spec import Spec

SEEDS, EXECUTIONS, CLASSES, SAMPLES = 24, 2, 10, 600
SPEC = Spec.of(depth=4)


def recorded(spread: float, seed: int = 0, between: float = 0.01) -> Recorded:
    """Accuracies of seeds that differ by `between` and executions that differ by `spread`."""
    rng = np.random.default_rng(seed)
    return Recorded("accuracy", 0.95 + between * rng.standard_normal((SEEDS, 1)) + spread * rng.standard_normal((SEEDS, EXECUTIONS)))


def test_a_healthy_run_stays_inside_whatever_seeds_differ_by() -> None:
    rng, outside = np.random.default_rng(1), 0
    for trial in range(300):
        each = recorded(0.004, trial)
        seen = 0.95 + 0.01 * np.random.default_rng(trial).standard_normal((SEEDS, 1))[:, 0] + 0.004 * rng.standard_normal(SEEDS)
        for places in ([0, 1, 2], list(range(SEEDS))):
            low, high = each.of_mean(places)
            outside += not low <= each.mean(list(seen[places])) <= high
        low, high = each.of_seed(0)
        outside += not low <= seen[0] <= high
    assert outside == 0


def test_what_is_said_to_be_caught_is_caught_as_often() -> None:
    rng, caught, trials = np.random.default_rng(2), 0, 400
    for trial in range(trials):
        each = recorded(0.004, trial)
        centre = each.values.mean(axis=1)  # a new execution is off by its own spread and by that of the recorded mean
        error = each.error(SEEDS) * rng.standard_normal()
        low, _ = each.of_mean(range(SEEDS))
        caught += centre.mean() + error - each.caught(SEEDS) < low
    assert abs(caught / trials - CAUGHT) < 0.05


@pytest.mark.parametrize(("spread", "moved", "open_"), [
    (0.0001, 0.009, False), (0.004, 0.0, False), (0.004, 0.006, True), (0.004, -0.006, True), (0.02, 0.006, False), (0.004, 0.2, False),
])  # fmt: skip
def test_more_seeds_are_trained_where_they_can_decide(spread: float, moved: float, open_: bool) -> None:
    """Nothing is open where few seeds are enough, where nothing moved, where all of them would not decide, and where it is red already."""
    each = Recorded("accuracy", 0.95 + spread * np.full((SEEDS, 1), 0.5**0.5) * [1, -1])
    assert each.open([0, 1, 2], [each.centre([place]) + moved for place in range(3)]) is open_


def test_as_many_numbers_share_a_run_s_false_alarms_as_a_core_run_judges() -> None:
    trained = [spec for spec in networks("core") if spec.trained]
    names = metrics([history(0, 0.9)], np.arange(SAMPLES) % CLASSES, 4)
    accuracies, others = (2 * len(trained) * count for count in (2, len(names) - 2 + 1))  # two frameworks; one more where it clips
    assert sum(name.endswith("accuracy") for name in names) == 2
    assert accuracies <= ACCURACIES_PER_RUN < 1.5 * accuracies
    assert others <= MEANS_PER_RUN < 1.5 * others
    assert accuracies + others <= METRICS_PER_RUN
    assert FIRST_SEEDS * (accuracies + others) <= SEEDS_PER_RUN < 1.5 * FIRST_SEEDS * (accuracies + others)


def test_the_floor_is_what_other_machines_differ_by() -> None:
    exact = Recorded("accuracy", np.full((SEEDS, EXECUTIONS), 0.95))
    assert exact.of_seed(0) == pytest.approx((0.945, 0.955)) == exact.of_mean([0, 1, 2])
    loss = Recorded("loss", np.full((SEEDS, EXECUTIONS), 0.5))
    assert loss.of_seed(0) == pytest.approx((0.5 / 1.02, 0.5 * 1.02))
    assert dataclasses.replace(exact, widening=3.0).of_seed(0) == pytest.approx((0.935, 0.965))


def test_every_metric_has_a_row() -> None:
    for name in ("accuracy", "averaged test loss", "mean loss", "gradient layer 12", "early gradient layer 1", "clipped"):
        assert NAME.fullmatch(name) and kind_of(name) in KINDS.values()
    for name in ("gradient", "gradient layer 0", "accuracy layer 1", "lossy"):
        assert not NAME.fullmatch(name)


def history(seed: int, accuracy: float) -> History:
    """A training with nothing remarkable but its accuracy."""
    labels = np.arange(SAMPLES) % CLASSES
    logits = 3.0 * np.eye(CLASSES)[labels]
    steps = np.full(100, 0.5)
    return History(seed, steps, np.ones((100, 4)), accuracy, logits=logits, averaged=Evaluated({}, logits, accuracy))


def evidence(change: Sequence[float], spread: float, asked: list[list[int]]) -> Evidence:
    """A run of the first three recorded seeds, off by `change` seed by seed; `asked` keeps which more were trained."""
    rng = np.random.default_rng(5)
    seeds, labels = list(range(1000, 1000 + SEEDS)), np.arange(SAMPLES) % CLASSES
    accuracies = 0.95 + 0.005 * rng.standard_normal((SEEDS, 1)) + spread * np.full((SEEDS, 1), 0.5**0.5) * [1, -1]
    rows = {name: [[value] * EXECUTIONS] * SEEDS for name, (value,) in metrics([history(0, 0.5)], labels, 4).items()}
    rows |= {name: accuracies.tolist() for name in ("accuracy", "averaged accuracy")}
    content = File(2, "torch", "cpu", {"digits": 300}, seeds, ["a", "b"], [], {f"digits/{SPEC.id}/{k}": v for k, v in rows.items()})

    def trained(chosen: Sequence[int]) -> list[History]:
        places = [seeds.index(seed) for seed in chosen]
        return [history(seed, float(accuracies[place].mean() + change[place])) for seed, place in zip(chosen, places, strict=True)]

    def more(chosen: Sequence[int]) -> list[History]:
        asked.append(list(chosen))
        return trained(chosen)

    seen = Observation("torch", trainings=trained(seeds[:3]))
    baseline = Baseline(Path("torch-cpu.json"), content=content)
    return Evidence(
        SPEC.id, SPEC, "torch", seen, ReferenceResult(SPEC, []), baseline, held_out=(np.zeros((SAMPLES, 64)), labels), more=more
    )


def verdict(change: Sequence[float], spread: float = 0.004) -> tuple[Verdict, list[list[int]]]:
    """What the check says, and which more seeds it asked for."""
    asked: list[list[int]] = []
    return judge(CHECKS["training"], evidence(change, spread, asked)), asked


def test_a_healthy_run_is_green_after_its_first_seeds() -> None:
    found, asked = verdict([0.0] * SEEDS)
    assert (found.status, asked) == (PASSED, [])


@pytest.mark.parametrize("sign", [1, -1])
def test_one_percentage_point_is_seen_after_all_seeds_and_too_good_is_as_red_as_too_bad(sign: int) -> None:
    found, asked = verdict([sign * 0.01] * SEEDS)
    assert found.status == FAILED
    assert [3 + sum(map(len, asked[: n + 1])) for n in range(len(asked))] == list(LOOKS[: len(asked)]) != []
    assert {f.place.quantity for f in found.findings if not f.within} == {"accuracy", "averaged accuracy"}
    assert "recorded → seen by seed 1000: " in next(f for f in found.findings if not f.within).note


def test_a_first_look_that_was_chance_ends_green_and_judges_as_many_numbers() -> None:
    quiet, _ = verdict([0.0] * SEEDS)
    found, asked = verdict([0.006] * 3 + [0.0] * (SEEDS - 3))
    assert found.status == PASSED and asked
    assert found.judged == quiet.judged


@pytest.mark.parametrize(("off", "looks"), [(0.0, 0), (1e-3, 1)])
def test_what_was_recorded_before_leaves_nothing_open(off: float, looks: int) -> None:
    """On the recording's own machine a run repeats one of its executions, which lies off their mean."""
    change = [0.005 * 0.5**0.5 + off] * 3 + [0.0] * (SEEDS - 3)
    found, asked = verdict(change, spread=0.005)
    assert found.status == PASSED and bool(asked) == bool(looks)


def test_one_bad_seed_of_three_is_seen_and_not_averaged_away() -> None:
    found, _ = verdict([0.0, -0.05, 0.0] + [0.0] * (SEEDS - 3))
    assert found.status == FAILED
    assert any(f.place.scope == "seed 1001" for f in found.findings if not f.within)
    assert not any(f.place.scope == "seed 1000" for f in found.findings if not f.within)


def test_without_chaos_a_hundredth_is_seen_at_once() -> None:
    found, asked = verdict([-0.01] * SEEDS, spread=0.0)
    assert (found.status, asked) == (FAILED, [])


def test_fresh_seeds_are_judged_by_what_seeds_predict() -> None:
    asked: list[list[int]] = []
    run = evidence([0.0] * SEEDS, 0.004, asked)
    run.seen.trainings = [dataclasses.replace(each, seed=place) for place, each in enumerate(run.seen.trainings)]
    found = judge(CHECKS["training"], run)
    assert found.status == PASSED and not asked
    assert {f.place.scope for f in found.findings} == {"fresh seeds"}
    run.seen.trainings = [dataclasses.replace(each, accuracy=0.5) for each in run.seen.trainings]
    assert judge(CHECKS["training"], run).status == FAILED


def test_a_network_whose_samples_cannot_be_right_is_left_out_of_a_recording() -> None:
    labels, baseline = np.arange(SAMPLES) % CLASSES, Baseline(Path("torch-cpu.json"))
    rng = np.random.default_rng(0)
    healthy = [
        dataclasses.replace(history(seed, 0.95), losses=np.full(100, 0.3 + 0.01 * rng.standard_normal()), execution=execution)
        for execution in ("", "elsewhere")
        for seed in range(16)
    ]
    recording.keep(baseline, "digits", "depth=4", healthy, labels, 4)
    assert np.shape(baseline.new["digits/depth=4/loss"]) == (16, 2)
    strange = [*healthy[:-1], dataclasses.replace(healthy[-1], losses=np.full(100, 1e6))]
    with pytest.raises(BaselineError, match="with seed 15, which the other seeds rule out: judge that network first; it is left out"):
        recording.keep(baseline, "digits", "depth=8", strange, labels, 4)
    assert not any("depth=8" in key for key in baseline.new)
