"""The machine-readable record of a run: environment, every finding, every timing, and what comparison and page need.

Reading validates types and never executes anything. Schema 2 writes findings as rows and adds profiles; schema 1 is read.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import files
from bench.baselines.interval import scale_of
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import Verdict

SCHEMA = 2
KIND = "gradgauge run"
DIGITS = 5
ONCE = {"network": "subject", "left": "headroom", "left_where": "tightest"}
"""What a verdict's fields are called in schema 2, and here."""

Number = float | str
"""A number as JSON can hold it: NaN and infinities, which JSON lacks, are their names."""
Row = tuple[str, Number, Number, Number, str]
"""A finding: where, value, low, high, note."""


class RecordError(ValueError):
    """A record that cannot be read; the message is one sentence with the remedy."""


class Profile(msgspec.Struct):
    """What one network did on one backend, for pictures and for comparing samples.

    `gradient[l - 1]` is ‖∂L/∂z_l‖ at the framework's own initialization; `band` the theory's interval of its ratio to the last
    layer's, [low, high] a layer or null where theory has none. `norms` (steps × layers) are weight-gradient norms of the first
    seed's training at the kept `steps` and `layers`. `samples` holds one number a seed of each metric.
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


class StepTime(msgspec.Struct):
    """One timed step: seconds of every block per step, those of the control product beside it, first step and memory.

    `of_product_rate` is the share of the device's rate of large matrix products that the step's own products reach.
    """

    backend: str
    mode: str
    device: str
    network: str
    step_samples_s: list[float]
    control_samples_s: list[float]
    first_step_s: float
    worker_rss_mb: float = 0.0
    warm: bool = True
    of_product_rate: float = 0.0
    device_memory_mb: float = 0.0

    @property
    def case(self) -> str:
        """`torch eager`: what is timed, besides the network."""
        return f"{self.backend} {self.mode}"


class Error(msgspec.Struct):
    """A case that could not be judged, and what was said."""

    case: str
    message: str = ""
    rerun: str = ""


class NotApplicable(msgspec.Struct, frozen=True):
    """How many networks a check does not speak of on a backend, for the reason that completes "needs …"."""

    backend: str
    check: str
    reason: str
    networks: int


class _File(msgspec.Struct):
    """A record as it lies in its file."""

    schema: int
    kind: str
    started: str
    environment: dict[str, str]
    options: dict[str, Any]
    versions: dict[str, dict[str, str]]
    exit_status: int
    seconds: float
    verdicts: list[dict[str, Any]]
    timings: list[dict[str, Any]]
    errors: list[Error] = []
    profiles: list[Profile] = []
    peak_memory_mb: dict[str, float] = {}
    calls: list[dict[str, Any]] = []
    not_applicable: list[NotApplicable] = []


@dataclass
class Record:
    """A run: where and with what it ran, what was judged, what was timed."""

    started: str
    environment: dict[str, str]
    options: dict[str, Any]
    versions: dict[str, dict[str, str]]
    exit_status: int
    seconds: float
    verdicts: list[Verdict]
    timings: list[StepTime]
    errors: list[Error]
    profiles: list[Profile]
    peak_memory_mb: dict[str, float]
    not_applicable: list[NotApplicable]
    name: str = ""

    @property
    def backends(self) -> list[str]:
        """Backends that were judged, trained or timed, in order."""
        rows: list[Any] = [*self.verdicts, *self.profiles, *self.timings]
        return list(dict.fromkeys(row.backend for row in rows))

    @property
    def frameworks(self) -> str:
        """`torch 2.13.0, keras 3.15.1 on tensorflow 2.21.0`, as the workers said, or as installed where none was asked."""
        own = self.versions or {
            name: {name: self.environment[name]} for name in ("torch", "keras", "tensorflow") if name in self.environment
        }
        return ", ".join(" on ".join(f"{name} {version}" for name, version in each.items() if " " not in name) for each in own.values())


def write(folder: Path, started: str, content: dict[str, Any], verdicts: list[Verdict], timings: list[dict[str, Any]]) -> Path:
    """Write `run-<time>-<process>.json` and the same as `latest.json`; returns the first. Raises WriteError if the folder refuses.

    Step times, which are compared, stand in `timings`; what a call of an entry point took, a single reading, in `calls`.
    """
    record = {
        "schema": SCHEMA,
        "kind": KIND,
        "started": started,
        **content,
        "verdicts": [_verdict(verdict) for verdict in verdicts],
        "timings": [timing for timing in timings if "step_samples_s" in timing],
        "calls": [timing for timing in timings if "step_samples_s" not in timing],
    }
    text = msgspec.json.encode(record).decode()
    path = folder / f"run-{started.replace(':', '')}-{os.getpid()}.json"
    files.write(path, text)
    files.write(folder / "latest.json", text)
    return path


def read(path: Path) -> Record:
    """A run's record, of this schema or an older one. Raises RecordError."""
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RecordError(
            f"{path} cannot be read ({error.strerror}): name the JSON record of a run, such as .gradgauge/latest.json."
        ) from None
    except files.NO_JSON as error:
        raise RecordError(f"{path} is not JSON, or was cut off ({error}): run again, or fetch the file again.") from None
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise RecordError(f"{path} is JSON, but not the record of a run: name one that pytest wrote, such as .gradgauge/latest.json.")
    schema = raw.get("schema")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise RecordError(f"{path} has schema {schema} and this suite reads 1 to {SCHEMA}: update the suite, or run again with this one.")
    try:
        file = msgspec.convert(_from_1(raw) if schema == 1 else raw, type=_File)
        fields = {field.name: getattr(file, field.name) for field in dataclasses.fields(Record) if field.name != "name"}
        fields["verdicts"] = [_read_verdict(verdict) for verdict in file.verdicts]
        fields["timings"] = msgspec.convert(file.timings, type=list[StepTime])
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise RecordError(
            f"{path} is a run's record with a part missing or changed ({error}): run again, or fetch the file again."
        ) from None
    return Record(**fields, name=path.name)


def _from_1(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had findings as objects and errors as test ids."""
    verdicts = [
        {**v, "findings": [[f["where"], f["value"], f["low"], f["high"], f.get("note", "")] for f in v["findings"]]}
        for v in raw["verdicts"]
    ]
    return {**raw, "verdicts": verdicts, "errors": [{"case": case} for case in raw.get("errors", [])]}


def _read_verdict(plain: dict[str, Any]) -> Verdict:
    rows = msgspec.convert(plain["findings"], type=list[Row])
    scale = scale_of if plain["check"] == "training" else lambda metric: "linear"
    findings = [Finding(Place(where), float(value), float(low), float(high), note, scale(where)) for where, value, low, high, note in rows]
    plain = {ONCE.get(name, name): value for name, value in plain.items()}
    plain |= {"findings": [], "headroom": float(plain["headroom"]), "tightest": {"quantity": plain["tightest"]}}
    rest = msgspec.convert(plain, type=Verdict)
    rest.findings = findings
    return rest


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict with short rows; what is exactly what it must be is only counted, as the zeros of `finite` are."""
    rows = [
        (f.where, number(f.value), number(f.low), number(f.high), "" if f.within else f.note)
        for f in verdict.findings
        if not (f.low == f.high and f.within)
    ]
    fields = {field.name: getattr(verdict, field.name) for field in dataclasses.fields(verdict)}
    fields |= {"headroom": number(verdict.headroom), "findings": rows, "tightest": str(verdict.tightest or "")}
    return fields | {once: fields.pop(name) for once, name in ONCE.items()}


def number(value: float) -> Number:
    """Few digits; NaN and infinities as text."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else str(float(value))
