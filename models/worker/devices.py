"""Which device a worker sees, and how it is asked for deterministic kernels: environment variables, set before a framework loads."""

from __future__ import annotations

import os
import re

VISIBLE = "CUDA_VISIBLE_DEVICES"


class DeviceError(ValueError):
    """A device that is not there; the message is one sentence with the remedy."""


def kind(device: str) -> str:
    """`cpu` or `cuda`: what a worker calls its device, since it sees no other."""
    return device.partition(":")[0]


def refuse_unknown(device: str) -> None:
    """Raise DeviceError for what names no device, or one beyond those that `CUDA_VISIBLE_DEVICES` shows."""
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,4})?", device):
        raise DeviceError(f"--device={device} is not known: use cpu, cuda or cuda:0.")
    variables(device)


def refuse_threads(threads: int) -> None:
    """Raise DeviceError for fewer threads than one, or more than there are cores: libraries abort where threads cannot be started."""
    cores = os.cpu_count() or 1
    if not 1 <= threads <= cores:
        raise DeviceError(f"--threads={threads} must be at least 1 and at most {cores}, the cores of this machine.")


def visible() -> list[str] | None:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; None where it names none."""
    named = os.environ.get(VISIBLE)
    return None if named is None else [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]


def variables(device: str, deterministic: bool = False) -> dict[str, str]:
    """What a worker on `device` finds in its environment, where the user has not set it otherwise.

    `cpu` hides every GPU, `cuda` all but the first visible one and `cuda:1` all but the second, since frameworks begin work on every
    GPU that they see. Two frameworks share a GPU, so neither takes all its memory at once. Raises DeviceError for a number beyond the
    visible devices.
    """
    if device == "cpu":
        return {VISIBLE: "", "JAX_PLATFORMS": "cpu"}
    chosen = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as the driver counts, so that a number means the same GPU to all
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "CUDA_CACHE_MAXSIZE": str(4 * 2**30),  # bytes of compiled kernels; the usual 1 GiB may not hold those of two frameworks
    }
    if deterministic:
        chosen |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TF_CUDNN_USE_AUTOTUNE": "0"}
    chosen = {name: os.environ.get(name, value) for name, value in chosen.items()}
    if deterministic:
        flags = os.environ.get("XLA_FLAGS", "").split()
        chosen["XLA_FLAGS"] = " ".join([*flags, "--xla_gpu_deterministic_ops=true"])
    _, _, number = device.partition(":")
    if number or visible() != []:  # where all are hidden, the doctor says so
        chosen[VISIBLE] = _nth(int(number or 0), device)
    return chosen


def _nth(number: int, device: str) -> str:
    seen = visible()
    if seen is None:
        return str(number)
    if number >= len(seen):
        raise DeviceError(f"{device} was asked for, but {VISIBLE} shows {len(seen)}: choose a smaller number or show more devices.")
    return seen[number]
