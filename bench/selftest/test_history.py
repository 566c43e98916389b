"""Small steps that add up are caught, a change is found where it was made, and bisection asks as few releases as it can."""

from __future__ import annotations

import math
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from bench.exit_status import Status
from bench.judging.verdict import FAILED, NOT_JUDGED, PASSED
from bench.selftest import made_up
from bench.selftest.made_up_duets import SPEC, Stub, case
from bench.selftest.studies.own_models import GAUGES
from bench.timing import bisect, history
from bench.timing.duet import plan
from bench.timing.duet.plan import Duet
from bench.timing.duet.record import Past, write
from bench.timing.duet.statistics import estimate
from bench.timing.duet.verdict import Judged
from bench.versions.requirements import VersionsError
from models.own.observation import Counted, OwnObservation
from models.spec import SpecError
from models.worker.process import WorkerDied, WorkerError

RNG = np.random.default_rng(3)
SIDE = SimpleNamespace(interpreter=lambda: None)
"""A side of a duet for which nothing is installed."""


def past(number, a, b, ratio, noise=0.002):
    log_ratios = [float(x) for x in RNG.normal(math.log(ratio), noise, 8)]
    outcome = Judged("torch-eager-cpu-reference", "step", "same", estimate(log_ratios, 0.015), 0.015, "ms", 4.0, 4.0 * ratio)
    return Past(f"2026-01-{number:02}", a, b, "machine", [{"torch": a}, {"torch": b}], [outcome])


def test_a_drift_below_every_margin_is_caught_against_the_anchor(tmp_path, capsys):
    for number in range(1, 6):
        write(tmp_path, past(number, f"2.{number}", f"2.{number + 1}", 1.009), [], [], {}, Status.SAME)
    assert history.main(["--record-dir", str(tmp_path)]) == Status.WORSE
    printed = capsys.readouterr().out
    assert "✗ drifted" in printed
    assert "of 2.1 (torch 2.1)" in printed
    track = history.tracks(history.read_history(tmp_path))[0]
    assert track.drift[0] == pytest.approx(1.009**5, abs=0.005)
    assert track.drift[1] < track.drift[0] < track.drift[2]


def test_equal_releases_do_not_drift(tmp_path, capsys):
    for number in range(1, 9):
        write(tmp_path, past(number, f"2.{number}", f"2.{number + 1}", 1.0), [], [], {}, Status.SAME)
    assert history.main(["--record-dir", str(tmp_path)]) == Status.SAME
    assert "= within" in capsys.readouterr().out


def test_a_change_is_found_where_it_was_made():
    found = history.tracks([past(number, "anchor", f"{number}", 1.0 if number < 9 else 1.04) for number in range(1, 20)])
    assert len(found) == 1
    assert history.changes(found[0]) == [8]
    assert "change × 1.04" in history.text(found)
    quiet = history.tracks([past(number, "anchor", f"{number}", 1.0) for number in range(1, 20)])
    assert history.changes(quiet[0]) == []


def test_nothing_recorded_is_said_and_a_broken_line_is_named(tmp_path, capsys):
    assert history.main(["--record-dir", str(tmp_path)]) == Status.NOTHING
    (tmp_path / "history.jsonl").write_text("{}\n")
    assert history.main(["--record-dir", str(tmp_path)]) == Status.BAD_INPUT
    assert "line 1 is no duet" in capsys.readouterr().err


@pytest.mark.parametrize("place", range(1, 8))
def test_bisection_finds_the_first_that_differs(place):
    names, asked = [f"3.{n}" for n in range(8)], []

    def like_first(name):
        asked.append(name)
        return names.index(name) < place

    assert bisect.first_changed(names, like_first) == (names[place - 1], names[place])
    assert len(asked) <= 4
    assert bisect.first_changed(names, lambda name: True) is None


def test_releases_are_pips_own_without_those_before_release(monkeypatch):
    said = "keras (3.15.1)\nAvailable versions: 3.15.1, 3.10.0, 3.9.2, 3.9.0rc1, 3.8.0, 3.7.0\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said, ""))
    assert bisect.releases("keras", "3.8.0", "3.15.1") == ["3.8.0", "3.9.2", "3.10.0", "3.15.1"]
    with pytest.raises(VersionsError, match="fewer than two"):
        bisect.releases("keras", "3.11", "3.12")
    with pytest.raises(VersionsError, match=r"write for instance 3\.8\.0"):
        bisect.releases("keras", "three", "four")


def test_bisection_by_time_asks_duets(monkeypatch, capsys):
    times = {"1.0": 0.004, "1.1": 0.004, "1.2": 0.0046, "1.3": 0.0046}
    now = ["1.0"]
    one = case(monkeypatch, Stub, lambda: Stub(times[now[0]]))
    monkeypatch.setattr(bisect, "releases", lambda *_: list(times))
    monkeypatch.setattr(bisect.sides, "parse", lambda text, device, *_: now.__setitem__(0, text.split()[0].partition("==")[2]) or text)
    monkeypatch.setattr(bisect.sides, "cases", lambda a, b, networks, device: [one])
    monkeypatch.setattr(plan, "prove", lambda *_: None)
    monkeypatch.setattr(plan, "SLICE", 0.001)
    monkeypatch.setattr(plan.run, "__kwdefaults__", {**plan.run.__kwdefaults__, "piece": 0.001})
    words = ["torch", "1.0", "1.3", "--case", f"torch-eager-cpu-{SPEC.id}", "--budget", "0.02"]
    assert bisect.main(words) == Status.WORSE
    assert "changed from torch 1.1 to 1.2." in capsys.readouterr().out
    times |= {"1.2": 0.0034, "1.3": 0.0034}
    assert bisect.main(words) == Status.FASTER
    assert "changed from torch 1.1 to 1.2." in capsys.readouterr().out
    assert Duet([one], lambda *_: 0.1).judged()[0].verdict == "nothing measured"


def test_bisection_by_a_finding_wants_a_check_that_judges(monkeypatch, capsys):
    status = {"1.0": PASSED, "1.1": PASSED, "1.2": FAILED, "1.3": FAILED}
    now, worker = ["1.0"], SimpleNamespace(submit=None, close=lambda: None)
    monkeypatch.setattr(bisect, "releases", lambda *_: list(status))
    monkeypatch.setattr(bisect.sides, "parse", lambda text, device, *_: now.__setitem__(0, text.split()[0].partition("==")[2]) or SIDE)
    monkeypatch.setattr(bisect.sides, "Variant", lambda *_, **__: SimpleNamespace(worker=lambda: worker))
    monkeypatch.setattr(bisect, "collect", lambda *_: None)
    monkeypatch.setattr(bisect, "judge", lambda check, _: made_up.verdict(check.name, "torch", "reference", [], status[now[0]], "a kink"))
    words = ["torch", "1.0", "1.3", "--case", "torch-eager-cpu-depth=2", "--finding"]
    assert bisect.main([*words, "gradient_parity"]) == Status.WORSE
    assert "gradient_parity of torch-eager-cpu-depth=2 changed from torch 1.1 to 1.2." in capsys.readouterr().out
    status["1.3"] = NOT_JUDGED
    assert bisect.main([*words, "gradient_parity"]) == Status.NOTHING
    assert "torch 1.3: gradient_parity is not judged: a kink" in capsys.readouterr().out
    monkeypatch.setattr(bisect.sides, "parse", lambda *_: pytest.fail("nothing is built"))
    assert bisect.main([*words, "normalization_state"]) == Status.BAD_INPUT
    assert "--finding normalization_state needs " in capsys.readouterr().err


def test_bisection_of_a_model_of_the_users_counts_a_release_in_which_it_raises_as_failing(monkeypatch, capsys):
    green, raised = OwnObservation("torch", {}), WorkerError("gauge.py:net could not take a step: RuntimeError: modified in place")
    green.finite = [Counted("loss", "", 0)]
    seen = {"1.0": green, "1.1": green, "1.2": raised, "1.3": raised}
    now = ["1.0"]

    def examined(*_, **__):
        found = seen[now[0]]
        if isinstance(found, WorkerError):
            raise found
        return found

    worker = SimpleNamespace(call=examined, close=lambda: None)
    monkeypatch.setattr(bisect, "releases", lambda *_: list(seen))
    monkeypatch.setattr(bisect.sides, "parse", lambda text, device, *_: now.__setitem__(0, text.split()[0].partition("==")[2]) or SIDE)
    monkeypatch.setattr(bisect.sides, "Variant", lambda *_, **__: SimpleNamespace(worker=lambda: worker))
    model = f"{GAUGES}/of_torch.py:encoder"
    words = ["torch", "1.0", "1.3", f"--model={model}", "--finding"]
    assert bisect.main([*words, "finite"]) == Status.WORSE
    printed = capsys.readouterr().out
    assert "torch 1.2: nothing can be judged: gauge.py:net could not take a step" in printed
    assert f"finite of {model} changed from torch 1.1 to 1.2." in printed
    seen |= {"1.2": green, "1.3": WorkerDied("the torch worker was killed by SIGKILL")}
    assert bisect.main([*words, "finite"]) == Status.ENVIRONMENT
    assert "torch 1.3 could not be judged: the torch worker was killed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model=of_torch.py:encoder", "--finding=clipping"], "--finding clipping is no check of models that one run can tell"),
        (["--model=aligned:resnet50", "--finding=finite"], "is a network of both frameworks"),
        (["--model=of_torch.py:encoder", "--device=cudafoo"], "cudafoo"),
        (["--model=of_torch.py:encoder", "--with=none.txt"], "none.txt cannot be read (No such file or directory)"),
        (["--finding=derivative"], "--finding derivative is no check of networks that one run can tell"),
    ],
)
def test_what_cannot_be_bisected_is_said_before_anything_is_built(words, said, monkeypatch, capsys):
    monkeypatch.chdir(GAUGES)
    monkeypatch.setattr(bisect, "releases", lambda *_: ["1.0", "1.1"])
    monkeypatch.setattr(bisect.sides, "parse", lambda *_: pytest.fail("nothing is built"))
    assert bisect.main(["torch", "1.0", "1.1", *words]) == Status.BAD_INPUT
    assert said in capsys.readouterr().err


def test_a_case_is_read_back_from_its_id():
    backend, mode, device, spec = bisect.case_of("keras-train_on_batch-cpu-depth=4,norm=layer")
    assert (backend, mode, device, spec.id) == ("keras", "train_on_batch", "cpu", "depth=4,norm=layer")
    assert bisect.case_of("torch-graphs-cuda:1-depth=4")[1:3] == ("graphs", "cuda:1")
    assert bisect.case_of("keras-torch-train_on_batch-cpu-reference")[0] == "keras-torch"
    with pytest.raises(SpecError, match="is no case"):
        bisect.case_of("torch-slow-cpu-reference")
