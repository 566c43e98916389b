"""The suite as pytest sees it: options, cases in the order in which networks train, and the fixtures tests judge with."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import baseline as baselines
from bench import known
from bench.baseline import BaselineError
from bench.checks import BASELINE, CHECKS
from bench.checks.training import metrics
from bench.judge import FAILED, NO_BASELINE, Verdict, judge
from bench.report.failure import failure
from bench.report.terminal import Terminal
from fixtures.data import NAMES, Data, DataError, features_of, load
from fixtures.machine import device_class, fingerprint
from fixtures.observe import RECORDED_SEED, STEPS, Laboratory
from models.matrix import CASES, networks
from models.run import BACKENDS
from models.spec import Spec, SpecError
from models.worker import WorkerError

RECORDS = ".gradgauge"
SELFTESTS = "bench/selftest"


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
    """What a run can choose; every default makes `pytest` alone a full core run on the CPU."""
    group = parser.getgroup("gradgauge")
    group.addoption("--cases", default="core", help=f"which networks: {', '.join(CASES)} (default: core)")
    group.addoption("--backend", default="torch,keras", help=f"comma-separated, out of {', '.join(BACKENDS)} (default: torch,keras)")
    group.addoption("--device", default="cpu", help="cpu or cuda (default: cpu)")
    group.addoption("--data", default="digits", help=f"one of {', '.join(NAMES)} (default: digits)")
    group.addoption("--data-dir", default=None, help="folder that holds the data, or is to hold it with --download")
    group.addoption("--download", action="store_true", help="fetch absent data into --data-dir")
    group.addoption("--seeds", default=None, type=int, help="training seeds a network (default: 3, or 20 when recording baselines)")
    group.addoption("--threads", default=1, type=int, help="threads of each framework (default: 1)")
    group.addoption("--update-baselines", default=None, metavar="WHY", help="record this run's training as baseline, for the reason WHY")
    group.addoption("--record-dir", default=RECORDS, help=f"folder of the run's JSON record (default: {RECORDS})")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot run, in one sentence, before anything starts."""
    option = config.option
    try:
        option.backends = _backends(option.backend)
        option.networks = networks(option.cases, features=features_of(option.data) if option.data in NAMES else 64)
        _positive("--threads", option.threads)
        recording = option.update_baselines is not None
        option.seeds = (20 if recording else 3) if option.seeds is None else option.seeds
        _positive("--seeds", option.seeds)
        if recording and not option.update_baselines.strip():
            raise BaselineError('A recording needs a reason that a reviewer can read: --update-baselines="why".')
        if recording and option.seeds < baselines.LEAST_SEEDS:
            raise BaselineError(f"A recording needs at least {baselines.LEAST_SEEDS} seeds, because one tells nothing of the spread.")
        if option.device != "cpu" and not option.device.startswith("cuda"):
            raise SpecError(f"--device={option.device} is not known: use cpu, cuda or cuda:0.")
        if option.data not in NAMES:
            raise DataError(f"--data={option.data} is not known: use one of {', '.join(NAMES)}.")
        folder = Path(option.record_dir)
        folder.mkdir(parents=True, exist_ok=True)
        known_failures = known.read()
    except OSError as error:
        raise pytest.UsageError(f"--record-dir={option.record_dir} cannot be used ({error.strerror}): name a folder that can be written.") from None
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    environment = fingerprint(option.device, option.threads)
    options = {name: getattr(option, name) for name in ("cases", "device", "data", "seeds", "threads", "backends")}
    terminal = Terminal(config, environment, options, folder)
    config.pluginmanager.register(terminal, "gradgauge-terminal")
    config.stash[STATE] = State(terminal, environment, known_failures)


@dataclass
class State:
    """What hooks and fixtures of one session share."""

    terminal: Terminal
    environment: dict[str, str]
    known: list[known.Known]
    laboratory: Laboratory | None = None


STATE = pytest.StashKey[State]()


def _backends(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    for name in chosen:
        if name not in BACKENDS:
            raise SpecError(f"--backend={name} is not known: use one or several of {', '.join(BACKENDS)}.")
        package = name.partition("-")[0]
        if importlib.util.find_spec(package) is None:
            raise SpecError(f"--backend={name} needs the package {package}, which is not installed here: install it or leave {name} out.")
    if not chosen:
        raise SpecError(f"--backend is empty: use one or several of {', '.join(BACKENDS)}.")
    return list(dict.fromkeys(chosen))


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise SpecError(f"{name}={value} must be at least 1.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every check on every network and backend it applies to; what does not apply is not collected."""
    option = metafunc.config.option
    if "case" in metafunc.fixturenames:
        against = metafunc.module.AGAINST
        cases = [
            Case(check.name, backend, spec)
            for spec in option.networks
            for backend in option.backends
            for check in CHECKS.values()
            if check.against in against and check.applies(spec, backend)
        ]
        metafunc.parametrize("case", cases, ids=[f"{c.check}-{c.backend}-{option.device}-{c.network}" for c in cases])
    elif "timed_case" in metafunc.fixturenames:
        from bench.timing.cases import timed_cases

        timed = timed_cases(option.cases, option.backends)
        metafunc.parametrize("timed_case", timed, ids=[case.id for case in timed])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Judge network by network, timings last, when nothing trains any more."""
    order = {spec: place for place, spec in enumerate(config.option.networks)}

    def place(item: pytest.Item) -> tuple[int, int]:
        parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        if "case" in parameters:
            return 0, order[parameters["case"].spec]
        return (1 if "timed_case" in parameters else -1), 0

    items.sort(key=place)
    if config.option.update_baselines is not None:
        kept = [item for item in items if "case" in getattr(getattr(item, "callspec", None), "params", {})]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print no file names between our lines."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.showfspath = False


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the workers on the first networks."""
    cases = [item.callspec.params["case"] for item in session.items if "case" in getattr(getattr(item, "callspec", None), "params", {})]
    timed = any("timed_case" in getattr(getattr(item, "callspec", None), "params", {}) for item in session.items)
    if session.config.option.collectonly or not (cases or timed):
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
        laboratory = Laboratory(data, device=option.device, threads=option.threads, seeds=range(first, first + option.seeds))
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
def judged(request: pytest.FixtureRequest, laboratory: Laboratory, record_property: Any) -> Iterator[Any]:
    """A function that judges a case, notes its verdict in the test's report, and fails with the whole story."""
    state: State = request.config.stash[STATE]

    def decide(case: Case) -> None:
        record_property("network", case.network)
        try:
            run = laboratory.run(case.backend, case.spec)
        except WorkerError as error:
            pytest.fail(f"{case.backend} failed on {case.network}: {error}\n{error.trace}", pytrace=False)
        state.terminal.versions[case.backend] = run.seen.versions
        check = CHECKS[case.check]
        if check.against == BASELINE and request.config.option.update_baselines is not None:
            _note(run)
            return
        verdict = judge(check, run)
        if entry := known.apply(verdict, state.known, run.seen.versions):
            state.terminal.concerned.setdefault(entry, []).append(verdict.status)
        record_property("verdict", json.dumps(asdict(verdict)))
        if verdict.status == NO_BASELINE:
            rerun = f'pytest --update-baselines="why" --backend={case.backend} --cases={request.config.option.cases} -k "training"'
            state.terminal.hints.append(f"record a baseline: {rerun}")
        if verdict.status == FAILED:
            pytest.fail(failure(verdict, run, _others(case, run, request, laboratory), _rerun(request), state.environment), pytrace=False)

    yield decide


def _others(case: Case, run: Any, request: pytest.FixtureRequest, laboratory: Laboratory) -> list[Verdict]:
    others = [b for b in request.config.option.backends if b != case.backend and CHECKS[case.check].applies(case.spec, b)]
    return [judge(CHECKS[case.check], laboratory.run(backend, case.spec)) for backend in others]


def _rerun(request: pytest.FixtureRequest) -> str:
    option = request.config.option
    chosen = [f"--{name}={getattr(option, name)}" for name, usual in (("cases", "core"), ("device", "cpu"), ("data", "digits")) if getattr(option, name) != usual]
    return " ".join(["pytest", *chosen, f"'{request.node.nodeid}'"])


def _note(run: Any) -> None:
    """Keep a training's metrics for the recording; a number that is not finite cannot be a baseline."""
    seen = metrics(run)
    bad = [name for name, values in seen.items() if not all(abs(v) < float("inf") for v in values)]
    if bad:
        pytest.fail(f"{run.network} on {run.backend} cannot be recorded: {', '.join(bad)} of some seed is not finite.", pytrace=False)
    run.baseline.new |= {f"{run.data}/{run.network}/{name}": values for name, values in seen.items()}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the workers; write a recording if all else is green; fail a run that judged nothing."""
    state = session.config.stash[STATE]
    if state.laboratory is None:
        return
    state.laboratory.close()
    if session.config.option.update_baselines is not None:
        state.terminal.baseline_changes += _record(session.config, state, exitstatus)
    elif state.terminal.judging and exitstatus == 0 and not any(v.judged for v in state.terminal.verdicts):
        state.terminal.hints.append("This run judged nothing, so it fails: widen -k, -m or --cases.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _record(config: pytest.Config, state: State, exitstatus: int) -> list[str]:
    if exitstatus != 0:
        return ["No baseline was written, because something else failed: mend or explain that first."]
    lines = []
    option, laboratory = config.option, state.laboratory
    assert laboratory is not None
    for backend, baseline in laboratory.baselines.items():
        if not baseline.new:
            continue
        versions = state.terminal.versions.get(backend, {})
        environment = {k: v for k, v in state.environment.items() if k not in baselines.FOREIGN} | versions
        device = baseline.path.stem.removeprefix(baselines.file_name(backend, "").removesuffix(".json"))
        changes = baselines.save(
            baseline, backend=backend, device=device, steps=STEPS, seeds=list(laboratory.seeds), why=option.update_baselines,
            date=datetime.now(UTC).strftime("%Y-%m-%d"), environment=environment,
        )  # fmt: skip
        lines += [f"{baseline.path.name}, old → new:", changes]
    return lines


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Put frameworks, device and threads beside pytest-benchmark's own machine facts."""
    machine_info.update(config.stash[STATE].environment)
