"""The machine-readable record of a run: environment, every verdict with its findings, times, and what comparison and page need.

How it lies in its file is `bench.report.record_file`'s.
"""

from __future__ import annotations

import math

import msgspec

from bench.evidence.times import CallTime, StepTime
from bench.judging.verdict import Verdict
from bench.report import texts
from bench.report.texts import Number

Option = str | int | float | bool | list[str] | None


class RecordError(ValueError):
    """A record that cannot be read; the message is one sentence with the remedy."""


class Stray(msgspec.Struct):
    """How far executions of one seed lay apart when a metric was recorded, on the metric's scale for executions.

    `spread` is their standard deviation with so many `degrees` of freedom, `furthest` the largest distance of two.
    """

    spread: Number
    degrees: int
    furthest: Number


class Profile(msgspec.Struct):
    """What one network did on one backend, for pictures and for comparing samples.

    `gradient` are ‖∂L/∂z‖ layer by layer at the framework's own initialization. `band` is theory's interval of each layer's ratio to the
    last one's, null where theory has none. `norms` (steps × layers) are weight-gradient norms of the first seed's training at the kept
    `steps` and `layers`. `samples` holds one number a seed of each metric, `recorded` what the baseline has for the same seeds, `strays`
    how far healthy executions of one seed were recorded to stray.
    Of a user's own model, `names` are the layers of `gradient`, `dead` the share of each activation's units that pass nothing on for any
    sample, `saturated` of its values that are saturated.
    """

    backend: str
    network: str
    gradient: list[Number] = []
    band: list[tuple[Number, Number] | None] = []
    steps: list[int] = []
    layers: list[int] = []
    norms: list[list[Number]] = []
    seeds: list[int] = []
    samples: dict[str, list[Number]] = {}
    recorded: dict[str, list[Number]] = {}
    strays: dict[str, Stray] = {}
    names: list[str] = []
    dead: dict[str, Number] = {}
    saturated: dict[str, Number] = {}

    def __post_init__(self) -> None:
        """Raises ValueError where an accuracy is no share."""
        if bad := [value for value in self.samples.get("accuracy", []) if not (0 <= float(value) <= 1 or math.isnan(float(value)))]:
            raise ValueError(f"an accuracy of {bad[0]}")


class Error(msgspec.Struct):
    """A case that could not be judged, with what was raised."""

    case: str
    message: str = ""
    rerun: str = ""


class NotApplicable(msgspec.Struct, frozen=True):
    """How many networks a check does not speak of on a backend, for the reason that completes "needs …"."""

    backend: str
    check: str
    reason: str
    networks: int


class Header(msgspec.Struct, kw_only=True):
    """Where and with what a run ran, and everything but its verdicts."""

    started: str
    environment: dict[str, str]
    options: dict[str, Option]
    versions: dict[str, dict[str, str]]
    exit_status: int
    seconds: float
    timings: list[StepTime] = []
    calls: list[CallTime] = []
    errors: list[Error] = []
    profiles: list[Profile] = []
    peak_memory_mb: dict[str, float] = {}
    not_applicable: list[NotApplicable] = []


class Record(Header, kw_only=True):
    """A run. `name` is its file's; where its places are `structured` they can be joined on, else their text is all there is."""

    verdicts: list[Verdict]
    name: str = ""
    structured: bool = True

    @property
    def backends(self) -> list[str]:
        """Backends that were judged, trained or timed, in order."""
        rows = (*(v.backend for v in self.verdicts), *(p.backend for p in self.profiles), *(t.backend for t in self.timings))
        return list(dict.fromkeys(rows))

    @property
    def frameworks(self) -> str:
        """`torch 2.13.0, keras 3.15.1 on tensorflow 2.21.0`, as the workers said, or as installed where none was asked."""
        own = self.versions or {
            name: {name: self.environment[name]} for name in ("torch", "keras", "tensorflow") if name in self.environment
        }
        return ", ".join(map(texts.library, own.values()))
