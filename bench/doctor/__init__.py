"""Is this machine fit for a run, and if a framework fell back to the CPU or takes no step, why and what helps?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.doctor.causes import Case, explain
from bench.doctor.step_causes import explain_step
from fixtures.machine.nvidia_driver import EXCLUSIVE, PROHIBITED, Driver
from models.backends.registry import info
from models.matrix import TF32_OVERRIDE
from models.worker.process import Worker, WorkerError
from models.worker.tasks.device_probe import DeviceProbe, StepProbe


@dataclass(frozen=True)
class FrameworkReport:
    """What a framework reported, and its training steps; `death` says how its process ended, `output` what it printed."""

    backend: str
    seen: DeviceProbe
    output: str = ""
    death: str = ""
    steps: list[StepProbe] = field(default_factory=list)


def examine(backend: str, steps: bool = False) -> FrameworkReport:
    """Ask a framework in a process of its own that sees the first GPU, where it takes steps in every mode; `steps` on a CPU, too."""
    worker = Worker(backend, device="cuda")
    try:
        report = examine_worker(worker)
        if (steps or report.seen.on_gpu) and not (report.death or report.seen.error):
            report.steps.extend(_steps(worker, "cuda" if report.seen.on_gpu else "cpu"))
        return report
    finally:
        worker.close()


def examine_worker(worker: Worker) -> FrameworkReport:
    """Ask a worker that runs already."""
    try:
        return FrameworkReport(worker.backend, worker.call("probe_device", DeviceProbe), worker.last_output())
    except WorkerError as error:
        return FrameworkReport(worker.backend, DeviceProbe(), str(error), str(error))


def _steps(worker: Worker, device: str) -> Iterator[StepProbe]:
    """Steps in every mode, as far as the process lives; compilers may end it."""
    for mode in info(worker.backend).modes_on(device):
        try:
            yield worker.call("probe_step", StepProbe, mode=mode, device=device)
        except WorkerError as error:
            yield StepProbe(mode, error=f"{error}\n{worker.last_output()}")
            if not worker.alive:
                return


def step_problems(report: FrameworkReport) -> list[str]:
    """Every mode in which a framework takes no training step, with its cause and remedy."""
    found = []
    for step in report.steps:
        if step.error:
            cause, remedy = explain_step(step.error)
            found.append(f"{report.backend} takes no step in mode {step.mode}: {cause}. Remedy: {remedy}.")
    return found


def gpu_problems(driver: Driver, variables: Mapping[str, str], reports: list[FrameworkReport]) -> list[str]:
    """What would spoil a run on a GPU on which every framework computes: who may use it, and with whose libraries."""
    found = []
    gpu = driver.gpu("cuda")
    if gpu and gpu.mode == PROHIBITED:
        found.append(f"No process may compute on {gpu.name} (compute mode PROHIBITED). Remedy: nvidia-smi -c DEFAULT.")
    if gpu and gpu.mode == EXCLUSIVE and len(reports) > 1:
        found.append(
            f"One process alone may compute on {gpu.name} (exclusive mode), and a run has one for each framework. "
            "Remedy: nvidia-smi -c DEFAULT, or one --backend a run."
        )
    if variables.get(TF32_OVERRIDE) == "1":
        found.append(f"{TF32_OVERRIDE}=1 makes CUDA's libraries multiply in TF32 where float32 is asked. Remedy: unset {TF32_OVERRIDE}.")
    for report in reports:
        found += [
            f"{report.backend} may load another framework's libraries: {pair}. Remedy: give each framework an environment of its own."
            for pair in report.seen.owned_twice
        ]
    return found


def problem(report: FrameworkReport, driver: Driver, variables: Mapping[str, str], require_gpu: bool) -> str:
    """What is wrong with a framework here, its cause and its remedy; or nothing."""
    if report.death:
        last = report.death.strip().splitlines()[-1]
        return f"{report.backend} does not start: {last}. Mend or reinstall it."
    if report.seen.wrong:
        return f"{report.backend} multiplies wrongly: {report.seen.wrong} entries of an exact product differ. Do not trust this device."
    wanted = require_gpu or bool(report.seen.error)
    if not wanted or (report.seen.on_gpu and not report.seen.error):
        return ""
    cause, remedy = explain(Case(report.backend, report.seen, driver, variables, report.output))
    what = "cannot compute here" if report.seen.error else "falls back to the CPU"
    return f"{report.backend} {what}: {cause}. Remedy: {remedy}."
