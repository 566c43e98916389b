"""Is this machine fit for a run, and if a framework fell back to the CPU, why and what helps?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.doctor.causes import Case, explain
from fixtures.machine.nvidia_driver import Driver
from models.worker.process import Worker, WorkerError
from models.worker.tasks.device_probe import Examined


@dataclass(frozen=True)
class ReferenceResult:
    """What a framework said; `died` where its process ended, `words` what it printed."""

    backend: str
    seen: Examined
    words: str = ""
    died: str = ""


def examined(backend: str) -> ReferenceResult:
    """Ask a framework in a process of its own that sees every device."""
    worker = Worker(backend, device="cuda")
    try:
        return answered(worker)
    finally:
        worker.close()


def answered(worker: Worker) -> ReferenceResult:
    """Ask a worker that runs already."""
    try:
        return ReferenceResult(worker.backend, worker.call("examine", Examined), worker.last_output())
    except WorkerError as error:
        return ReferenceResult(worker.backend, Examined(), str(error), str(error))


def problem(answer: ReferenceResult, driver: Driver, variables: Mapping[str, str], require_gpu: bool) -> str:
    """What is wrong with a framework here, its cause and its remedy; or nothing."""
    if answer.died:
        last = answer.died.strip().splitlines()[-1]
        return f"{answer.backend} does not start: {last}. Mend or reinstall it."
    if answer.seen.wrong:
        return f"{answer.backend} multiplies wrongly: {answer.seen.wrong} entries of an exact product differ. Do not trust this device."
    wanted = require_gpu or bool(answer.seen.error)
    if not wanted or (answer.seen.on_gpu and not answer.seen.error):
        return ""
    cause, remedy = explain(Case(answer.backend, answer.seen, driver, variables, answer.words))
    what = "cannot compute here" if answer.seen.error else "falls back to the CPU"
    return f"{answer.backend} {what}: {cause}. Remedy: {remedy}."
