"""What theory says of each remedy before any is trained: kept in a file, so that nobody can change it afterwards unseen."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench import files
from bench.experiments.cell import Row
from bench.experiments.record import FOLDER, RecordError
from bench.experiments.sources import Source, inputs_of
from bench.theory.bands import predict
from bench.theory.diagnosis import HEALTHY, NOTABLE, as_rounded, diagnose, expected
from bench.theory.remedies import DECADES
from fixtures.data.datasets import Data
from models.spec import Spec, SpecError

PATH = FOLDER / "predictions.json"
HARMLESS = (HEALTHY, "shattered")
"""First words of a diagnosis that theory does not expect to keep a network from training."""


class Predicted(msgspec.Struct, forbid_unknown_fields=True):
    """Decades from the last layer's gradient norm to the first layer's, and the words of the diagnosis, the gravest first."""

    decades: float
    words: list[str]

    @property
    def by_gain(self) -> bool:
        """Trains if gradients change by less than a decade over the depth."""
        return abs(self.decades) <= NOTABLE

    @property
    def by_diagnosis(self) -> bool:
        """Trains if the diagnosis finds nothing that would keep it from that: neither gradients, nor units, nor the learning rate."""
        return all(word in HARMLESS for word in self.words)


def read(path: Path = PATH) -> dict[str, Predicted]:
    """By network; empty where nothing was predicted. Raises RecordError for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Predicted])
    except FileNotFoundError:
        return {}
    except (*files.NO_JSON, OSError) as error:
        raise RecordError(f"{path} is no file of predictions ({error}): restore it from version control.") from None


def foresee(row: Row, data: Source) -> Predicted:
    """What theory says of a row on the first training samples. Raises SpecError for a recurrent network, whose theory draws its picture."""
    if not isinstance(data, Data) or row.network.startswith("rnn"):
        raise SpecError(f"Nothing is predicted of {row.label}: theory of recurrent networks stands in pictures, which --plot draws.")
    spec = Spec.parse(row.network, features=data.features)
    batch, labels = inputs_of(data.x_train[: spec.batch], data, row.inputs), data.y_train[: spec.batch]
    prediction = predict(spec, batch)
    found = diagnose(spec, batch, as_rounded(spec, batch, labels), expected(spec, batch, labels))
    decades = prediction.backward_total.mean * DECADES if prediction else float("nan")
    return Predicted(round(float(decades), 2), [each.word for each in found])


def write(rows: Iterable[tuple[Row, Predicted]], path: Path = PATH) -> Path:
    """Add predictions to the file; one that stands there already stays as it was."""
    found = {row.network: each for row, each in rows} | read(path)
    files.folder(path.parent)
    lines = [f" {json.dumps(network)}: {json.dumps(msgspec.to_builtins(each))}" for network, each in found.items()]
    return files.write(path, "{\n" + ",\n".join(lines) + "\n}\n")
