"""Two runs compared as one self-contained page."""

from bench.compare.change import APPEARED, BETTER, MARKS, SAME, VANISHED, WORSE, Comparison
from bench.report import pictures
from bench.report.galleries import MAPPED, Gallery, caption
from bench.report.page import fill
from bench.report.record import Record

TONES = {WORSE: "bad", BETTER: "good", APPEARED: "mute"}


def of_comparison(comparison: Comparison, old: Record, new: Record) -> str:
    """The page of two runs."""
    healthy = comparison.count(SAME) + comparison.count(BETTER)
    return fill(
        "comparison",
        {"tone": lambda verdict: TONES.get(verdict, "warn"), "mark": MARKS.__getitem__},
        title="gradgauge: two runs",
        headline=comparison.headline,
        tone="bad" if comparison.count(WORSE) else "warn" if comparison.count(VANISHED) else "good" if healthy else "mute",
        comparison=comparison,
        same=comparison.count(SAME),
        galleries=profiles(comparison, old, new),
        source=f"{old.name} and {new.name}",
    )


def profiles(comparison: Comparison, old: Record, new: Record) -> list[Gallery]:
    """Old and new gradient norms of the networks that changed most."""
    gallery = Gallery(
        "profiles", "Gradients by layer", "Networks that changed: gradient norms at initialization over the band of theory.", []
    )
    for place, (backend, network) in enumerate(dict.fromkeys((c.backend, c.subject) for c in comparison.shown)):
        found = [[p for p in run.profiles if (p.backend, p.network) == (backend, network)] for run in (old, new)]
        if all(found) and len(gallery.pictures) < MAPPED:
            pair = [("old", found[0][0]), ("new", found[1][0])]
            name = f"profile{place}"
            gallery.add(name, f"{network}, {backend}", caption(pair), pictures.gradient_profile(pair, name))
    return [gallery] if gallery.pictures else []
