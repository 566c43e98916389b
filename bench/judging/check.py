"""A check: a law, what it is judged against, what it needs, and of which networks it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from bench.judging.finding import Finding
from models.spec import Spec


class Need(Enum):
    """What a check reads of a network; the values complete the sentence "not applicable: needs …"."""

    STEPS = "training steps from shared weights"
    RESOLVED = "gradients above float16's floor"
    NATIVE = "the framework's own initialization"
    REFERENCE = "a float64 reference"
    THEORY = "a prediction by theory, which supposes centred inputs and layer after layer"
    BASELINE = "recorded samples"
    TRAININGS = "training runs"
    HELD_OUT = "held-out samples"
    DRAWS = "initializer draws, taken where the initializer alone moved"
    CURVES = "activation curves, taken where the activation alone moved"
    RELATIONS = "a symmetry of the network"
    SCALED = "a loss scale"


@dataclass(frozen=True)
class Condition:
    """A part that a network must have for a law to speak of it; `part` completes the sentence "not applicable: needs …"."""

    part: str
    holds: Callable[[Spec], bool]


ANY = Condition("a network", lambda spec: True)
Subject = TypeVar("Subject", contravariant=True)


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """A law: `function` yields findings of a subject, its docstring's first line is the law, `against` is what it is judged by.

    It applies where all that it `needs` can be had and `only` holds. What it `also` reads is judged where it can be had.
    """

    function: Callable[[Subject], Iterator[Finding]]
    against: str
    needs: Set[Need] = frozenset()
    only: Condition = ANY
    also: Set[Need] = frozenset()

    @property
    def name(self) -> str:
        """The check's name, as in test ids."""
        return self.function.__name__

    @property
    def law(self) -> str:
        """The law in one sentence."""
        return (self.function.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    def missing(self, spec: Spec, available: Set[Need]) -> str:
        """The first thing that the check needs and the network does not have, in words; nothing where the check applies."""
        lacking = [need.value for need in Need if need in self.needs and need not in available]
        return lacking[0] if lacking else "" if self.only.holds(spec) else self.only.part
