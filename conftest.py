"""The suite as pytest sees it: options, cases in the order in which networks train, and the fixtures tests judge with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.baselines import known_failures, recording
from bench.baselines.samples import BaselineError
from bench.checks import CHECKS, ITSELF, applies
from bench.doctor import answered, problem
from bench.evidence.collect import STEPS
from bench.evidence.pool import ObservationPool
from bench.exit_status import Status
from bench.metamorphic import equality_cases
from bench.timing.cases import timed_cases
from fixtures.data.datasets import features_of
from fixtures.machine import nvidia_driver
from fixtures.machine.fingerprint import fingerprint, judge_on_one_thread
from fixtures.machine.gpu_lock import Busy, GpuLock
from fixtures.plugin import judging, options
from fixtures.plugin.judging import STATE, Case, State, pool_of, relation_runner_of
from fixtures.plugin.terminal import Terminal
from fixtures.plugin.xdist_support import XdistSupport, is_spread, own_device
from models.worker.process import WorkerError


def pytest_addoption(parser: pytest.Parser) -> None:
    """What a run can choose."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot run, in one sentence, before anything starts."""
    option = config.option
    options.check(option)
    judge_on_one_thread()
    try:
        failures = known_failures.read()
    except BaselineError as error:
        raise pytest.UsageError(str(error)) from None
    environment = fingerprint(option.device, option.threads, option.deterministic)
    asked = {name: getattr(option, name) for name in ("cases", "device", "data", "seeds", "threads", "backends", "deterministic")}
    terminal = Terminal(config, environment, asked, Path(option.record_dir), page=option.report is not None)
    terminal.hints += filter(None, [options.stand_in(option.backends)])
    config.pluginmanager.register(terminal, "gradgauge-terminal")
    config.pluginmanager.register(judging, "gradgauge-judging")
    if is_spread(config):
        config.pluginmanager.register(XdistSupport(config, terminal, _parameters), "gradgauge-spread")
    config.stash[STATE] = State(terminal, environment, failures, GpuLock(own_device(config)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every check on every network and backend it applies to; what does not apply is not collected."""
    option = metafunc.config.option
    if "case" in metafunc.fixturenames:
        against = metafunc.module.AGAINST
        cases = [
            Case(check.name, backend, spec)
            for spec in (*option.networks, *(option.untrained if ITSELF in against else ()))
            for backend in option.backends
            for check in CHECKS.values()
            if check.against in against and applies(check, spec, backend)
        ]
        metafunc.parametrize("case", cases, ids=[f"{c.check}-{c.backend}-{option.device}-{c.network}" for c in cases])
    elif "equality_case" in metafunc.fixturenames:
        equal = [] if option.network else equality_cases(option.cases, option.backends)
        metafunc.parametrize("equality_case", equal, ids=[f"{c.equality}-{c.backend}-{option.device}" for c in equal])
    elif "timed_case" in metafunc.fixturenames:
        timed = [] if option.network else timed_cases(option.cases, option.backends, option.device, features_of(option.data))
        metafunc.parametrize("timed_case", timed, ids=[case.id for case in timed])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Judge network by network, then equalities, timings last, when nothing trains any more."""
    order = {spec: place for place, spec in enumerate((*config.option.networks, *config.option.untrained))}

    def place(item: pytest.Item) -> tuple[int, int]:
        parameters = _parameters(item)
        if "case" in parameters:
            return 0, order[parameters["case"].spec]
        return (2 if "timed_case" in parameters else 1 if "equality_case" in parameters else -1), 0

    items.sort(key=place)
    if config.option.update_baselines is not None:
        kept = [item for item in items if "case" in _parameters(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def _parameters(item: pytest.Item) -> dict[str, Any]:
    """What a test was collected for; nothing where its list of cases was empty, as the trainings of a network that is not trained."""
    return {name: case for name, case in getattr(getattr(item, "callspec", None), "params", {}).items() if hasattr(case, "backend")}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print no file names between our lines."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.showfspath = False


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the workers on the first networks and on equalities."""
    cases = [_parameters(item)["case"] for item in session.items if "case" in _parameters(item)]
    others = any({"timed_case", "equality_case"} & set(_parameters(item)) for item in session.items)
    if session.config.option.collectonly or not (cases or others):
        return
    try:
        pool = pool_of(session.config)
        session.config.stash[STATE].turn.shared()
    except (ValueError, WorkerError, Busy) as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
    _refuse_absent_device(session.config, pool)
    for case in cases:
        pool.want(case.backend, case.spec, CHECKS[case.check].needs | CHECKS[case.check].also)
    if not is_spread(session.config):  # a worker of many does not know which networks will be its own
        pool.plan(list(dict.fromkeys((case.backend, case.spec) for case in cases)))
        if equal := [case for item in session.items if (case := _parameters(item).get("equality_case"))]:
            relation_runner_of(session.config).plan(equal)


def _refuse_absent_device(config: pytest.Config, pool: ObservationPool) -> None:
    """A framework that does not compute on the GPU asked for is no skip: the run ends with its cause and remedy."""
    for backend in config.option.backends if config.option.device != "cpu" else []:
        if told := problem(answered(pool.get(backend)), nvidia_driver.ask(), os.environ, require_gpu=True):
            pytest.exit(f"{told} (--device={config.option.device})", returncode=Status.ENVIRONMENT)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the workers; write a recording if all else is green; fail a run that judged nothing."""
    state = session.config.stash[STATE]
    if state.relation_runner is not None:
        state.relation_runner.close()
    if state.pool is not None:
        state.terminal.peak_memory = state.pool.peak_memory()
        state.pool.close()
        state.turn.end()
    if state.pool is not None and session.config.option.update_baselines is not None:
        state.terminal.baseline_changes += _write_baselines(session.config, state, state.pool, exitstatus)
    elif exitstatus == 0 and not hasattr(session.config, "workerinput") and (nothing := _nothing(state.terminal)):
        state.terminal.hints.append(nothing)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _nothing(terminal: Terminal) -> str:
    """Why a run without a failure is no good news, or nothing."""
    if not terminal.wanted:
        return ""
    if terminal.judging and not any(verdict.judged for verdict in terminal.verdicts):
        return "This run judged nothing, so it fails: widen -k, -m or --cases."
    if not terminal.ran:
        return "Every test of this run was skipped, so it fails: ask for networks that can be judged or timed."
    return ""


def _write_baselines(config: pytest.Config, state: State, pool: ObservationPool, exitstatus: int) -> list[str]:
    if exitstatus != 0:
        return ["No baseline was written, because something failed or was interrupted: mend or explain that first."]
    return recording.write(
        pool.baselines,
        why=config.option.update_baselines,
        steps=STEPS,
        seeds=pool.seeds,
        environment=state.environment,
        versions=state.terminal.versions,
    )


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Put frameworks, device and threads beside pytest-benchmark's own machine facts."""
    machine_info.update(config.stash[STATE].environment)
