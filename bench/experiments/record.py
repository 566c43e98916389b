"""Results of cells, and the files in which they are committed: `baselines/experiments/NAME.json`, one line a cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from filelock import FileLock
from msgspec import Meta

from bench import files
from bench.baselines.samples import FOLDER as BASELINES
from bench.baselines.samples import Recording, Text

SCHEMA = 1
FOLDER = BASELINES / "experiments"
Share = Annotated[float, Meta(ge=0, le=1)]


class RecordError(ValueError):
    """A record that cannot be read or written; the message is one sentence with the remedy."""


class Statistics(msgspec.Struct, forbid_unknown_fields=True):
    """Accuracy with the running statistics of training, with those computed anew, and with batches' own.

    Beside them the relative distance of every dense layer's signals in evaluation from those in training, before and after.
    """

    before: Share
    after: Share
    by_batch: Share
    distance_before: list[float | None]
    distance_after: list[float | None]


class Result(msgspec.Struct, forbid_unknown_fields=True):
    """What one cell gave: accuracy on the test set after every epoch, mean training loss of every epoch.

    `batch_accuracy` is by batches' own statistics, and empty without batch normalization. `norms` holds log₁₀ of weight-gradient norms of
    `layers`, by the epoch at whose end they were seen; null is zero or no finite number. `stopped` says that the loss was no finite number.
    `test_loss` is that after every epoch where targets are given, and empty elsewhere. `in_time` holds log₁₀ of the norm of the loss's
    gradient with respect to inputs at the time steps `times`, counted from 1, before training and after its last epoch.
    Where a network has levels, `norms` are those of the last one, the first of them by the number of epochs before it.
    `seconds` are a processor's in the training of each epoch; older recordings have none.
    `memory_mb` is how far memory rose in the last epoch above what was held before, null where it was not weighed.
    `recording` is the place in the file's recordings.
    """

    accuracy: Annotated[list[Share], Meta(min_length=1)]
    loss: list[float | None]
    layers: list[int]
    norms: dict[str, list[float | None]]
    ms_a_step: float
    batch_accuracy: list[Share] = []
    stopped: bool = False
    statistics: Statistics | None = None
    test_loss: list[float | None] = []
    times: list[int] = []
    in_time: dict[str, list[float | None]] = {}
    seconds: list[float] = []
    memory_mb: float | None = None
    recording: int = 0

    @property
    def best(self) -> float:
        """The highest accuracy after any epoch."""
        return max(self.accuracy)

    @property
    def last(self) -> float:
        """The accuracy after the last epoch."""
        return self.accuracy[-1]

    def decades(self) -> float | None:
        """From the last weight's gradient norm to the first one's, at the first look; None where one is zero or no finite number."""
        return _apart(self.norms.get("0"))

    def decades_in_time(self) -> float | None:
        """From the last time step's gradient norm to the first one's, before training; None where one is zero or no finite number."""
        return _apart(self.in_time.get("0"))


def _apart(logs: list[float | None] | None) -> float | None:
    first, last = (logs[0], logs[-1]) if logs else (None, None)
    return None if first is None or last is None else first - last


Results = dict[str, Result]
"""By the key of their cell."""


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A record: why, when and on what cells were trained, and what they gave."""

    schema: int
    experiment: Text
    data: Text
    recordings: list[Recording]
    cells: Results


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """The file of an experiment."""
    return folder / f"{name}.json"


def read(name: str, folder: Path = FOLDER) -> File | None:
    """The record of an experiment, None where nothing is recorded. Raises RecordError for a file that is none."""
    path = path_of(name, folder)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=File)
    except FileNotFoundError:
        return None
    except (*files.NO_JSON, OSError) as error:
        raise RecordError(f"{path} is not a valid record ({error}): restore it from version control, or delete it.") from None
    if (found.schema, found.experiment) != (SCHEMA, name) or any(each.recording >= len(found.recordings) for each in found.cells.values()):
        raise RecordError(f"{path} is no record of {name} in schema {SCHEMA}: restore it from version control, or delete it.")
    return found


def merge(name: str, results: Mapping[str, Result], recording: Recording, data: str, folder: Path = FOLDER) -> int:
    """Put results into the record, in the place of older ones of the same cells, and return how many it holds. Raises RecordError."""
    path = path_of(name, files.folder(folder))
    with FileLock(f"{path}.lock"):
        old = read(name, folder)
        if old and old.data != data:
            raise RecordError(f"{path} was recorded on {old.data}, and this is {data}: choose another --baselines.")
        recordings = [*(old.recordings if old else []), recording]
        cells = {key: each for key, each in (old.cells if old else {}).items() if key not in results}
        cells |= {key: msgspec.structs.replace(each, recording=len(recordings) - 1) for key, each in results.items()}
        _write(path, File(SCHEMA, name, data, recordings, dict(sorted(cells.items()))))
    return len(cells)


def _write(path: Path, content: File) -> None:
    """One cell a line, so that a recording can be reviewed as a diff. Recordings of which no cell is left are dropped."""
    left = sorted({each.recording for each in content.cells.values()})
    head = msgspec.to_builtins(content) | {"recordings": [msgspec.to_builtins(content.recordings[place]) for place in left]}
    cells = {key: each | {"recording": left.index(each["recording"])} for key, each in head.pop("cells").items()}
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    body = ",\n".join(f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(value, allow_nan=False)}" for key, value in cells.items())
    files.write(path, "{\n" + "\n".join(lines) + '\n "cells": {\n' + body + "\n }\n}\n")
