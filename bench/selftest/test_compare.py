"""What two runs differ in is told, what they share is not, and noise is not called a change."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from bench.compare import change, render
from bench.compare.__main__ import main
from bench.compare.runs import compare, status
from bench.compare.samples import paired
from bench.exit_status import Status
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import FALSE_DISCOVERIES
from bench.judging.verdict import NO_BASELINE, NOT_JUDGED
from bench.report.record import Record, Stray
from bench.selftest import made_up

CASES = [(backend, network) for backend in ("torch", "keras") for network in made_up.NETWORKS]
SICK = ("keras", "norm=layer")


NASTY = "step | <b>@all</b>\n`x` [y](z) https://example.org www.example.org \x1b[31m"


def changed(part, **sick) -> list:
    """One part of a run, with `sick` arguments for one case alone."""
    return [part(*case, **(sick if case == SICK else {})) for case in CASES]


def told(comparison) -> list[tuple[str, str, str, str]]:
    """What is shown, but for memory where the runs did other work."""
    shown = [c for c in comparison.shown if not (c.metric == "peak memory" and c.verdict == change.NOT_COMPARABLE)]
    return [(c.verdict, c.backend, c.subject, c.name) for c in shown]


@pytest.fixture
def old(tmp_path: Path):
    return made_up.run(tmp_path / "old")


def test_the_same_code_twice_is_the_same(old, tmp_path: Path) -> None:
    comparison = compare(old, made_up.run(tmp_path / "new", seed=1))
    assert told(comparison) == []
    assert comparison.differences == []
    assert status(comparison) == Status.SAME
    assert "Nothing is worse" in comparison.headline


def test_a_gradient_that_left_its_bound_names_backend_check_and_layer(old, tmp_path: Path) -> None:
    new = made_up.run(tmp_path / "new", verdicts=changed(made_up.parity, factor=1e4))
    comparison = compare(old, new)
    assert told(comparison) == [("worse", "keras", "norm=layer", "gradient_parity, step 0 layer  3 weight")]
    assert comparison.shown[0].rerun.startswith("pytest")
    assert (comparison.shown[0].old, comparison.shown[0].new) == ("1.00e-07", "0.001")
    assert status(comparison) == Status.WORSE
    back = compare(new, old)
    assert told(back) == [("better", "keras", "norm=layer", "gradient_parity, step 0 layer  3 weight")]
    assert status(back) == Status.SAME


def test_what_stays_outside_counts_only_if_it_goes_far_further(old, tmp_path: Path) -> None:
    runs = [made_up.run(tmp_path / str(factor), verdicts=changed(made_up.parity, factor=factor)) for factor in (50.0, 90.0, 5e4)]
    assert told(compare(runs[0], runs[1])) == []
    assert told(compare(runs[0], runs[2]))[0][0] == "worse"
    assert "as they were in the old one" in compare(runs[0], runs[1]).notes[-1]


def test_what_is_no_longer_judged_has_vanished_and_says_why(old, tmp_path: Path) -> None:
    absent = [
        made_up.verdict("gradient_parity", *case, [], status=NOT_JUDGED, reason="no such layer") if case == SICK else made_up.parity(*case)
        for case in CASES
    ]
    comparison = compare(old, made_up.run(tmp_path / "new", verdicts=absent))
    assert told(comparison) == [("vanished", "keras", "norm=layer", "gradient_parity")]
    assert "no such layer" in comparison.shown[0].note
    assert status(comparison) == Status.INCONCLUSIVE
    both = made_up.run(tmp_path / "both", verdicts=absent)
    assert told(compare(both, both)) == [("not comparable", "keras", "norm=layer", "gradient_parity")]
    assert told(compare(both, old))[0][0] == "appeared"


def test_networks_and_numbers_that_vanish_or_appear_are_told(old, tmp_path: Path) -> None:
    verdicts = [made_up.parity(*case) for case in CASES if case != SICK]
    comparison = compare(old, made_up.run(tmp_path / "less", verdicts=verdicts))
    assert told(comparison) == [("vanished", "keras", "norm=layer", "every check")]
    assert status(comparison) == Status.INCONCLUSIVE
    assert told(compare(made_up.run(tmp_path / "less", verdicts=verdicts), old))[0][0] == "appeared"
    fewer = [made_up.parity(*case) for case in CASES]
    fewer[-1].findings, fewer[-1].judged = fewer[-1].findings[:2], 2
    assert told(compare(old, made_up.run(tmp_path / "fewer", verdicts=fewer)))[0][0] == "vanished"


def test_places_that_vanish_are_told_where_as_many_appear(old, tmp_path: Path) -> None:
    verdicts = [made_up.parity(*case) for case in CASES]
    verdicts[-1].findings[1] = Finding(Place.of("dense9.weight", step=0), 1e-7, 0.0, 1e-6)
    comparison = compare(old, made_up.run(tmp_path / "renamed", verdicts=verdicts))
    assert told(comparison) == [("vanished", *SICK, "gradient_parity")]
    assert "no longer judged: step 0 layer  2 weight; 1 are new, such as step 0 layer  9 weight" in comparison.shown[0].note
    assert status(comparison) == Status.INCONCLUSIVE


def test_a_place_that_vanished_is_told_beside_one_that_is_worse(old, tmp_path: Path) -> None:
    verdicts = changed(made_up.parity, factor=1e4)
    lost = verdicts[-1].findings.pop(0)
    comparison = compare(old, made_up.run(tmp_path / "worse", verdicts=verdicts))
    assert told(comparison)[0][0] == "worse"
    assert f"no longer judged: {lost.where}" in comparison.shown[0].note


HALF = {
    "verdicts": [made_up.parity("torch", n) for n in made_up.NETWORKS],
    "profiles": [made_up.profile("torch", n, 0) for n in made_up.NETWORKS],
    "timings": [made_up.timing("torch", n, 0) for n in made_up.NETWORKS],
    "peak_memory_mb": {"torch": 360.0},
}
LESS = {
    "a backend": HALF,
    "a backend's verdicts": {"verdicts": HALF["verdicts"]},
    "a backend's profiles": {"profiles": HALF["profiles"]},
    "a backend's times": {"timings": HALF["timings"]},
    "every verdict": {"verdicts": []},
    "a baseline": {"verdicts": [made_up.verdict("gradient_parity", *case, [], status=NO_BASELINE) for case in CASES]},
    "a metric of trainings": {"profiles": [structs.replace(made_up.profile(*case, 0), samples={"accuracy": [0.9] * 3}) for case in CASES]},
}


@pytest.mark.parametrize("gone", LESS)
def test_less_judged_is_never_nothing_worse(gone: str, old, tmp_path: Path) -> None:
    comparison = compare(old, made_up.run(tmp_path / "new", **LESS[gone]))
    assert status(comparison) == Status.INCONCLUSIVE
    assert "Nothing is worse" not in comparison.headline
    assert f"{'torch' if gone == 'every verdict' else 'keras'} no longer has " in comparison.headline
    failed = compare(old, made_up.run(tmp_path / "failed", exit_status=1, **LESS[gone]))
    assert status(failed) == Status.WORSE
    assert failed.headline.endswith("the new run failed.")


def test_findings_are_joined_on_places_and_with_older_records_on_text(tmp_path: Path) -> None:
    def seen(name: str, value: float, remark: str, place: Place):
        finding = Finding(place, value, 0.0, 1.0, remark=remark)
        return made_up.run(tmp_path / name, verdicts=[made_up.verdict("update", "torch", "reference", [finding])])

    place = Place.of("dense3.weight", step=0)
    small, large = seen("a", 0.5, "(step below rounding)", place), seen("b", 2.0, "", place)
    assert compare(small, large).shown[0].old == "0.5"
    older = seen("c", 0.5, "", Place("step 0 layer  3 weight"))
    older.structured = False
    assert compare(older, large).shown[0].old == "0.5"


def test_a_fall_of_accuracy_is_found_and_its_interval_holds_the_truth(old, tmp_path: Path) -> None:
    profiles = [made_up.profile(*case, 1, accuracy=0.7 if case == SICK else 0.9) for case in CASES]
    comparison = compare(old, made_up.run(tmp_path / "new", profiles=profiles))
    assert told(comparison) == [("worse", "keras", "norm=layer", "accuracy")]
    numbers = comparison.shown[0].numbers
    assert numbers["low"] < 0.7 < numbers["high"] < 0.9


def test_other_data_or_a_single_seed_are_not_comparable(old, tmp_path: Path) -> None:
    other = compare(old, made_up.run(tmp_path / "data", options={"cases": "smoke", "data": "mnist", "seeds": 3}))
    assert {c.note for c in other.shown if c.metric == "accuracy"} == {"the old run trained on digits and the new one on mnist"}
    single = [made_up.profile(*case, 1) for case in CASES]
    for profile in single:
        profile.samples = {name: values[:1] for name, values in profile.samples.items()}
    one = compare(old, made_up.run(tmp_path / "seed", profiles=single))
    assert "one tells nothing of the spread" in one.shown[0].note


def test_samples_of_the_same_law_are_rarely_called_different(tmp_path: Path) -> None:
    """200 comparisons of 18 metrics each, all of them the same: at most twice the promised share alarms."""
    runs = [made_up.run(tmp_path / str(seed), seed=seed, verdicts=[], timings=[]) for seed in range(40)]
    pairs = np.random.default_rng(0).choice(40, (200, 2))
    alarms = sum(bool(compare(runs[a], runs[b]).shown) for a, b in pairs if a != b)
    assert alarms <= 2 * FALSE_DISCOVERIES * 200


def _seed_by_seed(tmp_path: Path, name: str, accuracies: list[float], metric: str = "averaged accuracy") -> Record:
    """A run of one network whose seeds strayed by 0.002, and once by 0.004, when they were recorded."""
    strays = {metric: Stray(0.002, 24, 0.004)}
    profile = structs.replace(made_up.profile(*SICK, 0), seeds=[1000, 1001, 1002], samples={metric: accuracies}, strays=strays)
    return made_up.run(tmp_path / name, profiles=[profile])


def test_the_same_seeds_are_compared_pair_by_pair(tmp_path: Path) -> None:
    """Seeds that lie 0.1 apart show a change of a tenth of that, for the better or the worse."""
    old = _seed_by_seed(tmp_path, "old", [0.8, 0.9, 0.7])
    for name, moved, verdict in (("worse", -0.011, "worse"), ("better", 0.011, "better")):
        found = compare(old, _seed_by_seed(tmp_path, name, [0.8 + moved, 0.9 + moved, 0.7 + moved]))
        assert told(found) == [(verdict, *SICK, "averaged accuracy")]
    others = _seed_by_seed(tmp_path, "others", [0.789, 0.889, 0.689])
    others.profiles[0].seeds = [1, 2, 3]
    assert not compare(old, others).shown, "between other seeds it does not show"


def test_a_seed_that_strays_as_healthy_ones_may_is_no_change(tmp_path: Path) -> None:
    old = _seed_by_seed(tmp_path, "old", [0.8, 0.9, 0.7])
    assert not compare(old, _seed_by_seed(tmp_path, "new", [0.8, 0.9, 0.7 - 0.011])).shown, "as far as three times the furthest"
    assert told(compare(old, _seed_by_seed(tmp_path, "far", [0.8, 0.9, 0.6])))


def test_a_share_of_zero_is_a_sample(tmp_path: Path) -> None:
    """No step was clipped in one seed, which is a number as any other."""
    old, new = (_seed_by_seed(tmp_path, name, [0.0, 0.5, 0.4], metric="clipped") for name in ("old", "new"))
    assert not compare(old, new).shown


def test_pairs_of_the_same_law_are_rarely_called_different(tmp_path: Path) -> None:
    """400 comparisons of healthy executions, one metric each: at most twice the promised share alarms."""
    rng = np.random.default_rng(0)
    means = 0.8 + 0.1 * rng.standard_normal((400, 3))
    runs = [[list(row) for row in means + 0.002 * rng.standard_normal(means.shape)] for _ in range(2)]
    found = [paired(one, other, "accuracy", Stray(0.002, 24, 0.004)).p < FALSE_DISCOVERIES for one, other in zip(*runs, strict=True)]
    assert sum(found) <= 2 * FALSE_DISCOVERIES * 400


@pytest.mark.parametrize(
    ("sick", "verdict", "metric", "expected"),
    [
        ({"milliseconds": 200.0}, "worse", "step time, eager", Status.WORSE),
        ({"milliseconds": 0.2}, "better", "step time, eager", Status.SAME),
        ({"milliseconds": 6.0, "control": 3.0}, "inconclusive", "step time, eager", Status.INCONCLUSIVE),
        ({"first": 5.0}, "worse", "first step, eager", Status.WORSE),
    ],
)
def test_step_times_are_judged_with_their_control(sick, verdict, metric, expected, old, tmp_path: Path) -> None:
    timings = [made_up.timing(*case, 1, **(sick if case == SICK else {})) for case in CASES]
    comparison = compare(old, made_up.run(tmp_path / "new", timings=timings))
    assert told(comparison) == [(verdict, "keras", "norm=layer", metric)]
    assert status(comparison) == expected


def test_memory_is_compared_where_the_work_was_the_same(old, tmp_path: Path) -> None:
    hungry = {"torch": 360.0, "keras": 1700.0}
    assert told(compare(old, made_up.run(tmp_path / "new", peak_memory_mb=hungry))) == [("worse", "keras", "whole run", "peak memory")]
    less = made_up.run(tmp_path / "less", peak_memory_mb=hungry, timings=[])
    assert [c.verdict for c in compare(old, less).shown if c.metric == "peak memory"] == ["not comparable"] * 2


@pytest.mark.parametrize("megabytes", [0.0, -5.0])
def test_a_memory_that_was_not_measured_is_not_compared(megabytes: float, old, tmp_path: Path) -> None:
    new = made_up.run(tmp_path / "new", peak_memory_mb={"torch": 360.0, "keras": megabytes})
    for pair in ((old, new), (new, old)):
        assert [(c.verdict, c.backend) for c in compare(*pair).shown] == [("not comparable", "keras")]


def test_two_frameworks_of_one_run_can_be_compared(old, tmp_path: Path) -> None:
    comparison = compare(old, old, [("torch", "keras")])
    assert {c.backend for c in comparison.changes} == {"keras"}
    assert "peak memory" not in {c.metric for c in comparison.changes}
    assert ("backend", "torch", "keras") in comparison.differences


def test_the_environment_comes_first(old, tmp_path: Path) -> None:
    versions = {"torch": {"torch": "2.13.0"}, "keras": {"keras": "3.15.1", "tensorflow": "2.20.0"}}
    new = made_up.run(tmp_path / "new", versions=versions, environment={"torch": "2.13.0", "keras": "3.15.1", "processor": "other"})
    comparison = compare(old, new)
    assert ("processor", "made up", "other") in comparison.differences
    assert ("tensorflow", "2.21.0", "2.20.0") in comparison.differences
    assert ("threads", "1", "—") in comparison.differences
    assert render.text(comparison).index("processor") < render.text(comparison).index("the same and not shown")


def test_markdown_is_short_and_cannot_be_broken_by_what_it_quotes(old, tmp_path: Path) -> None:
    nasty = made_up.verdict("update", "keras", "norm=layer", [Finding(Place(NASTY), 9.0, 0.0, 1.0, "note " * 100) for _ in range(3)])
    many = [made_up.parity("torch", f"depth={n}", factor=1e5) for n in range(2000)]
    fine = [made_up.parity("torch", f"depth={n}") for n in range(2000)]
    calm = made_up.verdict("update", "keras", "norm=layer", [Finding(Place("other"), 0.1, 0.0, 1.0)])
    comparison = compare(made_up.run(tmp_path / "a", verdicts=[calm, *fine]), made_up.run(tmp_path / "b", verdicts=[nasty, *many]))
    text = render.markdown(comparison)
    assert len(text) < 65_536
    assert "<b>" not in text
    for sign in ("@all", "://", "www.", "\x1b"):
        assert sign not in text
    terminal = render.text(compare(made_up.run(tmp_path / "c", verdicts=[calm]), made_up.run(tmp_path / "d", verdicts=[nasty])))
    assert "\x1b" not in terminal and r"\x1b" in terminal and r"</b>\n`x`" in terminal
    rows = [line for line in text.splitlines() if line.startswith("| ✗")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}
    parsed = json.loads(render.as_json(comparison))
    assert len(parsed["changes"]) > 2000
    assert parsed["status"] == "worse"


def test_verdicts_have_an_order_and_a_mark_each() -> None:
    assert set(change.ORDER) == set(change.MARKS)
    assert len({*Status}) == len(Status.__members__)


def test_the_command_writes_every_format_and_ends_with_the_status(tmp_path: Path, capsys) -> None:
    old = made_up.path(tmp_path / "old")
    new = made_up.path(tmp_path / "new", verdicts=changed(made_up.parity, factor=1e4))
    for form in ("text", "markdown", "json", "html"):
        assert main([str(old), str(new), f"--format={form}", "-o", str(tmp_path / form)]) == Status.WORSE
        assert "gradient_parity" in (tmp_path / form).read_text(encoding="utf-8")
    assert main([str(old), str(old)]) == Status.SAME
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == Status.WORSE
    assert main([str(tmp_path), str(new)]) == Status.BAD_INPUT
    assert main([str(old), str(old), "--backend=torch:keras"]) == Status.SAME
    assert main([str(old), str(tmp_path / "nowhere.json")]) == Status.BAD_INPUT
    assert main([str(old), str(new), "--backend=jax"]) == Status.BAD_INPUT
    assert "no backend 'jax'" in capsys.readouterr().err
    none = made_up.path(tmp_path / "none", verdicts=[], timings=[], profiles=[])
    assert main([str(none), str(none)]) == Status.NOTHING


def test_a_comparison_does_not_overwrite_what_it_compares(tmp_path: Path, capsys) -> None:
    old = made_up.path(tmp_path / "old")
    before = old.read_bytes()
    assert main([str(old), str(old), "-o", str(old)]) == Status.BAD_INPUT
    assert "was read as input" in capsys.readouterr().err
    assert old.read_bytes() == before
    (kept,) = old.parent.glob("run-*")
    assert main([str(old.parent), str(old), "-o", str(kept)]) == Status.BAD_INPUT


def test_a_comparison_of_nothing_has_a_status_of_its_own(tmp_path: Path) -> None:
    timed = made_up.path(tmp_path / "timed", verdicts=[], profiles=[])
    judged = made_up.path(tmp_path / "judged", timings=[], profiles=[])
    assert main([str(timed), str(judged)]) == Status.NOTHING


def test_the_command_line_says_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"schema": 2, "kind": "gradgauge run", ')
    words = [sys.executable, "-m", "bench.compare", str(tmp_path / "cut.json"), str(tmp_path / "cut.json")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2])
    assert done.returncode == Status.BAD_INPUT
    assert len(done.stderr.strip().splitlines()) == 1
