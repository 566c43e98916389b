"""The committed tables of power and of false alarms: complete, true to the suite of today, and a slice of each run again."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest

from bench.checks import CHECKS, REFERENCE, THEORY, applies
from bench.exit_status import Status
from bench.judging.verdict import FAILED, judge
from bench.selftest import false_alarms, power, sweep
from bench.selftest.kills import seen
from models.matrix import networks
from models.spec import Spec

SLICE = [Spec.parse(network) for network in ("reference", "norm=batch", "optimizer=adam")]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[sweep.Row]:
    """The first seed of the sweep, on a few networks, run now."""
    return sweep.run(1, [("torch", 1), ("keras", 1), ("keras", 2)], tmp_path_factory.mktemp("sweep") / "rows.jsonl", SLICE)


def test_healthy_frameworks_stay_inside_on_a_fresh_seed(rows: list[sweep.Row]) -> None:
    assert len(rows) == 3 * len(SLICE)
    table = false_alarms.table(rows)
    assert not table["outside"].any(), table.to_string()
    assert table.groupby("check")["numbers"].sum().min() > 0  # on two threads nothing promises the same bits


def test_the_sweep_goes_on_where_it_stopped(rows: list[sweep.Row], tmp_path: Path) -> None:
    record = tmp_path / "rows.jsonl"
    first = sweep.run(1, [("torch", 1)], record, SLICE[:1])
    again = sweep.run(1, [("torch", 1)], record, SLICE[:1])
    assert first == again
    assert len(record.read_text(encoding="utf-8").splitlines()) == 1


def test_the_committed_false_alarm_table_is_all_inside() -> None:
    table = false_alarms.read()
    assert not table["outside"].any()
    judged = set(table["check"])
    assert judged <= {check.name for check in sweep.JUDGED}
    swept = sweep.swept(set(table["family"]))
    against = [check for check in sweep.JUDGED if check.against in (REFERENCE, THEORY)]
    assert judged >= {check.name for check in against if any(applies(check, spec, "torch") for spec in swept)}
    assert set(table["threads"]) == {1, 2}


def test_the_committed_false_alarm_table_is_of_every_network_and_seed() -> None:
    table = false_alarms.read()
    for family in set(table["family"]):
        every = table[(table["check"] == "finite") & (table["family"] == family)]
        assert len(every) == 4 and false_alarms.complete(table, family), f"python -m bench.selftest.false_alarms --family={family}"


def test_runs_of_a_new_network_are_added_to_those_of_its_family(rows: list[sweep.Row]) -> None:
    """Network by network the table comes to the same; where two come equally near, either is named."""
    old, new = ([row for row in rows if (row["network"] == "norm=batch") == is_new] for is_new in (False, True))
    together = false_alarms.added(false_alarms.table(old), false_alarms.table(new))
    assert together.drop(columns="where").equals(false_alarms.table(rows).drop(columns="where"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--network=act=sofsign"], "act=sofsign is not known"),
        (["--network=depth=7"], "is not swept"),
        (["--network=act=tanh", "--family=mlp"], "leave out --family"),
    ],
)
def test_a_network_that_cannot_be_measured_is_refused_in_a_sentence(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (power, false_alarms):
        monkeypatch.setattr("sys.argv", ["bench", *words])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == Status.BAD_INPUT
        assert says in capsys.readouterr().err


def test_a_network_that_is_counted_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--network=act=tanh"])
    with pytest.raises(SystemExit):
        false_alarms.main()
    assert "counted twice" in capsys.readouterr().err


def test_rows_of_other_code_do_not_count(tmp_path: Path) -> None:
    record = tmp_path / "rows.jsonl"
    sweep.run(1, [("torch", 1)], record, SLICE[:1])
    record.write_text(record.read_text().replace(sweep.CODE, "an older one"), encoding="utf-8")
    assert len(sweep.run(1, [("torch", 1)], record, SLICE[:1])) == 1
    assert len(record.read_text(encoding="utf-8").splitlines()) == 2


def test_the_committed_power_table_is_of_every_network_and_what_runs_show_today(rows: list[sweep.Row]) -> None:
    table = power.read().set_index(["network", "backend"])
    assert {network for network, _ in table.index} >= {
        spec.id for spec in sweep.swept(set(table.index.map(lambda at: sweep.family_of(at[0])))) if spec in networks("core")
    }
    for row in rows:
        for kind, value in row["power"].items():
            recorded = table.loc[(row["network"], row["backend"]), kind]
            # One seed against the 95 % quantile of several: the same size, and epsilons are tried in factors of two.
            assert value / 4 <= recorded <= value * 4 or (math.isinf(value) and math.isinf(recorded)), (
                row["network"],
                kind,
                value,
                recorded,
            )


def test_errors_a_little_larger_than_the_power_says_are_caught() -> None:
    run = seen("torch", "reference", trains=False)
    for layer, error in enumerate(power.gradient(run), start=1):
        spoilt = copy.deepcopy(run)
        for forced_step in spoilt.seen.forced_steps:
            forced_step.gradients[f"dense{layer}.weight"] = forced_step.gradients[f"dense{layer}.weight"].astype(float) * (1 + 1.01 * error)
        assert judge(CHECKS["gradient_parity"], spoilt).status == FAILED, layer
