"""What the layers of a user's own model show and nobody judges: gradients that vanish or explode, dead and saturated units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.report import galleries
from bench.report.record import Profile
from bench.theory.diagnosis import DEAD_SHARE, FLAT_SHARE, NOTABLE

NAMED = 3
"""How many layers a line names."""


def lines(profiles: list[Profile]) -> list[str]:
    """One line for each thing that is notable in a model, in the words of the diagnosis."""
    found = [line for seen in profiles if seen.names for line in _of(seen)]
    return ["layers of your own models, reported and not judged:", *found, ""] if found else []


def _of(seen: Profile) -> Iterator[str]:
    decades = galleries.decades(seen)
    if not np.isfinite(decades):
        yield f"no gradient {seen.backend:<6} {seen.network} at {seen.names[0]}: frozen, unused, or none reaches it"
    elif abs(decades) > NOTABLE:
        word = "vanishing" if decades < 0 else "exploding"
        yield f"{word:<10} {seen.backend:<6} {seen.network} {decades:+.1f} decades of gradient from {seen.names[-1]} to {seen.names[0]}"
    for word, shares, least in (("dead units", seen.dead, DEAD_SHARE), ("saturated", seen.saturated, FLAT_SHARE)):
        worst = sorted(((float(share), name) for name, share in shares.items() if float(share) > least), reverse=True)
        if worst:
            named = " · ".join(f"{name} {share:.0%}" for share, name in worst[:NAMED])
            more = f" · {len(worst) - NAMED} more" if len(worst) > NAMED else ""
            yield f"{word:<10} {seen.backend:<6} {seen.network} {named}{more}"
