"""Why a framework does not compute on a GPU, and what helps: the first cause that fits, from the outermost inwards.

To add one: a function of a `Case` that returns cause and remedy or nothing, and its place in CAUSES.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fixtures.machine.nvidia_driver import Driver
from models.backends.registry import info
from models.worker.devices import VISIBLE
from models.worker.tasks.device_probe import DeviceProbe

Explanation = tuple[str, str]
"""A cause and its remedy."""


@dataclass(frozen=True)
class Case:
    """A framework that is not on the GPU: its backend, what it said, the driver, the environment variables, its output."""

    backend: str
    seen: DeviceProbe
    driver: Driver
    variables: Mapping[str, str]
    output: str = ""


def built_without(case: Case) -> Explanation | None:
    """The wheel knows no GPU."""
    if case.seen.built_for:
        return None
    row = info(case.backend)
    remedy = f"install {row.gpu_build}" if row.gpu_build else "it has no GPU build: use --device=cpu, or choose another --backend"
    return f"this {row.library} was built for the CPU alone", remedy


def hidden(case: Case) -> Explanation | None:
    """An environment variable hides every device."""
    named = case.variables.get(VISIBLE)
    if named is not None and named.strip() in ("", "-1", "NoDevFiles", "none", "void"):
        return f"{VISIBLE}={named!r} hides every GPU", f"unset {VISIBLE}, or name the devices in it"
    platforms = case.variables.get("JAX_PLATFORMS", "")
    if info(case.backend).library == "jax" and platforms and not re.search("cuda|gpu", platforms):
        return f"JAX_PLATFORMS={platforms!r} leaves JAX no GPU", "unset JAX_PLATFORMS"
    return None


def misnamed(case: Case) -> Explanation | None:
    """CUDA_VISIBLE_DEVICES, which `--device=cuda:1` sets for a worker, begins with a device that is not there; CUDA then shows none."""
    first = case.variables.get(VISIBLE, "").partition(",")[0].strip()
    if not first or not case.driver.gpus:
        return None
    there = int(first) < len(case.driver.gpus) if first.isdigit() else first.startswith("MIG") or _is_one(first, case.driver)
    if there:
        return None
    numbers = " … ".join(dict.fromkeys(("0", str(len(case.driver.gpus) - 1))))
    return f"{VISIBLE} begins with {first}, which the driver does not have", f"choose out of {numbers}, by {VISIBLE} or --device=cuda:0"


def _is_one(uuid: str, driver: Driver) -> bool:
    return any(gpu.uuid.startswith(uuid) for gpu in driver.gpus)


def no_driver(case: Case) -> Explanation | None:
    """No driver answers."""
    if not case.driver.problem or "not asked" in case.driver.problem:
        return None
    return case.driver.problem, "install the NVIDIA driver, or start the container with its GPUs (docker run --gpus all)"


def driver_too_old(case: Case) -> Explanation | None:
    """A driver runs wheels of its own CUDA major version and of older ones (CUDA minor version compatibility)."""
    major = re.match(r"CUDA (\d+)", case.seen.built_for)
    if not major or not case.driver.version or int(major[1]) <= case.driver.cuda[0]:
        return None
    newest, name = ".".join(map(str, case.driver.cuda)), info(case.backend).library
    return (
        f"driver {case.driver.version} runs CUDA up to {newest}, and this {name} was built for {case.seen.built_for}",
        f"update the driver, or install a build for CUDA {case.driver.cuda[0]}",
    )


def libraries_missing(case: Case) -> Explanation | None:
    """The framework looked for CUDA's libraries and did not find them all."""
    if not re.search(r"Cannot dlopen some GPU libraries|Unable to load (cu\w+|CUDA)|[Cc]ould not (load|find)[^\n]*lib(cu|nv)", case.output):
        return None
    return "CUDA's libraries are not all found", f"install {info(case.backend).gpu_build or 'the CUDA libraries'}, which bring them"


def no_code(case: Case) -> Explanation | None:
    """The wheel has no code for this GPU's generation."""
    if "no kernel image" not in case.seen.error and "no kernel image" not in case.output:
        return None
    cards = ", ".join(f"{gpu.name} (sm_{gpu.capability[0]}{gpu.capability[1]})" for gpu in case.driver.gpus) or "this GPU"
    return f"this {info(case.backend).library} holds no code for {cards}", "install a release that supports this generation of GPU"


def full(case: Case) -> Explanation | None:
    """Others hold the memory."""
    if not re.search(r"out of memory|RESOURCE_EXHAUSTED|CUDA_ERROR_OUT_OF_MEMORY", case.seen.error + case.output):
        return None
    others = [str(pid) for gpu in case.driver.gpus for pid in gpu.processes]
    return (
        "the GPU's memory is taken",
        f"end the processes that hold it ({', '.join(others) or 'not seen here'}), or choose another device",
    )


CAUSES: tuple[Callable[[Case], Explanation | None], ...] = (
    built_without, hidden, no_driver, misnamed, driver_too_old, libraries_missing, no_code, full,
)  # fmt: skip


def explain(case: Case) -> Explanation:
    """The first cause that fits; where none does, the framework's own message."""
    for cause in CAUSES:
        if found := cause(case):
            return found
    own = case.seen.error or next((line for line in reversed(case.output.splitlines()) if re.search("cuda|gpu", line, re.IGNORECASE)), "")
    return (
        own or "it lists no GPU and does not say why",
        "see that a small CUDA program runs here at all, such as the driver's own nvidia-smi",
    )
