"""What was seen before: raw per-seed samples with provenance.

One JSON file per backend and device class, one metric a line, so that a recording can be reviewed as a diff. Nothing
derived is stored: what the samples predict (`bench.baselines.interval`) is computed when judging.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from filelock import FileLock
from msgspec import Meta

from bench import files
from bench.baselines import validation
from bench.judging.tolerance import FALLBACK_WIDENING
from models.backends.registry import BACKENDS, info

SCHEMA = 1
FOLDER = Path(__file__).resolve().parents[2] / "baselines"
LEAST_SEEDS = 2
SIGNIFICANT_DIGITS = 6


class BaselineError(ValueError):
    """A baseline that cannot be read or written; the message is one sentence with the remedy."""


class Recording(msgspec.Struct, forbid_unknown_fields=True):
    """Why, when and on what samples were taken; `networks` says how many were recorded then."""

    why: Annotated[str, Meta(min_length=1)]
    date: str
    networks: int
    environment: dict[str, str]


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A baseline file; `samples` maps `data/network/metric` to one number per seed of `seeds`."""

    schema: int
    backend: str
    device: str
    steps: Annotated[int, Meta(ge=1)]
    seeds: Annotated[list[int], Meta(min_length=LEAST_SEEDS)]
    recordings: Annotated[list[Recording], Meta(min_length=1)]
    samples: dict[str, Annotated[list[float], Meta(min_length=LEAST_SEEDS)]]


class _Schema(msgspec.Struct):
    """What every baseline file has, of whatever schema."""

    schema: int


@dataclass
class Baseline:
    """The samples that a backend on a device class is judged by; `fallback` names another device class's file used instead."""

    path: Path
    device: str = "cpu"
    content: File | None = None
    fallback: str = ""
    new: dict[str, list[float]] = field(default_factory=dict)

    def networks(self) -> set[str]:
        """`data/network` of everything recorded."""
        return {key.rpartition("/")[0] for key in self.content.samples} if self.content else set()


def file_name(backend: str, device_class: str) -> str:
    """`torch-cpu.json`."""
    return f"{info(backend).recorded_as or backend}-{device_class}.json"


def of_network(content: File, network: str) -> dict[str, list[float]]:
    """Every recorded metric of `data/network`."""
    return {key.rpartition("/")[2]: values for key, values in content.samples.items() if key.rpartition("/")[0] == network}


def load(backend: str, device_class: str, steps: int, folder: Path = FOLDER, processor: str = "") -> Baseline:
    """The baseline of this backend and device class, or the nearest recording of the same backend, or an empty one.

    Where a class's file was recorded on other processors than `processor`, it stays as it is: what is recorded here goes into a file of
    its own (`torch-cpu-amd-epyc.json`), which judges runs here once it is there. Raises BaselineError for a file that is malformed,
    truncated, edited into another shape, or of a newer schema.
    """
    shared = Baseline(folder / file_name(backend, device_class), device_class)
    own_class = f"{device_class}-{re.sub('[^a-z0-9]+', '-', processor.lower()).strip('-')}"
    own = Baseline(folder / file_name(backend, own_class), own_class)
    recorded = read(shared.path) if shared.path.exists() else None
    if recorded and processor in ("", *_processors(recorded)):
        return replace(shared, content=_fitting(recorded, steps))
    baseline = own if recorded else shared
    for content in (read(own.path) if own.path.exists() else None, recorded):
        if content and (fitting := _fitting(content, steps)):
            return replace(baseline, content=fitting)
    if recorded:
        return baseline
    others = sorted(folder.glob(file_name(backend, "*")), key=lambda path: (len(path.name), path.name))
    for other in others:
        if (fitting := _fitting(read(other), steps)) and fitting.backend == backend:
            return replace(baseline, content=fitting, fallback=other.name)
    return baseline


def _processors(content: File) -> tuple[str, ...]:
    """On which processors a file was recorded; any, where it does not say so."""
    return tuple(recording.environment.get("processor", "") for recording in content.recordings)


def read(path: Path) -> File:
    """A baseline file, validated. Raises BaselineError."""
    try:
        raw = path.read_bytes()
        schema = msgspec.json.decode(raw, type=_Schema).schema
        if schema < 1:
            raise BaselineError(f"{path} has schema {schema}, and there is none under 1: restore it from version control.")
        if schema > SCHEMA:
            raise BaselineError(
                f"{path} has schema {schema} and this suite reads up to {SCHEMA}: update the suite, or check out an older file."
            )
        content = msgspec.json.decode(raw, type=File)
        twice = validation.key_given_twice(raw)
    except (*files.NO_JSON, OSError) as error:
        raise BaselineError(f"{path} is not a valid baseline ({error}): restore it from version control or record it again.") from None
    if twice:
        raise BaselineError(f"{path} has the key {twice!r} twice: restore it from version control or record it again.")
    if path.name != (named := _name(content.backend, content.device)):
        raise BaselineError(f"{path} is of {content.backend} on {content.device}, which belongs into {named}: restore both.")
    if fault := validation.fault_of_samples(content.samples, content.seeds):
        raise BaselineError(f"{path} {fault}: restore it from version control or record it again.")
    return content


def _name(backend: str, device: str) -> str:
    """The file of a recording's backend and device; what names no backend belongs into none."""
    return file_name(backend, device) if backend in BACKENDS else "no file"


def _fitting(content: File, steps: int) -> File | None:
    """A recording of another number of training steps cannot judge these."""
    return content if content.steps == steps else None


def widened(baseline: Baseline) -> float:
    """How much wider intervals are because the recording is another device class's."""
    return FALLBACK_WIDENING if baseline.fallback else 1.0


def check_recording(why: str, seeds: int) -> None:
    """Raises BaselineError for a recording without a reason or with a single seed."""
    if not why.strip():
        raise BaselineError('A recording needs a reason that a reviewer can read: --update-baselines="why".')
    if seeds < LEAST_SEEDS:
        raise BaselineError(f"A recording needs at least {LEAST_SEEDS} seeds, because one tells nothing of the spread: raise --seeds.")


def save(
    baseline: Baseline, *, backend: str, device: str, steps: int, seeds: list[int], why: str, date: str, environment: dict[str, str]
) -> str:
    """Merge the new samples into the file and return what changed, old → new. Raises BaselineError, WriteError."""
    check_recording(why, len(seeds))
    files.folder(baseline.path.parent)
    with FileLock(f"{baseline.path}.lock"):
        old = read(baseline.path) if baseline.path.exists() else None
        keep = old is not None and old.seeds == seeds and old.steps == steps
        samples = dict(old.samples) if old and keep else {}
        renewed = {key.rpartition("/")[0] for key in baseline.new}
        samples = {key: values for key, values in samples.items() if key.rpartition("/")[0] not in renewed}
        dropped = len(old.samples) - len(samples) if old and not keep else 0
        changes = [_change(key, (old.samples if old else {}).get(key), values) for key, values in sorted(baseline.new.items())]
        if dropped and old:
            changes.append(f"  {dropped} old metrics were recorded with other seeds or steps and are replaced")
        samples |= {key: [_significant(v) for v in values] for key, values in baseline.new.items()}
        recording = Recording(why.strip(), date, len(renewed), environment)
        if fault := validation.fault_of_samples(samples, seeds):
            raise BaselineError(f"What is to be recorded in {baseline.path.name} {fault}: judge that network first; nothing is written.")
        partial = bool(samples.keys() - baseline.new.keys())
        history = _joined(old.recordings, recording) if old and partial else [recording]
        _write(baseline.path, File(SCHEMA, backend, device, steps, seeds, history, dict(sorted(samples.items()))))
    return "\n".join(changes)


def _joined(recordings: list[Recording], new: Recording) -> list[Recording]:
    """Recordings with one more; what continues the last one is counted into it."""
    last = recordings[-1]
    if (last.why, last.date, last.environment) != (new.why, new.date, new.environment):
        return [*recordings, new]
    return [*recordings[:-1], Recording(new.why, new.date, last.networks + new.networks, new.environment)]


def _change(key: str, old: list[float] | None, new: list[float]) -> str:
    before = f"{np.mean(old):.4g} ± {np.std(old, ddof=1):.2g}" if old else "(none)"
    return f"  {key}: {before} → {np.mean(new):.4g} ± {np.std(new, ddof=1):.2g}"


def _significant(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _write(path: Path, content: File) -> None:
    """One metric a line, so that a recording can be reviewed as a diff."""
    head = msgspec.to_builtins(content)
    samples = head.pop("samples")
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    body = ",\n".join(f"  {json.dumps(key)}: {json.dumps(values)}" for key, values in samples.items())
    text = "{\n" + "\n".join(lines) + '\n "samples": {\n' + body + "\n }\n}\n"
    files.write(path, text)
