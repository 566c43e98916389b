"""Networks drawn at random from the whole of `Spec`: every field of a family at once.

A field that is a word is drawn from all its choices, so that a new choice or field is drawn without a change here. A field that is a
number is drawn from `NUMBERS`, or around its usual value where nothing stands there. Each value has a lot of its own, and the first one
wins. So a field or value that joins changes those networks alone in which it is drawn.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from bench.evidence import admission
from models.architectures import FAMILIES
from models.fields import SpecError, plain
from models.parts.optimizers import EPSILON
from models.parts.precisions import PRECISIONS
from models.spec import CHOICES, Spec, Value

HEAVIEST = 1e9
"""Bytes up to which networks are drawn (`admission.weight`): whether larger ones are taken has tests of its own."""
GIVEN = "features"
"""The field that the data says."""
Values = tuple[Value, ...]

NUMBERS: dict[str, dict[str, Values]] = {
    "": {
        "batch": (1, 4, 7, 8, 16, 32, 64, 128),
        "classes": (1, 2, 3, 10, 20),
        "eps": (1e-5, 1e-5, 1e-8, 1e-3, 0.1),
        "momentum": (0.9, 0.99, 0.5, 0.0),
        "clip_at": (1.0, 100.0, 0.1, 0.001),
        "lr": (0.0, 0.0, 0.0, 1e-5, 1e-3, 0.03, 1.0, 30.0),
        "optimizer_eps": (EPSILON, EPSILON, 1e-8, 1e-3),
        "l2": (0.0, 0.0, 1e-4, 0.01),
        "decay": (0.0, 0.0, 1e-3, 0.1),
        "target_scale": (1.0, 1.0, 0.01, 10.0, 1e4),
        "loss_scale": (1024.0, 1024.0, 1.0, 2.0**15),
        "scale_growth": (2000, 2000, 20),
    },
    "mlp": {
        "depth": tuple(range(2, 25)),
        "width": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128),
        "groups": (1, 2, 4, 8),
        "bottleneck": (1, 1, 2, 4),
        "last_width": (0, 0, 0, 0, 2, 8, 32, 96),
        "gain": (1.0, 1.0, 1.0, 0.1, 0.5, 2.0),
        "variance_decay": (0.0, 0.0, 0.0, 1.0, 2.0),
    },
    "conv": {
        "depth": tuple(range(2, 21)),
        "channels": (1, 2, 3, 4, 6, 8, 12, 16),
        "kernel": (1, 3, 3, 5),
        "stride": (1, 1, 2, 3),
        "dilation": (1, 1, 2, 3),
        "groups": (1, 1, 2, 4),
        "pools": (1, 2, 3),
        "window": (2, 3),
        "norm_groups": (1, 2, 4),
        "head": (0, 0, 8, 16),
    },
    "rnn": {
        "layers": (1, 1, 2, 3),
        "width": (1, 2, 3, 4, 8, 16, 32, 48),
        "length": (1, 2, 4, 8, 8, 16, 32, 64, 100),
        "radius": (1.0, 1.0, 0.5, 0.9, 1.5),
        "truncated": (0, 0, 0, 1, 2, 5),
    },
}
"""What a field that is a number is drawn from in any family, and in one; what stands twice is drawn twice as often."""
OFTEN: dict[str, Values] = {
    "precision": tuple(name for name, row in PRECISIONS.items() if "cpu" in row.devices),
    "input": (*("centred",) * 5, *CHOICES["input"]),
}
"""The same of words that are not drawn alike: networks on unfriendly inputs are not trained, and so drawn less often."""


class Draw(NamedTuple):
    """A network, and the sentences with which `Spec` refused values that were drawn for it."""

    spec: Spec
    refused: tuple[str, ...]


def choices(family: str) -> dict[str, Values]:
    """What every field of a family is drawn from."""
    usual = Spec.of(family)
    known = NUMBERS[""] | NUMBERS.get(family, {}) | CHOICES | FAMILIES[family].CHOICES | OFTEN
    return {name: known.get(name) or _around(value) for name, value in usual.fields.items() if name != GIVEN}


def draw(seed: int, number: int, family: str = "mlp") -> Draw:
    """Network `number` of a seed: every field is drawn, in random order, and left as it is where the others contradict it twice."""
    lots, fields = f"{family} {seed} {number}", choices(family)
    left = {name: _first(f"{lots} {name}", fields[name]) for name in sorted(fields, key=lambda name: _lot(f"{lots} {name}"))}
    spec, refused = Spec.of(family), dict[str, str]()
    for _ in range(2):  # what a first value contradicted, a later one may have made possible
        for name, value in left.items():
            try:
                drawn = spec.but(**{name: value})
            except SpecError as refusal:
                refused[name] = str(refusal)
                continue
            refused.pop(name, None)
            if admission.weight(drawn, seeds=3, backends=2) < HEAVIEST:
                spec = drawn
        left = {name: left[name] for name in refused}
    return Draw(spec, tuple(refused.values()))


def _first(lots: str, values: Values) -> Value:
    """The value with the first lot."""
    return min(enumerate(values), key=lambda each: _lot(f"{lots} {plain(each[1])} {values[: each[0]].count(each[1])}"))[1]


def _lot(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _around(usual: Value) -> Values:
    """The usual value of a number, a smaller and a larger one. Raises TypeError for a word, whose choices its family must name."""
    if isinstance(usual, str):
        raise TypeError(f"a field of the value {usual!r} has no choices: name them in its record's CHOICES")
    if isinstance(usual, int):
        return usual, usual, max(usual - 1, min(usual, 1)), 2 * usual + 1
    return usual, usual, usual / 10, 10 * usual or 0.1
