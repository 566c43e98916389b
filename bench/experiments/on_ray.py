"""Cells on a Ray cluster: one task a cell. What is lost with a worker or a node, Ray runs again; there is no scheduler of our own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from bench.experiments.cell import Cell
from bench.experiments.record import Result
from bench.experiments.sources import Sources
from bench.experiments.train import Progress, train_alone
from bench.imported import ROOT
from models.backends.registry import BackendError
from models.worker.process import WorkerDied, WorkerError

AGAIN = 3
"""How often Ray runs a cell again whose process or node is gone."""
LOCAL = "local"
"""The address that starts a cluster on this machine."""


class RayPool:
    """As `bench.experiments.train.Pool`, on a cluster whose nodes have this environment, and this checkout in PYTHONPATH."""

    def __init__(self, address: str, data: Sources, device: str, progress: Progress, keep: Callable[[Cell, Result], object]) -> None:
        """`keep` is called with each result as soon as it is there. Raises BackendError without Ray."""
        try:
            self._ray: Any = importlib.import_module("ray")  # optional, and without types
        except ImportError as error:
            raise BackendError(
                f"--ray needs the package ray, which cannot be imported here ({error}): install it, or leave --ray out."
            ) from None
        self._address, self._data, self._device, self._progress, self._keep = address, data, device, progress, keep
        self.failed: dict[Cell, str] = {}

    def run(self, cells: list[Cell], slots: int) -> None:
        """Train every cell; `slots` is the size of a local cluster. Raises BackendError where no cluster answers."""
        ray = self._ray
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))  # what a local cluster inherits
        cpus = {"num_cpus": slots, "include_dashboard": False} if self._address == LOCAL else {}
        try:
            ray.init(address=self._address, log_to_driver=False, **cpus)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BackendError(
                f"--ray={self._address} does not answer ({str(error).splitlines()[0]}): name another address, or local."
            ) from None
        try:
            data = {name: ray.put(source) for name, source in self._data.items()}
            gpus = {"num_gpus": 1} if self._device != "cpu" else {}
            task = ray.remote(num_cpus=1, max_retries=AGAIN, retry_exceptions=[WorkerDied], **gpus)(train_alone)
            waiting = {task.remote(cell, data[cell.row.data], self._device): cell for cell in cells}
            while waiting:
                (done, *_), _ = ray.wait(list(waiting), num_returns=1)
                self._take(waiting.pop(done), done)
        finally:
            ray.shutdown()

    def _take(self, cell: Cell, done: Any) -> None:
        try:
            result = self._ray.get(done)
        except (WorkerError, self._ray.exceptions.RayError) as error:
            self.failed[cell] = str(getattr(error, "cause", None) or error)
            return
        for number, accuracy in enumerate(result.accuracy, start=1):
            self._progress(cell, number, accuracy)
        self._keep(cell, result)
