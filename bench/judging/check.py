"""A check: a law, what it is judged against, and where it applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.judging.finding import Finding
from models.spec import Spec


@dataclass(frozen=True)
class Check:
    """A law: `function(run)` yields findings, its docstring's first line is the law, `against` is what it is judged by."""

    function: Callable[[Any], Iterator[Finding]]
    against: str
    applies: Callable[[Spec, str], bool] = lambda spec, backend: True

    @property
    def name(self) -> str:
        """The check's name, as in test ids."""
        return self.function.__name__

    @property
    def law(self) -> str:
        """The law in one sentence."""
        return (self.function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
