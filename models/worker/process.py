"""A framework in a process of its own, asked over a pipe.

The judging process never imports a framework, two frameworks train at the same time on two cores, and a crash or a hang is
an answer with the worker's last output instead of the end of the run.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, overload

from models.backends.registry import PYTHON_OF, info, python_of
from models.observation import Job
from models.spent import JUDGE, WORKERS
from models.worker import devices, messages
from models.worker.watchdog import SILENT, Watchdog, longest

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that say how many threads to use. JAX has one as well, PJRT_NPROC, but on one thread its trainings hung."""
KEPT_OUTPUT = 2000
"""How many characters of a dead worker's output are kept."""
Answer = TypeVar("Answer")


class WorkerError(RuntimeError):
    """What was asked failed inside the worker; `trace` is its traceback there. One that is `complete` says all in its message."""

    def __init__(self, message: str, trace: str = "", complete: bool = False) -> None:
        """Keep the worker's own message and traceback."""
        super().__init__(message)
        self.trace, self.complete = trace, complete


class WorkerLacks(WorkerError):
    """The worker's framework does not have a part that was asked for."""


class WorkerDied(WorkerError):
    """The worker's process ended: a signal, an exit or too little memory."""


class WorkerHung(WorkerDied):
    """The worker's process did not answer and was killed."""


def environment(backend: str, device: str, deterministic: bool = False) -> dict[str, str]:
    """Environment variables of a worker: which Keras backend, quiet logs, and no device in sight but its own. Raises DeviceError.

    Why TensorFlow does not use a GPU stands in its warnings, which are therefore kept where one was asked for.
    """
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2" if device == "cpu" else "1")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PYTHON_OF)}
    variables = {**inherited, "TF_CPP_MIN_LOG_LEVEL": level, "PYTHONHASHSEED": "0"}
    return variables | dict(info(backend).variables) | devices.variables(device, deterministic)


@contextlib.contextmanager
def interrupted_later() -> Iterator[None]:
    """Ctrl-C waits for the end of what is inside, and is raised there.

    A process that has begun and is not yet known to anybody would go on after its parent was interrupted. Threads other than the
    main one are never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        signal.raise_signal(signal.SIGINT)


def peak_memory(pid: int) -> float:
    """Largest resident memory of a process so far, in MB; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


def resident(pids: list[int]) -> float:
    """Memory that processes hold together now, in MB, pages that they share counted once; 0 where the system does not tell."""
    total = 0.0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        total += next((int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0.0)
    return total


class Worker:
    """One process that runs `backend` on `threads` threads; requests are answered in order."""

    def __init__(
        self,
        backend: str,
        *,
        device: str = "cpu",
        threads: int = 1,
        deterministic: bool = False,
        python: str = "",
        path: str = "",
        variables: Mapping[str, str] | None = None,
        silent: float = SILENT,
        deadline: float = 0.0,
    ) -> None:
        """Start the process, with `path` first where it looks for packages, and with these environment `variables`.

        It imports its framework while the caller goes on. Without `python` it runs in the backend's own (`registry.python_of`), or in this.

        `deterministic` asks the framework for kernels that give the same bits every time. A process is killed that uses no processor
        for `silent` seconds while it is asked for something, or that takes longer than `deadline` (0: what fits the task).
        Raises DeviceError.
        """
        self.backend, self._silent, self._deadline = backend, silent, deadline
        self.spent = WORKERS.setdefault(backend, Counter())
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        surroundings = environment(backend, device, deterministic) | {name: str(threads) for name in THREADS} | dict(variables or {})
        if path:
            surroundings["PYTHONPATH"] = os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))
        self._requests = ThreadPoolExecutor(1, thread_name_prefix=f"worker-{backend}")
        self._last: Future[Any] | None = None
        self._closing = threading.Event()
        words = [
            python or python_of(backend) or sys.executable,
            "-m",
            "models.worker.server",
            backend,
            str(threads),
            *(["deterministic"] if deterministic else []),
        ]
        try:
            with interrupted_later():
                self._process = subprocess.Popen(
                    words,
                    cwd=ROOT,
                    env=surroundings,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._log,
                    start_new_session=True,
                )
        except KeyboardInterrupt:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id, for memory readings."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether something that was asked for has no answer yet."""
        return self._last is not None and not self._last.done()

    def peak_memory(self) -> float:
        """Largest resident memory so far, in MB; 0 where the system does not tell."""
        return peak_memory(self.pid)

    @overload
    def submit(self, do: str, kind: type[Answer], /, **arguments: object) -> Future[Answer]: ...

    @overload
    def submit(self, do: str, kind: object = ..., /, **arguments: object) -> Future[Any]: ...

    def submit(self, do: str, kind: object = Any, /, **arguments: object) -> Future[Any]:  # each task has arguments of its own
        """Ask, and get a future answer of type `kind`; a single dataclass can be passed as `job`."""
        given = arguments.get("job", arguments)
        assert isinstance(given, (Job, dict)), "a job is one, or is written as one"
        self._last = self._requests.submit(self._ask, do, kind, given)
        return self._last

    @overload
    def call(self, do: str, kind: type[Answer], /, **arguments: object) -> Answer: ...

    @overload
    def call(self, do: str, kind: object = ..., /, **arguments: object) -> Any: ...

    def call(self, do: str, kind: object = Any, /, **arguments: object) -> Any:
        """Ask and wait. Raises WorkerError with the worker's own message, WorkerDied when its process is gone, WorkerHung when it hung."""
        return self.submit(do, kind, **arguments).result()

    def _ask(self, do: str, kind: object, arguments: Job | dict[str, Any]) -> object:
        watchdog = Watchdog(self.pid, self._silent, self._deadline or longest(arguments), self._kill)
        try:
            with watchdog:
                answer = self._exchange({"do": do, "with": arguments})
        except (EOFError, OSError):
            if self._closing.is_set():
                raise WorkerDied(f"the {self.backend} worker was stopped") from None
            self._process.wait()  # its pipes close before it has ended
            if watchdog.reason:
                about = f" ({subject})" if (subject := subject_of(arguments)) else ""
                hung = f"the {self.backend} worker {watchdog.reason} in {do}{about} and was killed"
                raise WorkerHung(f"{hung}; its last output: {self.last_output() or '(none)'}") from None
            raise WorkerDied(self._how_it_ended()) from None
        self.spent.update({(subject_of(arguments), stage): seconds for stage, seconds in answer.get("spent", {}).items()})
        if "error" in answer:
            raise (WorkerLacks if answer["absent"] else WorkerError)(answer["error"], answer["trace"], answer["complete"])
        with JUDGE.stage("messages"):
            return messages.as_kind(answer["ok"], kind)

    def _exchange(self, request: dict[str, object]) -> messages.Message:
        assert isinstance(self._process.stdin, io.BufferedWriter)
        assert isinstance(self._process.stdout, io.BufferedReader)
        try:
            messages.send(self._process.stdin, request, JUDGE)
            return messages.receive(self._process.stdout, JUDGE)
        except messages.NoMessageError as garbage:
            os.set_blocking(self._process.stdout.fileno(), False)
            printed = garbage.printed + (self._process.stdout.read(KEPT_OUTPUT) or b"")
            self._kill()
            self._process.wait()
            text = f"{printed.decode(errors='replace')} {self.last_output()}".strip()
            raise WorkerDied(f"the {self.backend} worker printed what is no message; its last output: {text[:KEPT_OUTPUT]}") from None

    def _kill(self) -> None:
        """With all that it has started itself, such as the processes that compile for torch.compile."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        return f"the {self.backend} worker {how}; its last output: {self.last_output() or '(none)'}"

    def last_output(self) -> str:
        """The end of what the worker printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - KEPT_OUTPUT))
        return self._log.read().decode(errors="replace").strip()

    def close(self) -> None:
        """End the process at once and forget what was still asked; the second time is nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._kill()
        self._process.wait()
        self._requests.shutdown(wait=True, cancel_futures=True)  # whoever waits for an answer now reads the end of the pipe
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # a half-written request cannot be flushed to the dead
                stream.close()  # type: ignore[union-attr]
        self._log.close()


def subject_of(arguments: Job | dict[str, Any]) -> str:
    """What a task was about: a network, an equality's scenario; empty where it does not say so."""
    if isinstance(arguments, Job):
        return arguments.spec.id
    if arguments.get("jobs"):
        return str(arguments["jobs"][0].spec.id)
    return str(next((arguments[name] for name in ("spec", "network", "scenario", "name") if name in arguments), ""))
