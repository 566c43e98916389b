"""What trainings of a user's own model ended in before: recorded in a file beside the model, and read again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from bench import files
from bench.baselines.metrics import EARLY, LAST_STEPS
from bench.baselines.samples import LEAST_SEEDS, SIGNIFICANT_DIGITS, BaselineError
from bench.judging.tolerance import FALLBACK_WIDENING
from models.arrays import Array
from models.own.address import OwnModel
from models.own.training import OwnHistory
from models.worker.devices import kind

NAME = "gradgauge_baselines.json"
"""The file beside a model's own, unless --baselines names another."""
SCHEMA = 1


class OwnRecording(msgspec.Struct, forbid_unknown_fields=True):
    """One model on one backend: why and when, with what, and samples of each metric (seeds × executions), the usual execution first."""

    why: Annotated[str, Meta(min_length=1)]
    date: str
    environment: dict[str, str]
    steps: Annotated[int, Meta(ge=1)]
    seeds: Annotated[list[int], Meta(min_length=LEAST_SEEDS)]
    samples: dict[str, list[Annotated[list[float], Meta(min_length=2)]]]


class OwnFile(msgspec.Struct, forbid_unknown_fields=True):
    """The file: recordings by `model on backend`."""

    schema: int
    recordings: dict[str, OwnRecording]


def path_of(model: OwnModel, named: str | None) -> Path:
    """The file that a model's recordings are in."""
    return Path(named).expanduser() if named else Path(model.folder) / NAME


def key(model: OwnModel, backend: str, path: Path) -> str:
    """`gauge.py:net on torch`, wherever it is called from: a model's file is named as seen from the recordings' folder."""
    file = Path(os.path.relpath(model.target, path.resolve().parent)).as_posix() if os.path.isabs(model.target) else model.target
    return f"{file}:{model.attribute} on {backend}"


def recording_of(model: OwnModel, backend: str, path: Path) -> OwnRecording | None:
    """What was recorded of a model, if anything; recordings of before have the name of its file alone. Raises BaselineError."""
    found = read(path)
    return found.get(key(model, backend, path)) or found.get(f"{Path(model.target).name}:{model.attribute} on {backend}")


def widening(recording: OwnRecording | None, device: str) -> float:
    """How much wider intervals are on a device of another kind than the recording's."""
    return FALLBACK_WIDENING if recording and kind(recording.environment.get("device", "cpu")) != kind(device) else 1.0


def read(path: Path) -> dict[str, OwnRecording]:
    """All recordings of a file; none where it is not there. Raises BaselineError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=OwnFile)
    except FileNotFoundError:
        return {}
    except files.NO_JSON as error:
        raise BaselineError(
            f"{path} is no recording of own models ({error}): take it from its history, or delete it and record anew."
        ) from None
    except OSError as error:
        raise BaselineError(f"{path} cannot be read ({error.strerror}).") from None
    if found.schema != SCHEMA:
        raise BaselineError(f"{path} has schema {found.schema}, and this release reads {SCHEMA}: use the release that wrote it.")
    for name, each in found.recordings.items():
        if bad := [metric for metric, rows in each.samples.items() if len(rows) != len(each.seeds)]:
            raise BaselineError(f"{path}: {name} has another number of {bad[0]} than of seeds: delete it and record anew.")
        if bad := [metric for metric, rows in each.samples.items() if len({len(row) for row in rows}) > 1]:
            raise BaselineError(f"{path}: {name} has seeds with more {bad[0]} than others: delete it and record anew.")
    return found.recordings


def write(path: Path, new: dict[str, OwnRecording]) -> None:
    """Put recordings into a file, beside those of other models. Raises BaselineError, WriteError."""
    content = OwnFile(SCHEMA, dict(sorted((read(path) | new).items())))
    files.write(path, msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")


def metrics(histories: Sequence[OwnHistory]) -> dict[str, list[float]]:
    """Per history: the user's metric as accuracy, losses, and geometric means of three parameters' gradient norms, early and over all."""
    found: dict[str, list[float]] = {}
    if all(np.isfinite(h.score) for h in histories):
        found["accuracy"] = [h.score for h in histories]
    found["loss"] = [float(np.mean(h.losses[-LAST_STEPS:])) for h in histories]
    found["mean loss"] = [float(np.mean(h.losses)) for h in histories]
    parameters = len(histories[0].names)
    for number in sorted({1, (parameters + 1) // 2, parameters}):
        norms = [np.asarray(h.gradient_norms)[:, number - 1] for h in histories]
        found[f"gradient layer {number}"] = [_geometric_mean(each) for each in norms]
        found[f"early gradient layer {number}"] = [_geometric_mean(each[: max(1, round(EARLY * len(each)))]) for each in norms]
    return found


def recorded(histories: Sequence[OwnHistory], *, why: str, date: str, environment: dict[str, str], model: str) -> OwnRecording:
    """A recording of trainings from both starts of every seed. Raises BaselineError for what nothing may be judged by."""
    columns = [metrics([h for h in histories if h.moved == moved]) for moved in (False, True)]
    rows = {name: np.array([column[name] for column in columns]).T for name in columns[0]}
    kept = {name: each for name, each in rows.items() if name == "accuracy" or (np.isfinite(each).all() and (each > 0).all())}
    if not {"loss", "mean loss"} <= set(kept):
        raise BaselineError(f"{model} cannot be recorded: its loss is not a positive finite number for some seed.")
    usual = [h for h in histories if not h.moved]
    samples = {name: [[_few(value) for value in row] for row in each] for name, each in kept.items()}
    return OwnRecording(why, date, environment, len(usual[0].losses), [h.seed for h in usual], samples)


def _geometric_mean(norms: Array) -> float:
    present = norms[norms != 0]
    return float(np.exp(np.log(present).mean())) if len(present) else float("nan")


def _few(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
