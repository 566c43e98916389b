"""Why a training step cannot be taken where a product can, and what helps: what compiled steps need beside the framework.

To add one: a row with what frameworks write, the cause and its remedy. The first row that fits is told.
"""

import re
from dataclasses import dataclass

NVCC = "install nvidia-cuda-nvcc-cu12 (tensorflow[and-cuda] brings it), or name CUDA's folder by XLA_FLAGS=--xla_gpu_cuda_data_dir="


@dataclass(frozen=True)
class StepCause:
    """What messages match, the cause, and the remedy."""

    pattern: str
    cause: str
    remedy: str


STEP_CAUSES = (
    StepCause(
        "UNSUPPORTED_PTX_VERSION|PTX was compiled with an unsupported toolchain|unsupported toolchain",
        "the compiler's PTX is newer than this driver reads",
        "update the driver, or install an older nvidia-cuda-nvcc and triton",
    ),
    StepCause("libdevice", "XLA does not find libdevice, CUDA's mathematical functions", NVCC),
    StepCause("ptxas|nvlink", "CUDA's assembler ptxas is not found or does not run", NVCC),
    StepCause(
        "[Cc]annot find a working triton|No module named 'triton'|TritonMissing",
        "torch.compile needs Triton, which is not here",
        "install triton, which CUDA builds of torch bring on Linux",
    ),
    StepCause(
        "Python\\.h",
        "what Triton and torch.compile build includes Python's headers, which are not here",
        "install them (python3-dev), or take a Python that has them",
    ),
    StepCause(
        "[Ff]ailed to find C compiler|InvalidCxxCompiler|No working C\\+\\+ compiler|No such file or directory: '(gcc|g\\+\\+|clang)",
        "there is no C and C++ compiler",
        "install gcc and g++, or name others by CC and CXX",
    ),
    StepCause(
        "CUDA_(ERROR_)?MPS|MPS (client|server|daemon)|cudaErrorMps",
        "CUDA's process sharing (MPS) does not answer",
        "start nvidia-cuda-mps-control, or unset CUDA_MPS_PIPE_DIRECTORY",
    ),
    StepCause(
        "busy or unavailable|DEVICE_UNAVAILABLE|DevicesUnavailable",
        "another process has this GPU alone",
        "end that process, or set nvidia-smi -c DEFAULT",
    ),
    StepCause(
        "[Cc]u[Dd][Nn][Nn][^\n]*(version|[Mm]ismatch|incompatib)|CUDNN_STATUS_(NOT_INITIALIZED|SUBLIBRARY|VERSION)",
        "cuDNN is not the one that this framework was built for",
        "give the framework an environment of its own (tox -e gpu does), and take other folders out of LD_LIBRARY_PATH",
    ),
    StepCause(
        "out of memory|RESOURCE_EXHAUSTED|OUT_OF_MEMORY",
        "the memory is taken",
        "end the processes that hold it, or choose another device",
    ),
)


def explain_step(message: str) -> tuple[str, str]:
    """Cause and remedy of a step that failed with this message; the framework's own first line where no row fits."""
    for row in STEP_CAUSES:
        if re.search(row.pattern, message):
            return row.cause, row.remedy
    first = next((line.strip() for line in message.splitlines() if line.strip()), "it does not say why")
    return first, "see that this framework's own first example runs here"
