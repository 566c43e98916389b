"""GPUs that are not there: an NVML that answers for cards as they are told to be, and refuses what a card refuses."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from typing import Any

POWER_CAP, SLOWED, WARM, HOT, BRAKED = 0x4, 0x8, 0x20, 0x40, 0x80
REASONS = {
    "SwPowerCap": POWER_CAP, "HwSlowdown": SLOWED, "SwThermalSlowdown": WARM, "HwThermalSlowdown": HOT, "HwPowerBrakeSlowdown": BRAKED,
}  # fmt: skip


@dataclass(eq=False)
class Card:
    """A GPU: every question after its processes or reasons takes the next of these, the last one stays; `refuses` names questions."""

    uuid: str = "GPU-a"
    name: str = "NVIDIA H100 80GB HBM3"
    capability: tuple[int, int] = (9, 0)
    processes: list[set[int]] = field(default_factory=lambda: [set()])
    reasons: list[int] = field(default_factory=lambda: [0])
    refuses: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    mode: int = 0


def plant(monkeypatch: Any, *cards: Card, version: str = "580.95.05", cuda: int = 13000) -> None:
    """Put an NVML with these cards in the place of `pynvml`; without cards no driver is here."""
    nvml: Any = types.ModuleType("pynvml")
    nvml.__spec__ = ModuleSpec("pynvml", None)
    nvml.NVMLError = type("NVMLError", (Exception,), {})
    nvml.NVMLError_LibraryNotFound = type("NVMLError_LibraryNotFound", (nvml.NVMLError,), {})
    nvml.NVML_COMPUTEMODE_DEFAULT, nvml.NVML_COMPUTEMODE_PROHIBITED, nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS = 0, 2, 3
    nvml.NVML_DEVICE_MIG_ENABLE = 1

    def begin() -> None:
        if not cards:
            raise nvml.NVMLError_LibraryNotFound("NVML Shared Library Not Found")

    def by_uuid(uuid: str) -> Any:
        found = next((card for card in cards if uuid == card.uuid), None) or next((u for c in cards for u in c.parts if u == uuid), None)
        if found is None:
            raise nvml.NVMLError("Not Found")
        return found

    def by_index(number: int) -> Card:
        if "nvmlDeviceGetHandleByIndex" in cards[number].refuses:
            raise nvml.NVMLError("Insufficient Permissions")
        return cards[number]

    def following(values: list[Any]) -> Any:
        return values.pop(0) if len(values) > 1 else values[0]

    answers = {
        "nvmlDeviceGetName": lambda card: card.name,
        "nvmlDeviceGetUUID": lambda card: card.uuid,
        "nvmlDeviceGetMemoryInfo": lambda card: types.SimpleNamespace(total=2**34, free=2**33),
        "nvmlDeviceGetCudaComputeCapability": lambda card: card.capability,
        "nvmlDeviceGetComputeMode": lambda card: card.mode,
        "nvmlDeviceGetMigMode": lambda card: (int(bool(card.parts)), 0),
        "nvmlDeviceGetMaxMigDeviceCount": lambda card: 7,
        "nvmlDeviceGetComputeRunningProcesses": lambda card: [
            types.SimpleNamespace(pid=pid, usedGpuMemory=9000 * 2**20) for pid in following(card.processes)
        ],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda card: following(card.reasons),
    }

    def asked(question: str) -> Any:
        def answer(handle: Any) -> Any:
            if isinstance(handle, str):  # a part of a divided card
                return {"nvmlDeviceGetUUID": handle, "nvmlDeviceGetComputeRunningProcesses": []}[question]
            if question in handle.refuses:
                raise nvml.NVMLError("Not Supported")
            return answers[question](handle)

        return answer

    def part(card: Card, number: int) -> str:
        if number >= len(card.parts):
            raise nvml.NVMLError("Not Found")
        return card.parts[number]

    nvml.nvmlInit, nvml.nvmlShutdown = begin, lambda: None
    nvml.nvmlSystemGetDriverVersion, nvml.nvmlSystemGetCudaDriverVersion_v2 = lambda: version, lambda: cuda
    nvml.nvmlDeviceGetCount, nvml.nvmlDeviceGetHandleByIndex, nvml.nvmlDeviceGetHandleByUUID = lambda: len(cards), by_index, by_uuid
    nvml.nvmlDeviceGetMigDeviceHandleByIndex = part
    for question in answers:
        setattr(nvml, question, asked(question))
    for name, bit in REASONS.items():
        setattr(nvml, f"nvmlClocksThrottleReason{name}", bit)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
