"""What was timed: one training step, and one call of an entry point."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

SHORTEST, LONGEST = 1e-12, 1e9
"""Seconds that a time may be: no step is faster than light crosses a chip, and none takes thirty years."""
Samples = Annotated[list[Annotated[float, Meta(ge=SHORTEST, le=LONGEST)]], Meta(min_length=1)]


class StepTime(msgspec.Struct, kw_only=True):
    """One timed step: seconds of every block per step, those of the control product beside it, first step and memory.

    `of_product_rate` is the share of the device's rate of large matrix products (`product_flops_per_s`) that the step's own reach.
    `apart_from_reference` is the relative error of the proof that the step trains its network.
    """

    backend: str
    mode: str
    device: str
    network: str
    step_samples_s: Samples
    control_samples_s: Samples
    first_step_s: Annotated[float, Meta(ge=0, le=LONGEST)]
    step_ms: float = 0.0
    control_ms: float = 0.0
    step_in_controls: float = 0.0
    steps_per_block: int = 1
    warm_up_s: float = 0.0
    warm: bool = True
    flops: float = 0.0
    product_flops_per_s: float = 0.0
    of_product_rate: float = 0.0
    device_memory_mb: float = 0.0
    apart_from_reference: float = 0.0
    worker_rss_mb: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where a block has no control beside it."""
        if len(self.step_samples_s) != len(self.control_samples_s):
            raise ValueError(f"{len(self.step_samples_s)} blocks of steps and {len(self.control_samples_s)} of their control")

    @property
    def case(self) -> str:
        """`torch eager`: what is timed, besides the network."""
        return f"{self.backend} {self.mode}"


class CallTime(msgspec.Struct):
    """What one call of an entry point took, a single reading: its first call in seconds, a later one in milliseconds."""

    backend: str
    entry: str
    batch: int
    first_call_s: float
    call_ms: float
