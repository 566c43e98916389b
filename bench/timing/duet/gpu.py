"""What disturbs a GPU during a round, as NVIDIA's management library tells it: throttled clocks and processes that are not ours."""

import importlib

THROTTLED, FOREIGN = "throttled", "foreign process on the device"
THROTTLES = (
    "nvmlClocksThrottleReasonSwThermalSlowdown",
    "nvmlClocksThrottleReasonHwThermalSlowdown",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
    "nvmlClocksThrottleReasonHwSlowdown",
    "nvmlClocksThrottleReasonSwPowerCap",
)
"""Reasons for which a clock is below what was asked for; idling and clocks that an administrator fixed are none."""


class GpuError(RuntimeError):
    """The GPU cannot be watched; the message is one sentence with the remedy."""


class Watch:
    """Asks about one GPU before workers start, when they are ready, and after every round.

    Which processes are ours is told by when they came to the device, because in a container the library's process ids are the
    host's.
    """

    def __init__(self, device: str) -> None:
        """Watch `cuda` or `cuda:1`. Raises GpuError without the library or the device."""
        try:
            self._nvml = importlib.import_module("pynvml")
        except ImportError:
            raise GpuError("A GPU is timed only while it is watched: install nvidia-ml-py, which is in the group gpu.") from None
        try:
            self._nvml.nvmlInit()
            self._handle = self._nvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        except self._nvml.NVMLError as error:
            raise GpuError(f"The driver does not answer for {device} ({error}): check nvidia-smi.") from None
        self._others = self._processes()
        self._own: set[int] = set()

    def before(self) -> None:
        """Workers are about to start: who is on the device now is not ours."""
        self._others, self._own = self._processes(), set()

    def ours(self) -> None:
        """Workers are ready: who has come since is ours."""
        self._own = self._processes() - self._others

    def disturbed(self) -> str:
        """Why the round that has just ended does not count; empty where it does."""
        if self._processes() - self._own:
            return FOREIGN
        reasons = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
        return THROTTLED if any(reasons & getattr(self._nvml, name) for name in THROTTLES) else ""

    def _processes(self) -> set[int]:
        return {process.pid for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
