"""What PyTorch says of itself: builds, devices, memory, threads, versions."""

from __future__ import annotations

import torch

from models.arrays import Array


def peak_device_memory(reset: bool) -> float:
    """The most memory that tensors held on the GPU, in MB, since the last time with `reset`; 0 without a GPU."""
    if not torch.cuda.is_available():
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 2**20
    if reset:
        torch.cuda.reset_peak_memory_stats()
    return peak


def device_memory() -> int:
    """Bytes that tensors hold on the GPU now; 0 without a GPU."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def drain() -> None:
    """Wait until every device has done all it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def gpus() -> list[str]:
    """Names of the GPUs that can be used here."""
    return [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]


def devices() -> list[str]:
    """Devices this framework can use, the CPU first."""
    return ["cpu", *(f"cuda:{n} {name}" for n, name in enumerate(gpus()))]


def built_for() -> str:
    """`CUDA 13.0`, `ROCm 6.4`, or nothing for a build that knows the CPU alone."""
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else ""


def multiplied(matrix: Array) -> tuple[str, Array]:
    """Where the product of a matrix with itself was computed, on the GPU if there is one, and the product."""
    tensor = torch.as_tensor(matrix, device="cuda" if torch.cuda.is_available() else "cpu")
    product = tensor @ tensor
    return str(product.device), product.cpu().numpy()


def configure(threads: int, deterministic: bool = False) -> None:
    """Fix the number of threads and, if asked to, kernels that give the same bits every time, before any work."""
    torch.set_num_threads(threads)
    if deterministic:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False


def versions() -> dict[str, str]:
    """Versions of what this backend runs on."""
    return {"torch": str(torch.__version__), "torch built for CUDA": str(torch.version.cuda or "no")}
