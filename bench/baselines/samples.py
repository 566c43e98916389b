"""What was seen before: raw samples of every seed and execution, with provenance.

One JSON file per backend and device class, one metric a line, so that a recording can be reviewed as a diff. Nothing
derived is stored: what samples predict (`bench.baselines.pairs`, `bench.baselines.interval`) is computed when judging.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
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
from models.arrays import Array
from models.backends.registry import BACKENDS, info

SCHEMA = 2
FOLDER = Path(__file__).resolve().parents[2] / "baselines"
LEAST_SEEDS = 2
REMEDY = "restore it from version control, or delete it and record anew"
SIGNIFICANT_DIGITS = 6
Text = Annotated[str, Meta(min_length=1)]


class BaselineError(ValueError):
    """A baseline that cannot be read or written; the message is one sentence with the remedy."""


class Recording(msgspec.Struct, forbid_unknown_fields=True):
    """Why, when and on what samples were taken; `networks` says how many were recorded then."""

    why: Text
    date: str
    networks: int
    environment: dict[str, str]


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A baseline file; `samples` maps `data/network/metric` to seeds × executions numbers, the first execution the usual one.

    A network may have been recorded with the first of `seeds` alone. `steps` holds how many steps a training on each data set took.
    """

    schema: int
    backend: str
    device: str
    steps: dict[str, Annotated[int, Meta(ge=1)]]
    seeds: Annotated[list[int], Meta(min_length=LEAST_SEEDS)]
    executions: Annotated[list[Text], Meta(min_length=1)]
    recordings: Annotated[list[Recording], Meta(min_length=1)]
    samples: dict[str, Annotated[list[Annotated[list[float], Meta(min_length=1)]], Meta(min_length=LEAST_SEEDS)]]


class _Schema(msgspec.Struct):
    """What every baseline file has, of whatever schema."""

    schema: int


Samples = dict[str, list[list[float]]]
"""By `data/network/metric`: one row a seed, one number an execution."""


@dataclass
class Baseline:
    """The samples that a backend on a device class is judged by; `fallback` names another device class's file used instead."""

    path: Path
    device: str = "cpu"
    content: File | None = None
    fallback: str = ""
    new: Samples = field(default_factory=dict)

    def networks(self) -> set[str]:
        """`data/network` of everything recorded."""
        return {key.rpartition("/")[0] for key in self.content.samples} if self.content else set()


def file_name(backend: str, device_class: str) -> str:
    """`torch-cpu.json`."""
    return f"{info(backend).recorded_as or backend}-{device_class}.json"


def of_network(content: File, network: str) -> dict[str, Array]:
    """Every recorded metric of `data/network` (seeds × executions)."""
    return {key.rpartition("/")[2]: np.array(rows) for key, rows in content.samples.items() if key.rpartition("/")[0] == network}


def load(backend: str, device_class: str, steps: Mapping[str, int], folder: Path = FOLDER, processor: str = "") -> Baseline:
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
    others = [(path, read(path)) for path in folder.glob(file_name(backend, "*"))]
    for path, content in sorted(others, key=lambda other: _distance(other[0], other[1].device, device_class)):
        if content.backend == backend and (fitting := _fitting(content, steps)):
            return replace(baseline, content=fitting, fallback=path.name)
    return baseline


def _distance(path: Path, recorded: str, wanted: str) -> tuple[bool, int, str]:
    """How far a recording is from a device class: another GPU is nearer to a GPU than any CPU, then the shorter name."""
    on_cpu, cpu_wanted = (each.partition("-")[0] == "cpu" for each in (recorded, wanted))
    return on_cpu != cpu_wanted, len(path.name), path.name


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
        if schema < SCHEMA:
            raise BaselineError(
                f"{path} has schema {schema}, whose trainings were shorter and of one execution: move it away, and record anew with "
                'pytest --update-baselines="why".'
            )
        if schema > SCHEMA:
            raise BaselineError(
                f"{path} has schema {schema} and this suite reads up to {SCHEMA}: update the suite, or check out an older file."
            )
        content = msgspec.json.decode(raw, type=File)
        twice = validation.key_given_twice(raw)
    except (*files.NO_JSON, OSError) as error:
        raise BaselineError(f"{path} is not a valid baseline ({error}): {REMEDY}.") from None
    if twice:
        raise BaselineError(f"{path} has the key {twice!r} twice: {REMEDY}.")
    if path.name != (named := _name(content.backend, content.device)):
        raise BaselineError(f"{path} is of {content.backend} on {content.device}, which belongs into {named}: restore both.")
    if fault := validation.fault_of_samples(content.samples, content.seeds, content.executions):
        raise BaselineError(f"{path} {fault}: {REMEDY}.")
    return content


def _name(backend: str, device: str) -> str:
    """The file of a recording's backend and device; what names no backend belongs into none."""
    return file_name(backend, device) if backend in BACKENDS else "no file"


def _fitting(content: File, steps: Mapping[str, int]) -> File | None:
    """A recording of another number of training steps cannot judge these."""
    return content if all(content.steps.get(data, number) == number for data, number in steps.items()) else None


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
    baseline: Baseline,
    *,
    backend: str,
    device: str,
    steps: dict[str, int],
    seeds: list[int],
    executions: list[str],
    why: str,
    date: str,
    environment: dict[str, str],
) -> str:
    """Merge the new samples into the file and return what changed, old → new. Raises BaselineError, WriteError."""
    check_recording(why, len(seeds))
    files.folder(baseline.path.parent)
    with FileLock(f"{baseline.path}.lock"):
        old = read(baseline.path) if baseline.path.exists() else None
        keep = old is not None and old.executions == executions and _begins(old.seeds, seeds) and _fitting(old, steps) is not None
        samples = dict(old.samples) if old and keep else {}
        renewed = {key.rpartition("/")[0] for key in baseline.new}
        samples = {key: values for key, values in samples.items() if key.rpartition("/")[0] not in renewed}
        dropped = len(old.samples) - len(samples) if old and not keep else 0
        changes = [_change(key, (old.samples if old else {}).get(key), values) for key, values in sorted(baseline.new.items())]
        if dropped and old:
            changes.append(f"  {dropped} old metrics were recorded with other seeds, executions or steps and are replaced")
        samples |= {key: [[_significant(v) for v in row] for row in rows] for key, rows in baseline.new.items()}
        steps, seeds = ((old.steps if old and keep else {}) | steps), (max(old.seeds, seeds, key=len) if old and keep else seeds)
        recording = Recording(why.strip(), date, len(renewed), environment)
        if fault := validation.fault_of_samples(samples, seeds, executions):
            raise BaselineError(f"What is to be recorded in {baseline.path.name} {fault}: judge that network first; nothing is written.")
        partial = bool(samples.keys() - baseline.new.keys())
        history = _joined(old.recordings, recording) if old and partial else [recording]
        _write(baseline.path, File(SCHEMA, backend, device, steps, seeds, executions, history, dict(sorted(samples.items()))))
    return "\n".join(changes)


def _begins(ones: list[int], others: list[int]) -> bool:
    """Whether the shorter list of seeds is how the longer one begins, so that samples of both can stand in one file."""
    return all(one == other for one, other in zip(ones, others, strict=False))


def _joined(recordings: list[Recording], new: Recording) -> list[Recording]:
    """Recordings with one more; what continues the last one is counted into it."""
    last = recordings[-1]
    if (last.why, last.date, last.environment) != (new.why, new.date, new.environment):
        return [*recordings, new]
    return [*recordings[:-1], Recording(new.why, new.date, last.networks + new.networks, new.environment)]


def _change(key: str, old: list[list[float]] | None, new: list[list[float]]) -> str:
    return f"  {key}: {_described(old) if old else '(none)'} → {_described(new)}"


def _described(rows: list[list[float]]) -> str:
    """Mean, and spread over seeds."""
    seeds = np.mean(rows, axis=1)
    return f"{seeds.mean():.4g} ± {seeds.std(ddof=1):.2g}"


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
