"""Is this machine fit for a run, and if a framework fell back to the CPU, why and what helps?"""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.doctor.causes import Case, explain
from fixtures.machine.nvidia_driver import Driver
from models.worker.process import Worker, WorkerError
from models.worker.tasks.device_probe import DeviceProbe


@dataclass(frozen=True)
class FrameworkReport:
    """What a framework reported; `death` says how its process ended, `output` what it printed."""

    backend: str
    seen: DeviceProbe
    output: str = ""
    death: str = ""


def examine(backend: str) -> FrameworkReport:
    """Ask a framework in a process of its own that sees the first GPU."""
    worker = Worker(backend, device="cuda")
    try:
        return examine_worker(worker)
    finally:
        worker.close()


def examine_worker(worker: Worker) -> FrameworkReport:
    """Ask a worker that runs already."""
    try:
        return FrameworkReport(worker.backend, worker.call("probe_device", DeviceProbe), worker.last_output())
    except WorkerError as error:
        return FrameworkReport(worker.backend, DeviceProbe(), str(error), str(error))


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
