"""A promise: an entry point, a sentence, its page, and the law that tests it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.checks import CHECKS
from bench.metamorphic import EQUALITIES
from models.backends.registry import info


@dataclass(frozen=True)
class Promise:
    """What the documentation says of `entry`, in words of our own, with the page that says it.

    `law` names an equality, with the case that speaks of it after a colon ("defaults_spelled_out: SGD"), or a check, with the network on
    which it judges it after an @ ("update@optimizer=adam"). `why` says why no law tests it.
    """

    entry: str
    sentence: str
    page: str
    law: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a row with neither law nor reason, or both."""
        if bool(self.law) == bool(self.why):
            raise ValueError(f"{self.entry} needs a law, or the reason why it has none: it has {'both' if self.law else 'neither'}")

    @property
    def name(self) -> str:
        """The equality or check that tests it; empty where none does."""
        return self.law.partition(":")[0].partition("@")[0]

    @property
    def case(self) -> str:
        """The equality's case that speaks of it, or empty for all of it."""
        return self.law.partition(": ")[2]

    @property
    def network(self) -> str:
        """The network on which a check judges it, or empty."""
        return self.law.partition("@")[2]

    def tested_on(self, backend: str) -> bool:
        """Whether the law is judged on this backend."""
        if not self.law:
            return False
        return self.name not in EQUALITIES or EQUALITIES[self.name].applies(info(backend))


def each(entries: Iterable[str], where: str, sentence: str, page: str, law: str) -> tuple[Promise, ...]:
    """The same promise of several entry points of one module; `law` and `page` have {} for the name."""
    return tuple(Promise(f"{where}.{name}", sentence, page.format(name), law.format(name)) for name in entries)


def laws() -> set[str]:
    """Every name that a law may have."""
    return {*EQUALITIES, *CHECKS}
