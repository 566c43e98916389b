"""The suite as pytest sees it: options, cases in the order in which networks train, and the fixtures tests judge with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import baseline as baselines
from bench import known, recording
from bench.baseline import BaselineError
from bench.checks import BASELINE, CHECKS, ITSELF
from bench.equalities import EqualityCase, equality_cases, story
from bench.judge import FAILED, NO_BASELINE, NOT_JUDGED, Verdict, judge
from bench.report.failure import failure
from bench.report.profile import profile
from bench.report.terminal import Terminal
from bench.timing.cases import timed_cases
from fixtures import options
from fixtures.data import Data, features_of, load
from fixtures.machine import device_class, fingerprint, judge_on_one_thread
from fixtures.observe import RECORDED_SEED, STEPS, Laboratory
from fixtures.options import chosen, rerun
from fixtures.travels import Travels
from models.spec import Spec, SpecError
from models.worker import WorkerError, WorkerLacks


@dataclass(frozen=True)
class Case:
    """One network on one backend, judged by one check."""

    check: str
    backend: str
    spec: Spec

    @property
    def network(self) -> str:
        """The network's id, which is also its key in baselines."""
        return self.spec.id


def pytest_addoption(parser: pytest.Parser) -> None:
    """What a run can choose."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot run, in one sentence, before anything starts."""
    option = config.option
    options.check(option)
    judge_on_one_thread()
    try:
        known_failures = known.read()
    except BaselineError as error:
        raise pytest.UsageError(str(error)) from None
    environment = fingerprint(option.device, option.threads)
    asked = {name: getattr(option, name) for name in ("cases", "device", "data", "seeds", "threads", "backends")}
    terminal = Terminal(config, environment, asked, Path(option.record_dir), page=option.report is not None)
    config.pluginmanager.register(terminal, "gradgauge-terminal")
    config.stash[STATE] = State(terminal, environment, known_failures)


@dataclass
class State:
    """What hooks and fixtures of one session share."""

    terminal: Terminal
    environment: dict[str, str]
    known: list[known.Known]
    laboratory: Laboratory | None = None
    travels: Travels | None = None


STATE = pytest.StashKey[State]()


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
            if check.against in against and check.applies(spec, backend)
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
    """Start the workers on the first networks."""
    cases = [_parameters(item)["case"] for item in session.items if "case" in _parameters(item)]
    others = any({"timed_case", "equality_case"} & set(_parameters(item)) for item in session.items)
    if session.config.option.collectonly or not (cases or others):
        return
    try:
        laboratory = _laboratory(session.config)
        _refuse_absent_device(session.config, laboratory)
    except (ValueError, WorkerError) as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
    laboratory.plan(list(dict.fromkeys((case.backend, case.spec) for case in cases)))


def _laboratory(config: pytest.Config) -> Laboratory:
    state, option = config.stash[STATE], config.option
    if state.laboratory is None:
        data = load(option.data, folder=Path(option.data_dir) if option.data_dir else None, download=option.download)
        first = RECORDED_SEED if option.update_baselines is not None else 0
        seeds = range(first, first + option.seeds)
        laboratory = Laboratory(
            data, device=option.device, threads=option.threads, seeds=seeds, untrained=option.untrained, isolate=option.isolate
        )
        state.laboratory = laboratory
        for backend in option.backends:
            names = ["cpu"] if option.device == "cpu" else laboratory.get(backend).call("devices", list[str])
            laboratory.baselines[backend] = baselines.load(backend, device_class(option.device, names), STEPS)
    return state.laboratory


def _refuse_absent_device(config: pytest.Config, laboratory: Laboratory) -> None:
    device = config.option.device
    for backend in config.option.backends if device != "cpu" else []:
        names = laboratory.get(backend).call("devices", list[str])
        if names == ["cpu"]:
            raise SpecError(f"--device={device} was asked for, but {backend} sees no GPU here: use --device=cpu, or install a GPU build.")


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest) -> Laboratory:
    """Where networks are trained."""
    return _laboratory(request.config)


@pytest.fixture(scope="session")
def workers(laboratory: Laboratory) -> Laboratory:
    """Worker processes by backend: `workers.get("torch")`."""
    return laboratory


@pytest.fixture(scope="session")
def data(laboratory: Laboratory) -> Data:
    """The data set of this run."""
    return laboratory.data


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device of this run."""
    return request.config.option.device


@pytest.fixture
def judged(request: pytest.FixtureRequest, laboratory: Laboratory, record_property: Any) -> Callable[[Case], None]:
    """A function that judges a case, notes its verdict in the test's report, and fails with the whole story."""
    state: State = request.config.stash[STATE]

    def decide(case: Case) -> None:
        record_property("network", case.network)
        try:
            run = laboratory.run(case.backend, case.spec)
        except WorkerLacks as lack:
            check = CHECKS[case.check]
            absent = Verdict(check.name, check.against, check.law, case.backend, case.network, NOT_JUDGED, str(lack))
            record_property("verdict", json.dumps(asdict(absent)))
            return
        except WorkerError as error:
            pytest.fail(f"{case.backend} failed on {case.network}: {error}\n{error.trace}", pytrace=False)
        state.terminal.versions[case.backend] = run.seen.versions
        check = CHECKS[case.check]
        if check.against == BASELINE and request.config.option.update_baselines is not None:
            try:
                recording.keep(run)
            except BaselineError as error:
                pytest.fail(str(error), pytrace=False)
            return
        verdict = judge(check, run)
        if entry := known.apply(verdict, state.known, run.seen.versions):
            state.terminal.concerned.setdefault(entry, []).append(verdict.status)
        verdict.rerun = rerun(request.config.option, request.node.nodeid, case.network)
        record_property("verdict", json.dumps(asdict(verdict)))
        if state.terminal.is_new(case.backend, case.network):
            record_property("profile", msgspec.json.encode(profile(run)).decode())
        if verdict.status == NO_BASELINE:
            wanted = " ".join([*chosen(request.config.option), f"--backend={case.backend}", "-k training"])
            state.terminal.hints.append(f'record a baseline: pytest --update-baselines="why" {wanted}')
        if verdict.status == FAILED:
            pytest.fail(failure(verdict, run, _others(case, run, request, laboratory), verdict.rerun, state.environment), pytrace=False)

    return decide


@pytest.fixture
def judged_equality(request: pytest.FixtureRequest, laboratory: Laboratory, record_property: Any) -> Callable[[EqualityCase], None]:
    """A function that judges an equality, notes verdict and timings in the test's report, and fails with the whole story."""
    state = request.config.stash[STATE]
    if state.travels is None:
        state.travels = Travels(laboratory, isolate=request.config.option.isolate)
        state.travels.plan([c for item in request.session.items if (c := _parameters(item).get("equality_case"))])
    travels = state.travels

    def decide(case: EqualityCase) -> None:
        record_property("network", case.network)
        try:
            verdict, versions = travels.judge(case)
        except WorkerError as error:
            pytest.fail(f"{case.backend} failed on {case.equality}: {error}\n{error.trace}", pytrace=False)
        state.terminal.versions[case.backend] = versions
        if entry := known.apply(verdict, state.known, versions):
            state.terminal.concerned.setdefault(entry, []).append(verdict.status)
        verdict.rerun = rerun(request.config.option, request.node.nodeid)
        record_property("verdict", json.dumps(asdict(verdict)))
        for timing in travels.timings(case):
            record_property("timing", json.dumps(timing))
        if verdict.status == FAILED:
            pytest.fail(story(verdict, versions, verdict.rerun), pytrace=False)

    return decide


def _others(case: Case, run: Any, request: pytest.FixtureRequest, laboratory: Laboratory) -> list[Verdict]:
    others = [b for b in request.config.option.backends if b != case.backend and CHECKS[case.check].applies(case.spec, b)]
    return [judge(CHECKS[case.check], laboratory.run(backend, case.spec)) for backend in others]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the workers; write a recording if all else is green; fail a run that judged nothing."""
    state = session.config.stash[STATE]
    if state.laboratory is None:
        return
    state.terminal.peak_memory = state.laboratory.peak_memory()
    state.laboratory.close()
    if state.travels is not None:
        state.travels.close()
    if session.config.option.update_baselines is not None:
        state.terminal.baseline_changes += _write_baselines(session.config, state, state.laboratory, exitstatus)
    elif state.terminal.judging and exitstatus == 0 and not any(v.judged for v in state.terminal.verdicts):
        state.terminal.hints.append("This run judged nothing, so it fails: widen -k, -m or --cases.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_baselines(config: pytest.Config, state: State, laboratory: Laboratory, exitstatus: int) -> list[str]:
    if exitstatus != 0:
        return ["No baseline was written, because something failed or was interrupted: mend or explain that first."]
    return recording.write(
        laboratory.baselines,
        why=config.option.update_baselines,
        steps=STEPS,
        seeds=laboratory.seeds,
        environment=state.environment,
        versions=state.terminal.versions,
    )


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Put frameworks, device and threads beside pytest-benchmark's own machine facts."""
    machine_info.update(config.stash[STATE].environment)
