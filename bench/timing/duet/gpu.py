"""What disturbs a GPU during a round, as NVIDIA's management library tells it: throttled clocks and processes that are not ours."""

import importlib
from collections.abc import Callable

from fixtures.machine import nvidia_driver
from fixtures.machine.gpu_lock import identity

THROTTLED, FOREIGN = "throttled", "foreign process on the device"
THROTTLES = (
    "nvmlClocksThrottleReasonSwThermalSlowdown",
    "nvmlClocksThrottleReasonHwThermalSlowdown",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
    "nvmlClocksThrottleReasonHwSlowdown",
)
"""Reasons for which a clock falls for a while; idling and clocks that an administrator fixed are none. Neither is the power cap, at which
small GPUs work all the time: it is the same for both sides, and noted."""
POWER_CAP = "nvmlClocksThrottleReasonSwPowerCap"


class GpuError(RuntimeError):
    """The GPU cannot be watched; the message is one sentence with the remedy."""


class Watch:
    """Asks about one GPU before workers start, when they are ready, and after every round.

    Which processes are ours is told by when they came to the device, because in a container the library's process ids are the
    host's. What the driver refuses to tell is not asked again, and stands in `notes`.
    """

    def __init__(self, device: str) -> None:
        """Watch the GPU that workers on `cuda` or `cuda:1` will see. Raises GpuError without the library or the device."""
        try:
            self._nvml = importlib.import_module("pynvml")
        except ImportError:
            raise GpuError("A GPU is timed only while it is watched: install nvidia-ml-py, which is in the group gpu.") from None
        driver = nvidia_driver.ask()
        gpu = driver.gpu(device)
        if gpu is None:
            reason = driver.problem or "no GPU of its has that number or name"
            raise GpuError(f"The driver does not answer for {device} ({reason}): check nvidia-smi -L and CUDA_VISIBLE_DEVICES.")
        try:
            self._nvml.nvmlInit()
            self._gpu = self._nvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
            part = identity(device)
            self._part = self._nvml.nvmlDeviceGetHandleByUUID(part) if part in gpu.instances else self._gpu
        except self._nvml.NVMLError as error:
            raise GpuError(f"The driver does not answer for {device} ({error}): check nvidia-smi.") from None
        self._rounds = self._capped = 0
        self._tells_processes, self._tells_clocks = self._answers(self._running), self._answers(self._reasons)
        self._others: set[int] = set()
        self._own: set[int] = set()

    def before(self) -> None:
        """Workers are about to start: who is on the device now is not ours."""
        self._others, self._own = self._processes(), set()

    def ours(self) -> None:
        """Workers are ready: who has come since is ours."""
        self._own = self._processes() - self._others

    def disturbed(self) -> str:
        """Why the round that has just ended does not count; empty where it does. Raises GpuError where the driver has gone."""
        self._rounds += 1
        try:
            if self._processes() - self._own:
                return FOREIGN
            reasons = self._reasons() if self._tells_clocks else 0
        except self._nvml.NVMLError as error:
            raise GpuError(f"The driver answers no more ({error}): check nvidia-smi.") from None
        if any(reasons & getattr(self._nvml, name) for name in THROTTLES):
            return THROTTLED
        self._capped += bool(reasons & getattr(self._nvml, POWER_CAP))
        return ""

    def notes(self) -> list[str]:
        """What a reader must know of this GPU's rounds."""
        silent = {
            "which processes compute on this GPU": self._tells_processes,
            "whether this GPU's clocks are throttled": self._tells_clocks,
        }
        found = [f"The driver does not tell {what}, so no round was dropped for that." for what, told in silent.items() if not told]
        if self._capped:
            found.append(f"{self._capped} of {self._rounds} rounds ran at the GPU's power cap.")
        return found

    def _answers(self, question: Callable[[], object]) -> bool:
        try:
            question()
        except self._nvml.NVMLError:
            return False
        return True

    def _running(self) -> set[int]:
        return {process.pid for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._part)}

    def _processes(self) -> set[int]:
        return self._running() if self._tells_processes else set()

    def _reasons(self) -> int:
        return int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._gpu))
