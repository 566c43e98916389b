"""The duet on real workers and real processes: a planted slowdown shows, a clock that does not wait is caught, nothing is left behind."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
import types

import psutil
import pytest

from bench.evidence.collect import reference_of
from bench.exit_status import Status
from bench.timing.duet import __main__ as command
from bench.timing.duet import rounds, sides
from bench.timing.duet.equivalence import prove
from bench.timing.duet.metrics import METRICS, own_time
from bench.timing.duet.record import read_history
from bench.timing.duet.sides import Variant
from bench.timing.steps import NotTheSameError
from bench.versions.environments import Interpreter
from bench.versions.requirements import ROOT
from fixtures.data.datasets import load
from models.backends.protocol import TimedWork
from models.spec import Spec
from models.worker.process import WorkerDied
from models.worker.tasks.step_timer import Block, StepTimer, processor_wait

SPEC = Spec.of(depth=4)


@pytest.fixture(scope="module")
def torch_case():
    one = sides.parse("torch")
    return sides.cases(one, one, (SPEC,))[0]


def test_a_step_that_takes_half_as_long_again_shows_in_one_restart_of_real_workers(torch_case):
    variants = (torch_case.a, dataclasses.replace(torch_case.a, slowdown=1.5))
    with rounds.fresh(variants) as pair:
        prove(pair, torch_case, load(), reference_of(SPEC, load()))
        series = rounds.measure(pair, torch_case, load(), restart=1, seconds=3.0)
        pids = {pair.workers[number].pid for number in range(len(variants))}
    assert not any(psutil.pid_exists(pid) for pid in pids)
    ratio = math.exp(METRICS["step"].log_ratio(series, 0, 1))
    assert 1.1 < ratio < 2.0, ratio  # three seconds on a machine that may be busy: all that is wanted is that it shows
    assert (own_time(series, 0) > 0).all()
    assert min(series.host) > 50, "a process with torch in it takes more than 50 MB"
    assert series.device == [0.0, 0.0]
    assert min(series.first_step) > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux keeps a process on a processor")
def test_both_sides_share_one_processor_and_the_next_restart_has_another(torch_case):
    processors = sorted(os.sched_getaffinity(0))
    for restart in range(2):
        with rounds.fresh((torch_case.a, torch_case.b), restart) as pair:
            pids = [pair.workers[number].pid for number in (0, 1)]
            assert pids[0] != pids[1]
            assert [os.sched_getaffinity(pid) for pid in pids] == [{processors[restart % len(processors)]}] * 2


def test_a_side_that_computes_something_else_is_refused_before_it_is_timed(torch_case):
    asked = reference_of(SPEC, load())
    assert asked.exact and asked.rounded  # of the labels as they are
    asked.forced_steps = [dataclasses.replace(each, labels=(each.labels + 1) % 10) for each in asked.forced_steps]
    with rounds.fresh((torch_case.a,)) as pair, pytest.raises(NotTheSameError, match=r"side A \(torch\) does not compute"):
        prove(pair, torch_case, load(), asked)


class Device:
    """A device that does what it is asked 3 ms a step after it was asked, and whose time passes with the host's."""

    def __init__(self, waits: bool):
        """With a wait that waits, or one that forgets to."""
        self.free, self.waits = 0.0, waits

    def launch(self):
        """Ask for a step."""
        self.free = max(self.free, time.perf_counter()) + 0.003

    def wait(self):
        """Until all that was asked is done."""
        time.sleep(max(0.0, self.free - time.perf_counter()))


def framework_on(device: Device):
    """What `models.worker.tasks.step_timer` asks of a backend, for the fake device."""
    synchronise = device.wait if device.waits else lambda: None
    network = types.SimpleNamespace(load=lambda *_, **__: None, weights=dict, timed_step=lambda *_: TimedWork(device.launch, synchronise))
    return types.SimpleNamespace(
        Network=lambda *_, **__: network,
        drain=device.wait,
        peak_device_memory=lambda reset: 0.0,
    )


@pytest.mark.parametrize("waits", [True, False])
def test_a_missing_synchronisation_is_caught(waits):
    timed = StepTimer(framework_on(Device(waits)))
    timed.prepare(name="0 the case", spec=SPEC.id, mode="eager", device="fake", x=None, labels=None)
    pair = types.SimpleNamespace(ask=lambda number, do, kind, **given: timed.timed_block(**given))
    if waits:
        assert 5 <= rounds._steps_of_a_block(pair, 0, "0 the case", 8) <= 10
    else:
        with pytest.raises(rounds.NotSynchronisedError, match="the case is not timed: the device worked on"):
            rounds._steps_of_a_block(pair, 0, "0 the case", 8)


def test_waiting_for_a_processor_is_not_the_steps_time():
    before, after = {"1": (5, 5), "2": (0, 0)}, {"1": (10, 10), "2": (10**9, 2 * 10**9), "3": (1, 9 * 10**9)}
    assert processor_wait(before, after) == 2.0, "the waits of threads that do not work delay nobody"
    assert processor_wait({}, {}) == 0.0
    assert rounds._net(Block(1.0, 0.25, 0.0)) == 0.75


def script(tmp_path, text):
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Interpreter(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo Segmentation fault at address 0x0; sleep 5", "printed what is no message; its last output: Segmentation fault"),
        ("echo no such module >&2; exit 3", "exited with status 3; its last output: no such module"),
        ("echo out of memory >&2; kill -9 $$", "was killed by SIGKILL; its last output: out of memory"),
        ("echo stuck >&2; exec sleep 30", "did not answer within 1 s; its last output: stuck"),
    ],
)
def test_what_is_no_worker_says_so_with_its_last_output(text, said, torch_case, tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "PATIENCE", 1.0)
    variant = Variant(torch_case.a.side, script(tmp_path, text), "torch", "eager")
    with pytest.raises(WorkerDied, match=said), rounds.fresh((variant,)):
        pass


def test_interrupting_keeps_what_was_measured_and_leaves_no_process(tmp_path):
    words = ["--a", "torch", "--b", "torch", "--network", SPEC.id, "--slice", "0.2", "--budget", "60", "--margin", "step=0.0001"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.timing.duet", *words, "--record-dir", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("restart 2"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == Status.INTERRUPTED
    assert "Interrupted: this is what was measured until then." in out
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert read_history(tmp_path)[0].outcomes[0].estimate.restarts >= 2
    assert len(json.loads(next(tmp_path.glob("duet-*.json")).read_text())["series"]) >= 2


def test_a_requirement_that_cannot_be_met_is_one_sentence(monkeypatch, capsys, tmp_path):
    done = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found for keras==99\n")
    monkeypatch.setattr("bench.versions.environments.FOLDER", tmp_path)
    monkeypatch.setattr("bench.versions.environments.build.__defaults__", (tmp_path,))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert command.main(["--a", "keras==99", "--b", "keras==98", "--record-dir", str(tmp_path)]) == Status.BAD_INPUT
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "keras==99 cannot be installed here: No matching distribution found for keras==99."
    assert "Traceback" not in "".join(told)
