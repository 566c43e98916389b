"""Is this machine fit for a run, and if a framework fell back to the CPU, why and what helps?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.doctor.causes import Case, explain
from fixtures.driver import Driver
from models.examination import Examined
from models.worker import Worker, WorkerError


@dataclass(frozen=True)
class Answer:
    """What a framework said; `died` where its process ended, `words` what it printed."""

    backend: str
    seen: Examined
    words: str = ""
    died: str = ""


def examined(backend: str) -> Answer:
    """Ask a framework in a process of its own that sees every device."""
    worker = Worker(backend, device="cuda")
    try:
        return answered(worker)
    finally:
        worker.close()


def answered(worker: Worker) -> Answer:
    """Ask a worker that runs already."""
    try:
        return Answer(worker.backend, worker.call("examine", Examined), worker.last_words())
    except WorkerError as error:
        return Answer(worker.backend, Examined(), str(error), str(error))


def problem(answer: Answer, driver: Driver, variables: Mapping[str, str], require_gpu: bool) -> str:
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
