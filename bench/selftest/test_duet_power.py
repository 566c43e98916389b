"""The error-rate study: every rule is asked about the same series, and the table counts what it says it counts."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.exit_status import Status
from bench.selftest.studies.duet import power, rules, study
from bench.selftest.studies.duet.study import PLANTED, Restart
from bench.timing.duet.rounds import Series
from bench.timing.duet.statistics import SAME, SLOWER


def made_up(count, drift=0.0, noise=0.02):
    """Restarts of three duets each, 4 ms a step, while the machine becomes slower from restart to restart."""
    rng, found = np.random.default_rng(6), []
    for number in range(count):
        series = []
        for factor in PLANTED:
            wall = 0.004 * np.exp(drift * number + rng.normal(0, noise, (2, 60, 2)) + rng.normal(0, 0.004, (2, 1, 1)))
            wall[1] *= factor
            series.append(Series("case", number, [5] * 2, [1.0] * 2, [300.0] * 2, [0.0] * 2, wall.tolist(), np.zeros((2, 60, 2)).tolist()))
        found.append(Restart(float(number), 2.0, 3.0, "torch", series))
    return found


def test_our_rule_is_played_as_it_runs_and_others_are_fooled_by_drift():
    record = made_up(60, drift=0.03)
    equals, _, slows = zip(*(each.series for each in record), strict=True)
    assert power.play(equals, 0.015)[0] == SAME
    verdict, used, seconds = power.play(slows, 0.015)
    assert verdict == SLOWER
    assert used >= 7, "it was not confirmed"
    assert 7 * 4 <= seconds <= 1.2 * used * 4 * 1.03**10
    equal = power.disjoint(equals, 0.015)
    assert equal.flagged == 0
    assert equal.asked >= 8
    assert power.drawn(slows, 0.015, draws=20).flagged == 20
    stored = power.others("pytest-benchmark mean:5%", equals, draws=200)
    assert power.others("pyperf compare_to (10 + 10 processes)", equals, draws=20).flagged == 20, "drift looks like a slowdown to it"
    assert stored.asked == 200
    assert power.others("asv continuous (factor 1.1, p < 0.002)", slows, draws=50).flagged == 0, "5 % is not its factor"


def test_without_drift_each_rule_finds_what_it_is_made_for():
    equals, _, slows = zip(*(each.series for each in made_up(40, noise=0.005)), strict=True)
    assert power.others("pytest-benchmark mean:10%", slows, draws=50).flagged == 0
    assert power.others("pytest-benchmark min:5%", equals, draws=50).flagged == 0
    slow = [Series(**{**vars(s), "wall": [s.wall[0], (np.asarray(s.wall[0]) * 1.2).tolist()]}) for s in equals]
    for rule in rules.RULES:
        assert power.others(rule, slow, draws=10).flagged == 10, rule


def test_a_shortened_series_is_as_long_as_was_asked():
    series = made_up(1)[0].series[1]
    short = rules.shortened(series, 1.0)
    assert 1.0 <= short.seconds < 1.2
    assert short.wall[1] == series.wall[1][: len(short.wall[1])]


def test_the_table_names_every_rule_and_the_record_survives_a_cut(tmp_path, capsys):
    path = tmp_path / "study.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in made_up(8)) + b'{"when": 1')
    assert len(study.read(path)) == 8
    assert power.main(["--record", str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*rules.RULES, power.OURS, "8 + 8 + 8 restarts of torch"))
    assert power.main(["--record", str(tmp_path / "none")]) == Status.NOTHING


@pytest.mark.parametrize(("hits", "of", "words"), [(0, 200, "0.0 % (0.0 … 1.8)"), (5, 10, "50.0 % (18.7 … 81.3)")])
def test_rates_come_with_their_exact_interval(hits, of, words):
    assert rules.rate(hits, of) == words
