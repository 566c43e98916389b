"""The worker's side: one framework in one process, doing what it is asked until its input closes.

Run as `python -m models.worker.server BACKEND THREADS [deterministic]`; messages come on standard input and go to what was standard output.
Whatever frameworks print goes to standard error, so it can never be mistaken for a message.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from models.backends.registry import Absent, backend_module
from models.observation import Job
from models.own.address import OwnModel
from models.own.gauge import OwnError
from models.own.observation import OwnJob
from models.own.training import OwnTraining
from models.spec import Spec, SpecError
from models.spent import WORKER
from models.worker import messages
from models.worker.network_cache import NetworkCache
from models.worker.tasks import overhead, own, scenarios, scripts
from models.worker.tasks.aligned import AlignedSide
from models.worker.tasks.device_probe import probe_device, probe_step
from models.worker.tasks.epochs import Epochs
from models.worker.tasks.observe import draw_own, observe, observe_seeds
from models.worker.tasks.step_timer import StepTimer

STAGES = {"observe": "other of networks", "observe_seeds": "other of networks", "scenario": "equalities", "draw": "initializer draws"}
"""What a task's time is spent on, where its name does not say so, beside the stages within."""
PARENT_LOOKED_FOR = 1.0
"""Seconds between two looks for the parent."""
Task = Callable[[dict[str, Any]], object]
"""What is done with the arguments of a request."""


def serve(backend: str, threads: int, deterministic: bool, inputs: BinaryIO, outputs: BinaryIO) -> None:
    """Answer `{"do": name, "with": arguments}` with `{"ok": result}` or `{"error": …, "trace": …}` until end of file."""
    framework = backend_module(backend)
    framework.configure(threads, deterministic)
    gc.collect()
    gc.freeze()  # a framework is hundreds of thousands of objects that stay: no later collection need walk them
    WORKER.charge("imports", time.process_time())
    timer, cache, epochs, aligned = StepTimer(framework), NetworkCache(), Epochs(framework), AlignedSide(framework)
    tasks: dict[str, Task] = {
        "observe": lambda given: observe(messages.as_kind(given, Job), cache.network),
        "observe_seeds": lambda given: observe_seeds(messages.as_kind(given["jobs"], list[Job]), cache.network),
        "examine": lambda given: own.examine(framework, messages.as_kind(given["own"], OwnJob)),
        "train_own": lambda given: own.train(framework, messages.as_kind(given["own"], OwnTraining)),
        "aligned": lambda given: aligned.take(given["own"], given["given"]),
        "draw": lambda given: draw_own(framework, **given),
        "activate": lambda given: framework.activate(Spec.parse(given["spec"]), given["x"]),
        "versions": lambda given: framework.versions(),
        "devices": lambda given: framework.devices(),
        "probe_device": lambda given: probe_device(framework),
        "probe_step": lambda given: probe_step(framework, **given),
        "bare": lambda given: overhead.bare(framework, **given),
        "overhead": lambda given: overhead.interleave(framework, **given),
        "probe": lambda given: overhead.probe(framework, **given),
        "scenario": lambda given: scenarios.take(backend, given["scenario"], given["with"]),
        "script": lambda given: scripts.write(backend, **given),
        "prepare_own": lambda given: timer.prepare_own(**given | {"model": messages.as_kind(given["model"], OwnModel)}),
        **_by_name(timer, "prepare", "control", "rate", "memory", "block", "timed_block", "plant", "begin_peaks", "peaks", "forget"),
        **_by_name(epochs, "hold", "begin", "epoch", "refresh", "renew", "in_time"),
    }
    while True:
        try:
            request: dict[str, Any] = messages.receive(inputs, WORKER)
        except EOFError:
            return
        try:
            with WORKER.stage(STAGES.get(request["do"], request["do"])):
                answer: dict[str, object] = {"ok": tasks[request["do"]](request["with"])}
        except Exception as error:  # the other side decides what a failure means, and needs its words
            known = isinstance(error, (SpecError, ValueError, RuntimeError)) and type(error).__module__.startswith("models")
            answer = {"error": str(error) if known else f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            answer["absent"], answer["complete"] = isinstance(error, Absent), isinstance(error, OwnError)
        messages.send(outputs, answer | {"spent": WORKER.take()})


def _by_name(of: object, *names: str) -> dict[str, Task]:
    """Tasks that are functions of an object, by their names."""
    return {name: partial(_call, of, name) for name in names}


def _call(of: object, name: str, given: dict[str, Any]) -> object:
    return getattr(of, name)(**given)


def end_with(parent: int) -> None:
    """End this process, whatever it is doing, once its parent is gone: a judge that was killed cannot end its workers."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOKED_FOR)
    os._exit(1)


def main() -> None:
    """Keep the message channel for ourselves and serve."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers itself
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.argv[1], int(sys.argv[2]), "deterministic" in sys.argv[3:], sys.stdin.buffer, channel)


if __name__ == "__main__":
    main()
