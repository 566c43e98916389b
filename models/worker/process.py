"""A framework in a process of its own, asked over a pipe.

The judging process never imports a framework, two frameworks train at the same time on two cores, and a crash is
an answer with the worker's last words instead of the end of the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.backends.registry import info
from models.worker import devices, messages

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that say how many threads to use. JAX has one as well, PJRT_NPROC, but on one thread its trainings hung."""
LAST_WORDS = 2000
"""How many characters of a dead worker's output are kept."""


class WorkerError(RuntimeError):
    """What was asked failed inside the worker; `trace` is its traceback there."""

    def __init__(self, message: str, trace: str = "") -> None:
        """Keep the worker's own words and traceback."""
        super().__init__(message)
        self.trace = trace


class WorkerLacks(WorkerError):
    """The worker's framework does not have a part that was asked for."""


class WorkerDied(WorkerError):
    """The worker's process ended: a signal, an exit or too little memory."""


def environment(backend: str, device: str, deterministic: bool = False) -> dict[str, str]:
    """Environment variables of a worker: which Keras backend, quiet logs, and no device in sight but its own. Raises DeviceError."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"), "PYTHONHASHSEED": "0"}
    return variables | dict(info(backend).variables) | devices.variables(device, deterministic)


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
        python: str = sys.executable,
        path: str = "",
    ) -> None:
        """Start the process, with `path` first where it looks for packages; it imports its framework while the caller goes on.

        `deterministic` asks the framework for kernels that give the same bits every time. Raises DeviceError.
        """
        self.backend = backend
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        variables = environment(backend, device, deterministic) | {name: str(threads) for name in THREADS}
        if path:
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [python, "-m", "models.worker.server", backend, str(threads), *(["deterministic"] if deterministic else [])],
            cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True,
        )  # fmt: skip
        self._turns = ThreadPoolExecutor(1, thread_name_prefix=f"worker-{backend}")
        self._closing = threading.Event()

    @property
    def pid(self) -> int:
        """Process id, for memory readings."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def peak_memory(self) -> float:
        """Largest resident memory so far, in MB; 0 where the system does not tell."""
        return peak_memory(self.pid)

    def submit(self, do: str, kind: Any = Any, /, **arguments: Any) -> Future[Any]:
        """Ask, and get a future answer of type `kind`; a single dataclass can be passed as `job`."""
        return self._turns.submit(self._ask, do, kind, arguments.get("job", arguments))

    def call(self, do: str, kind: Any = Any, /, **arguments: Any) -> Any:
        """Ask and wait. Raises WorkerError with the worker's words, WorkerDied when its process is gone."""
        return self.submit(do, kind, **arguments).result()

    def _ask(self, do: str, kind: Any, arguments: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        try:
            messages.send(self._process.stdin, {"do": do, "with": arguments})  # type: ignore[arg-type]
            answer = messages.receive(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, OSError):
            raise WorkerDied(f"the {self.backend} worker was stopped" if self._closing.is_set() else self._epitaph()) from None
        except messages.NoMessageError as garbage:
            os.set_blocking(self._process.stdout.fileno(), False)
            said = garbage.said + (self._process.stdout.read(LAST_WORDS) or b"")
            self._kill()
            words = f"{said.decode(errors='replace')} {self.last_words()}".strip()
            raise WorkerDied(f"the {self.backend} worker printed what is no message; its last output: {words[:LAST_WORDS]}") from None
        if "error" in answer:
            raise (WorkerLacks if answer["absent"] else WorkerError)(answer["error"], answer["trace"])
        return messages.as_kind(answer["ok"], kind)

    def _kill(self) -> None:
        """With all that it has started itself, such as the processes that compile for torch.compile."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _epitaph(self) -> str:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        return f"the {self.backend} worker {how}; its last output: {self.last_words() or '(none)'}"

    def last_words(self) -> str:
        """The end of what the worker printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LAST_WORDS))
        return self._log.read().decode(errors="replace").strip()

    def close(self) -> None:
        """End the process at once and forget what was still asked; the second time is nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._kill()
        self._process.wait()
        self._turns.shutdown(wait=True, cancel_futures=True)  # whoever waits for an answer now reads the end of the pipe
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # a half-written request cannot be flushed to the dead
                stream.close()  # type: ignore[union-attr]
        self._log.close()
